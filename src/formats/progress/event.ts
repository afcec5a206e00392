/** What a running operation tells the world. Below the faces nobody prints: everybody reports. Times are milliseconds since the epoch. */
import type { Digest } from '#ground/base/digest.ts';
import type { Span } from '#ground/base/span.ts';

export type ProgressEvent =
  | VertexDeclared
  | { readonly kind: 'vertex-started'; readonly vertex: Digest; readonly time: number }
  /** `isSkipped`: nothing is known of it, but the result of what reads it is. */
  | { readonly kind: 'vertex-cached'; readonly vertex: Digest; readonly time: number; readonly isSkipped?: true }
  | { readonly kind: 'vertex-finished'; readonly vertex: Digest; readonly time: number }
  | {
      readonly kind: 'vertex-failed';
      readonly vertex: Digest;
      readonly time: number;
      readonly message: string;
      readonly cancelled: boolean;
    }
  | VertexOutput
  | TransferProgress
  /** `description`: what the rule wants. `source`: the whole text that the places are in. */
  | {
      readonly kind: 'warning';
      readonly rule: string;
      readonly message: string;
      readonly at: readonly Span[];
      readonly description?: string;
      readonly url?: string;
      readonly source?: string;
    }
  /** `isUrgent`: also for who wants to hear nothing of progress. `isAside`: not where each line has its form, that of the builder before BuildKit. */
  | { readonly kind: 'note'; readonly text: string; readonly isUrgent?: true; readonly isAside?: true };

/** A vertex that the goal needs: reported once, before anything else about it. */
export type VertexDeclared = {
  readonly kind: 'vertex';
  readonly vertex: Digest;
  readonly text: string;
  readonly stage?: string;
  readonly step?: number;
  readonly steps?: number;
  /** Where it stands in the source text. */
  readonly line?: number;
  /** Belongs to another vertex, which is shown for both. */
  readonly isPart?: boolean;
  /** Vertices whose results it reads; left out for none. */
  readonly inputs?: readonly Digest[];
};

/** Bytes that a process of a step wrote, cut at arbitrary places, decoded as UTF-8 with replacement. */
export type VertexOutput = {
  readonly kind: 'output';
  readonly vertex: Digest;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
  readonly time: number;
};

/** Bytes of one blob or archive that moved so far; `total` 0 when unknown. `item` is a digest or a name. */
export type TransferProgress = {
  readonly kind: 'transfer';
  readonly direction: 'pull' | 'push' | 'unpack' | 'write' | 'compress';
  readonly item: string;
  readonly current: number;
  readonly total: number;
  readonly state: 'waiting' | 'running' | 'done' | 'exists' | 'mounted';
  /** For whom it moves, where that is known. */
  readonly vertex?: Digest;
};

export type Report = (event: ProgressEvent) => void;

/** What moves is moved for this vertex. */
export function ofVertex(report: Report, vertex: Digest): Report {
  return (event) => report(event.kind === 'transfer' ? { ...event, vertex } : event);
}

/** What moves is called by the name that people know it by. */
export function ofItem(report: Report, item: string): Report {
  return (event) => report(event.kind === 'transfer' ? { ...event, item } : event);
}
