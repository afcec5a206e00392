/** Builds that were, their logs, and why steps ran. */
import type { LogPiece } from '#execution/builds/logs.ts';
import type { BuildStep } from '#execution/builds/past-build.ts';

export type { BuildStep, Change as WhyChange, PastBuild, PastBuildDetails, Why, WhyRoot, WhyStep } from '#execution/builds/past-build.ts';

/** A past build: by its id or the beginning of it, or by its place, the newest being 1. */
export type BuildChoice = { readonly kind: 'id'; readonly id: string } | { readonly kind: 'place'; readonly place: number };

/** A step with what it wrote. `duration` in milliseconds. */
export type BuildLogStep = BuildStep & { readonly duration: number; readonly read: () => AsyncIterable<LogPiece> };
