/**
 * Where each file of an image came from, as a document of its own: kept by the store that built it, since files of stages are pruned sooner than images, and pushed beside it for those who
 * pull it. It comes from strangers, too.
 */
import * as v from 'valibot';
import { checkShape, isJsonObject, parseJson } from '#ground/base/decode.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { originRecord, type OriginRecord, type OriginStep } from './record.ts';
import type { Traced } from './trail.ts';
import { originVersion } from './version.ts';

/** Bytes of the document, before it is compressed. */
export const listLimit = 128 * 1024 * 1024;
/** Of the manifest that has it, and of the document: gzip. */
export const listTypes = {
  artifact: 'application/vnd.jettison.origins.v1',
  document: 'application/vnd.jettison.origins.v1+json+gzip',
} as const;

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const text = v.pipe(v.string(), v.maxLength(65_536));
const place = v.object({ record: count, step: count });
const end = v.object({
  kind: v.picklist(['run', 'copy', 'context', 'url', 'git', 'heredoc', 'image', 'container', 'gone', 'unknown']),
  at: v.exactOptional(place),
  layer: v.exactOptional(count),
  stage: v.exactOptional(place),
  isUnpacked: v.exactOptional(v.boolean()),
});
const trail = v.object({ route: count, paths: v.array(text) });
const list = v.object({
  version: v.literal(originVersion),
  /** The image's own first, without the actions of its copies. */
  records: v.pipe(v.array(originRecord), v.maxLength(1000)),
  names: v.array(text),
  routes: v.array(v.object({ layer: count, copies: v.array(place), end })),
  files: v.array(
    v.object({
      path: text,
      kind: v.picklist(['file', 'folder', 'symlink', 'other']),
      bytes: count,
      layer: count,
      linkOf: v.exactOptional(text),
      content: trail,
      metadata: v.exactOptional(trail),
    }),
  ),
  base: v.array(v.object({ route: count, files: count, bytes: count })),
});

export type OriginList = Pick<Traced, 'routes' | 'files' | 'base'> & {
  readonly version: typeof originVersion;
  readonly records: readonly OriginRecord[];
  readonly names: readonly string[];
};

/** `min`: stages, lines and paths, and the first word of each instruction; `max`: the instructions, too. */
export type ListDetail = 'min' | 'max';

export function encodeList({ records, names, routes, files, base }: Omit<OriginList, 'version'>, detail: ListDetail): Uint8Array {
  const kept = records.map(({ dockerfile, layers, steps, ...record }) => ({
    ...record,
    dockerfile: detail === 'max' ? dockerfile : dockerfile.slice(dockerfile.lastIndexOf('/') + 1),
    layers: layers.map((layer) => ({ ...layer, snapshot: null })),
    steps: steps.map((step) => keptStep(step, detail)),
  }));
  return new TextEncoder().encode(JSON.stringify({ version: originVersion, records: kept, names, routes, files, base }));
}

function keptStep(step: OriginStep, detail: ListDetail): OriginStep {
  const words = detail === 'max' ? step.text : (/^\S*/u.exec(step.text)?.[0] ?? '');
  const op = step.op.kind === 'file' ? { ...step.op, actions: [] } : step.op;
  return { ...step, op, text: words, snapshot: null };
}

const document = { what: 'the list of origins', code: 'origins/bad-list', limit: listLimit } as const;

/** Throws `origins/other-version` for one of a form that this release does not know, `origins/bad-list` for what is no list. */
export function decodeList(bytes: Uint8Array): OriginList {
  const parsed = parseJson(bytes, document);
  const { version } = isJsonObject(parsed) ? parsed : {};
  if (typeof version === 'number' && version !== originVersion)
    throw new JettisonError('origins/other-version', `Cannot read ${document.what}: it is of version ${version}, not ${originVersion}`, {
      fault: 'environment',
      hint: 'It was made by another release of jettison, and is read by that one; whoever has the build can push it anew with "--origins"',
    });
  const found = checkShape(parsed, list, document);
  const { routes, files, base } = found;
  const named = [
    ...files.flatMap(({ content, metadata }) => [content.route, ...(metadata === undefined ? [] : [metadata.route])]),
    ...base.map(({ route }) => route),
  ];
  if (named.some((route) => route >= routes.length))
    throw new JettisonError(document.code, `Cannot read ${document.what}: a route is named that is not there`, { fault: 'environment' });
  return { ...found, routes: routes.map(({ end: last, ...route }) => ({ ...route, end: { at: undefined, ...last } })) };
}

/** What is known now, with what the list knows better: it was made while all files were there. */
export function withList(now: Traced, kept: OriginList): Traced {
  const shift = now.routes.length;
  const byPath = new Map(kept.files.map((file) => [file.path, file]));
  const byLayer = new Map(kept.base.map(({ route }) => [kept.routes[route]?.layer, route]));
  const isLost = (route: number): boolean => ['gone', 'unknown'].includes(now.routes[route]?.end.kind ?? 'unknown');
  const files = now.files.map((file) => {
    if (!isLost(file.content.route) && (file.metadata === undefined || !isLost(file.metadata.route))) return file;
    const { metadata: _, ...rest } = file;
    const known = byPath.get(file.path);
    if (known !== undefined) {
      const metadata = known.metadata && { ...known.metadata, route: known.metadata.route + shift };
      return {
        ...rest,
        content: { ...known.content, route: known.content.route + shift },
        ...(metadata === undefined ? {} : { metadata }),
      };
    }
    const base = byLayer.get(now.routes[file.content.route]?.layer);
    return base === undefined ? file : { ...rest, content: { route: base + shift, paths: [] } };
  });
  return { routes: [...now.routes, ...kept.routes], files, base: now.base };
}
