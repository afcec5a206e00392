/** What the conversion found out on its way and the lint rules need: values that are known only once variables are expanded. */
import type { Span } from '#ground/base/span.ts';
import type { Platform } from '#formats/oci/platform.ts';
import type { Dockerfile, StageInstruction } from '../ast.ts';
import type { Plan, PlannedStage } from './plan.ts';

/** One converted step. */
export type StepFacts = {
  readonly instruction: StageInstruction;
  readonly at: readonly Span[];
  /** Variables that were used and neither set nor declared, once for each word that uses them. */
  readonly undefinedVariables: string[];
  /** Names that were known there, for suggestions; filled only when something was undefined. */
  knownVariables: readonly string[];
  /** Names that ARG or ENV set, expanded. */
  readonly names: string[];
  /** The path of WORKDIR, expanded. */
  path: string;
  /** The words of EXPOSE, expanded. */
  ports: readonly string[];
  /** The stage had a SHELL at this point. */
  readonly hasShell: boolean;
};

export type StageFacts = {
  readonly stage: PlannedStage;
  readonly steps: readonly StepFacts[];
  /** A WORKDIR in this file came before the stage's own first one. */
  readonly hasWorkdir: boolean;
  /** Set when the base image is not of the platform that was asked for. */
  readonly mismatch: { readonly wanted: Platform; readonly got: Platform } | undefined;
};

/** What the linter looks at. */
export type LintSubject = {
  readonly dockerfile: Dockerfile;
  readonly plan: Plan;
  /** Stages that were converted: those that the target needs, or all. */
  readonly stages: readonly StageFacts[];
};
