/** `jettison blame`: from which line, file of a context or image did a file come? */
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import { imageChain, isAsBuilt } from '#formats/origins/chain.ts';
import { explainRoutes } from '#formats/origins/explain.ts';
import { withList, type OriginList } from '#formats/origins/list.ts';
import type { Traced } from '#formats/origins/trail.ts';
import type { Report } from '#formats/progress/event.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { parseSnapshotId, type SnapshotId } from '#execution/worker/contract.ts';
import type { Blame, BlameRequest } from './blame-requests.ts';
import { unpackImage } from './fetch-image.ts';
import { findForPlatform, findImage } from './images.ts';
import { findOrigins, type KnownOrigins } from './known-origins.ts';
import { readList } from './origin-lists.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import type { Engine } from './open.ts';

/** Throws `image/not-found`, `oci/no-such-platform`, `ops/no-such-file`. */
export async function blameImage(engine: Engine, request: BlameRequest, report: Report, signal: AbortSignal): Promise<Blame> {
  engine.hold();
  const { image: name, platform } = request;
  const image = platform === undefined ? findImage(engine, name) : findForPlatform(engine, name, platform);
  return await withoutLostSnapshots(engine, async () => await blameOnce(engine, { image, request }, report, signal), report, signal);
}

async function blameOnce(
  engine: Engine,
  { image, request }: { readonly image: ImageRecord; readonly request: BlameRequest },
  report: Report,
  signal: AbortSignal,
): Promise<Blame> {
  const origins = findOrigins(engine, image);
  const { paths, listsBase } = request;
  const worker = await engine.worker(signal);
  const built = await builtTop(engine, origins, signal);
  const top = built ?? (await unpackImage(engine, image, report, signal));
  const { records, images, names } = origins;
  const traced = await worker.traceOrigins({ top, records, images, listsBase, ...(paths.length === 0 ? {} : { paths }) }, signal);
  const list = isWhole(traced)
    ? undefined
    : await findList(engine, { image, origins, asksRegistry: request.asksRegistry === true }, report, signal);
  const all = list === undefined ? traced : withList(traced, list);
  const whole = built !== undefined && isFolded(origins) ? inFoldedLayers(all, origins) : all;
  const config = decodeImageConfig(image.config, image.imageId);
  return {
    imageId: image.imageId,
    platform: printPlatform(config),
    isKnown: records.length > 0 || list !== undefined,
    isUnreadable: origins.isUnreadable,
    layers: image.layers.length,
    size: image.layers.reduce((sum, { size }) => sum + size, 0),
    routes: explainAll(whole, { records, names, count: traced.routes.length, list }),
    files: whole.files,
    base: whole.base,
    history: (config.history ?? []).flatMap(({ empty_layer: isEmpty, created_by: words }) => (isEmpty === true ? [] : [words ?? ''])),
  };
}

type Explaining = Pick<KnownOrigins, 'records' | 'names'> & { readonly count: number; readonly list: OriginList | undefined };

/** The first `count` routes are of what is known here, the others of the list. */
function explainAll({ routes }: Traced, { records, names, count, list }: Explaining): Blame['routes'] {
  const listed = list === undefined ? [] : explainRoutes(list.records, { routes: routes.slice(count) }, list.names);
  return [...explainRoutes(records, { routes: routes.slice(0, count) }, names), ...listed];
}

/** Has the image other layers than its steps made? */
function isFolded({ records: [record] }: KnownOrigins): boolean {
  return record !== undefined && !isAsBuilt(record);
}

/** Layers are counted as the image has them: what a step wrote is in the one that is left of it, with the mode that a later step gave it. */
function inFoldedLayers(traced: Traced, { records: [record] }: KnownOrigins): Traced {
  if (record === undefined) return traced;
  const chain = imageChain(record);
  const op = chain.base === undefined ? undefined : record.steps[chain.base]?.op;
  const base = op?.kind === 'image' ? op.layers : 0;
  const layerOf = (layer: number): number => {
    const step = layer <= base ? undefined : chain.layers[layer - base - 1];
    const at = record.layers.findIndex((one) => one.step === step);
    return at < 0 ? layer : base + at + 1;
  };
  const routes = traced.routes.map((route) => ({ ...route, layer: layerOf(route.layer) }));
  return { ...traced, routes, files: traced.files.map((file) => ({ ...file, layer: routes[file.content.route]?.layer ?? file.layer })) };
}

/** Is each trail followed to its end? */
function isWhole({ routes }: Traced): boolean {
  return routes.every(({ end }) => end.kind !== 'gone' && end.kind !== 'unknown');
}

type Finding = { readonly image: ImageRecord; readonly origins: KnownOrigins; readonly asksRegistry: boolean };

/** What was kept while all was there, else what was pushed with the image. */
async function findList(
  engine: Engine,
  { image, origins, asksRegistry }: Finding,
  report: Report,
  signal: AbortSignal,
): Promise<OriginList | undefined> {
  const kept = await readList(engine, image.imageId);
  if (kept !== undefined || origins.records.length > 0 || !asksRegistry) return kept;
  const { fetchOrigins } = await import('./fetch-origins.ts');
  return await fetchOrigins(engine, image, report, signal);
}

/** The files as the steps made them, while they are here. */
async function builtTop(engine: Engine, { built }: KnownOrigins, signal: AbortSignal): Promise<SnapshotId | undefined> {
  if (built === undefined) return undefined;
  const worker = await engine.worker(signal);
  const id = parseSnapshotId(built);
  return (await worker.missing([id], signal)).length === 0 ? id : undefined;
}
