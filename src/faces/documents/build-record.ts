/** The document of `jettison builds inspect --format json` (docs/schemas/builds-inspect.schema.json); members are named as in `docker buildx history inspect`. */
import type { BuildStatus, WhyRoot } from './why.ts';

export type BuildRecordDocument = {
  readonly Version: 1;
  readonly ID: string;
  readonly Names: readonly string[];
  readonly Status: BuildStatus;
  readonly Context: string;
  readonly Dockerfile: string;
  readonly Target: string | null;
  readonly Platform: string | null;
  /** RFC 3339 */
  readonly StartedAt: string;
  /** Null while it runs. */
  readonly CompletedAt: string | null;
  /** Milliseconds. */
  readonly Duration: number | null;
  readonly NumTotalSteps: number;
  readonly NumCachedSteps: number;
  readonly NumWarnings: number;
  /** Bytes of the context that were read, and that were downloaded. */
  readonly ReadBytes: number;
  readonly PulledBytes: number;
  readonly ImageID: string | null;
  readonly Error: { readonly Code: string; readonly Message: string } | null;
  readonly Steps: readonly BuildRecordStep[];
  /** Why steps ran again, as `jettison why` has it. */
  readonly Why: { readonly roots: readonly WhyRoot[] } | null;
};

export type BuildRecordStep = {
  readonly Vertex: string;
  readonly Name: string;
  readonly Line: number | null;
  /** `waiting`: never reached. */
  readonly State: 'cached' | 'skipped' | 'ran' | 'failed' | 'cancelled' | 'waiting';
  readonly StartedAt: string | null;
  /** Milliseconds. */
  readonly Duration: number | null;
  readonly Key: string | null;
  readonly Message: string | null;
};
