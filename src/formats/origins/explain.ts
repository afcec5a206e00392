/** Routes in words: which instruction, of which stage and line, and what it took files from. */
import { unreachable } from '#ground/base/errors.ts';
import type { OriginRecord } from './record.ts';
import type { Route, StepPlace, Traced } from './trail.ts';

export type Instruction = {
  /** As it is shown: `COPY --from=build /app /app`. */
  readonly text: string;
  readonly stage: string | null;
  readonly file: string;
  /** null for what stands in no Dockerfile. */
  readonly line: number | null;
  readonly lastLine: number | null;
  /** The image that it is an instruction of, where that is not the image itself but one that it stands on. */
  readonly image: string | null;
};

/** What stands at the end of a trail, beside an instruction. */
export type Source =
  | { readonly kind: 'context'; readonly name: string; readonly address: string | null }
  | { readonly kind: 'url'; readonly url: string; readonly checksum: string | null }
  | { readonly kind: 'git'; readonly remote: string; readonly ref: string; readonly commit: string | null }
  | {
      readonly kind: 'image';
      readonly name: string;
      readonly digest: string;
      /** From 1; null where its files are not here. */
      readonly layer: number | null;
      readonly layers: number;
    }
  | { readonly kind: 'container'; readonly name: string };

export type Explained = {
  /** As in `TrailEnd`. */
  readonly kind: Route['end']['kind'];
  /** Layer of the image, from 1 at the bottom. */
  readonly layer: number;
  /** Those that copied it, the image's own first. */
  readonly copies: readonly Instruction[];
  /** What made it: RUN, a here-document, or the instruction that took it from its source; null where nothing is known, and for what a base image brought. */
  readonly made: Instruction | null;
  readonly source: Source | null;
  /** The stage that it was made in; null for a base image. */
  readonly stage: string | null;
  readonly isUnpacked: boolean;
};

/** One for each route. `names`: of the images that the records are of. */
export function explainRoutes(
  records: readonly OriginRecord[],
  { routes }: Pick<Traced, 'routes'>,
  names: readonly string[],
): readonly Explained[] {
  return routes.map((route) => explain(records, route, names));
}

function explain(records: readonly OriginRecord[], { layer, copies, end }: Route, names: readonly string[]): Explained {
  const instructions = copies.flatMap((at) => instructionAt(records, at, names) ?? []);
  const ends = end.at === undefined ? undefined : instructionAt(records, end.at, names);
  const isOwn = end.kind === 'run' || end.kind === 'copy' || end.kind === 'heredoc' || end.kind === 'container' || end.kind === 'gone';
  const made = (isOwn ? ends : instructions.at(-1)) ?? null;
  const inStage = end.stage === undefined ? undefined : instructionAt(records, end.stage, names);
  return {
    kind: end.kind,
    layer,
    copies: instructions,
    made,
    source: end.at === undefined ? null : sourceAt(records, end.at, end.layer),
    stage: end.kind === 'image' ? (inStage?.stage ?? null) : (made?.stage ?? null),
    isUnpacked: end.isUnpacked === true,
  };
}

function instructionAt(records: readonly OriginRecord[], { record, step }: StepPlace, names: readonly string[]): Instruction | undefined {
  const found = records[record]?.steps[step];
  if (found === undefined) return undefined;
  const { text, stage, line, lastLine } = found;
  return { text, stage, file: records[record]?.dockerfile ?? '', line, lastLine, image: record === 0 ? null : (names[record] ?? null) };
}

function sourceAt(records: readonly OriginRecord[], { record, step }: StepPlace, layer: number | undefined): Source | null {
  const op = records[record]?.steps[step]?.op;
  switch (op?.kind) {
    case 'context':
      return { kind: 'context', name: op.name, address: op.address };
    case 'url':
      return { kind: 'url', url: op.url, checksum: op.checksum };
    case 'git':
      return { kind: 'git', remote: op.remote, ref: op.ref, commit: op.commit };
    case 'image':
      return { kind: 'image', name: op.name, digest: op.digest, layer: layer ?? null, layers: op.layers };
    case 'container':
      return { kind: 'container', name: op.name };
    case 'run':
    case 'file':
    case 'merge':
    case undefined:
      return null;
    default:
      return unreachable(op, 'operation');
  }
}
