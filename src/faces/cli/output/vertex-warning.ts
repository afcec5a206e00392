/** A warning in the form of BuildKit's `client.VertexWarning` (`client/graph.go`), for `--progress rawjson` and `--metadata-file`. */
import type { ProgressEvent } from '#formats/progress/event.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import type { Position, Span } from '#ground/base/span.ts';

export type WarningEvent = Extract<ProgressEvent, { readonly kind: 'warning' }>;

/** What stands for the reading of the text that a warning is about, as BuildKit names it; undefined where it is about no text. */
export function readingVertex({ at: [first], source }: WarningEvent): { readonly digest: Digest; readonly name: string } | undefined {
  if (first === undefined || source === undefined) return undefined;
  return { digest: digestOf(`reading ${first.file}\n${source}`), name: `[internal] load build definition from ${first.file}` };
}

/** Without `definition` in `sourceInfo`, the graph by which BuildKit fetches the text: there is no such graph here. */
export function vertexWarning(event: WarningEvent): object {
  const { rule, message, at, description, url, source } = event;
  const [first] = at;
  const reading = readingVertex(event);
  return {
    ...(reading === undefined ? {} : { vertex: reading.digest }),
    level: 1,
    short: base64(`${rule}: ${message}${first === undefined ? '' : ` (line ${first.start.line})`}`),
    ...(description === undefined ? {} : { detail: [base64(description)] }),
    ...(url === undefined ? {} : { url }),
    ...(first === undefined || source === undefined
      ? {}
      : { sourceInfo: { filename: first.file, data: base64(source), language: 'Dockerfile' } }),
    ...(at.length === 0 ? {} : { range: at.map(rangeOf) }),
  };
}

function rangeOf({ start, end }: Span): object {
  return { start: positionOf(start), end: positionOf(end) };
}

/** Lines count from 1, characters from 0, which Go leaves out. */
function positionOf({ line, column }: Pick<Position, 'line' | 'column'>): object {
  return { line, ...(column > 1 ? { character: column - 1 } : {}) };
}

/** Go's []byte in JSON. */
export function base64(text: string): string {
  // oxlint-disable-next-line no-restricted-globals
  return Buffer.from(text).toString('base64');
}
