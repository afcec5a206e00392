/** Builds, and what they would be. */
import type { ContextDocument } from '#faces/documents/context.ts';
import type { PlanDocument } from '#faces/documents/plan.ts';
import type { BuildOptions } from './build-options.ts';
import type { BuildResult } from './build-result.ts';
import type { CallOptions, EventOptions } from './call-options.ts';

export type BuildFunctions = {
  build(build: BuildOptions, options?: EventOptions): Promise<BuildResult>;
  /** The build that failed, asked for once more: no step before the failed one runs again, whatever `noCache` says. `run`: a command in the place of that of the failed RUN; the Dockerfile stays as it is, and must be the one that failed. */
  resume(build: BuildOptions, options?: EventOptions & { readonly run?: string }): Promise<BuildResult>;
  /** What a build would run. */
  plan(build: BuildOptions, options?: CallOptions): Promise<PlanDocument>;
  /** What is in the build context, by which rule, and which instruction takes it. */
  context(build: BuildOptions, options?: CallOptions): Promise<ContextDocument>;
};
