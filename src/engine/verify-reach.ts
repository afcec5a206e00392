/** Which of the steps that differ are why an image does. */
import { neededFor, type Edge, type Vertex } from '#formats/graph/vertex.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { LayersCompared } from '#execution/worker/contract.ts';

/** A step that made other files of the same ones, and how they differ. */
export type FoundCause = { readonly vertex: Vertex; readonly compared: LayersCompared };

/**
 * Of `found`, those whose difference is one of the goals: all on the way `differs`. Of a stage that a COPY takes files of, the steps count that wrote these; where none of them did, other files were
 * made of what differs, and all count.
 */
export function causesOfGoals(goals: readonly Edge[], differs: ReadonlySet<Digest>, found: readonly FoundCause[]): ReadonlySet<Digest> {
  const reached = new Set<Digest>();
  const seen = new Set<Digest>();
  const waiting = goals.map(({ vertex }) => vertex);
  for (let vertex = waiting.pop(); vertex !== undefined; vertex = waiting.pop()) {
    if (!differs.has(vertex.digest) || seen.has(vertex.digest)) continue;
    seen.add(vertex.digest);
    reached.add(vertex.digest);
    for (const [index, input] of vertex.inputs.entries()) {
      const taken = copiedFrom(vertex, index);
      const writers = taken === undefined ? [] : writersOf(input, taken, found);
      if (writers.length === 0) waiting.push(input.vertex);
      for (const digest of writers) reached.add(digest);
    }
  }
  return reached;
}

/** Paths that a copy takes from an input; undefined for an input that all is taken of. */
function copiedFrom({ op }: Vertex, index: number): readonly string[] | undefined {
  if (op.kind !== 'file' || op.base === index) return undefined;
  return op.actions.flatMap((action) => (action.kind === 'copy' && action.input === index ? action.sources : []));
}

function writersOf(input: Edge, taken: readonly string[], found: readonly FoundCause[]): readonly Digest[] {
  const below = new Set(neededFor(input).map(({ digest }) => digest));
  return found.flatMap(({ vertex, compared }) =>
    below.has(vertex.digest) && compared.differences.some(({ path }) => taken.some((source) => isTaken(path, source)))
      ? [vertex.digest]
      : [],
  );
}

/** A pattern counts up to its first wildcard. */
function isTaken(path: string, source: string): boolean {
  const fixed = source.replace(/[*?[\\].*$/su, '');
  const place = `/${fixed.replace(/^\/+/u, '')}`;
  if (fixed !== source) return path.startsWith(place);
  const folder = place.endsWith('/') ? place : `${place}/`;
  return path === place || path.startsWith(folder) || folder.startsWith(`${path}/`);
}
