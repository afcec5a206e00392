/** What the conversion found out on its way and the lint rules need: values that are known only once variables are expanded. */
import type { Span } from '#ground/base/span.ts';
import type { Mount } from '#formats/graph/op.ts';
import type { Platform } from '#formats/oci/platform.ts';
import type { Dockerfile, Instruction, StageInstruction } from '../ast.ts';
import type { FromFacts, Globals } from './globals.ts';
import type { PlannedStage } from './plan.ts';

/** What an ARG says of one name; `isInherited`: it only takes over what stands above the first FROM, or what every build has. */
export type DeclaredArgument = { readonly name: string; readonly value: string | undefined; readonly isInherited: boolean };

/** One converted step. */
export type StepFacts = {
  readonly instruction: StageInstruction;
  readonly at: readonly Span[];
  /** Variables that were used and neither set nor declared, once for each word that uses them. */
  undefinedVariables: { readonly name: string; readonly near: string | undefined }[] | undefined;
  /** Names that ARG or ENV set, expanded. */
  names: readonly string[];
  /** What ARG declared. */
  arguments: readonly DeclaredArgument[];
  /** Of RUN. */
  mounts: readonly Mount[];
  /** The path of WORKDIR, expanded. */
  path: string;
  /** The words of EXPOSE, expanded. */
  ports: readonly string[];
  /** Sources of COPY or ADD in the build context, absolute and clean. */
  contextPaths: readonly string[];
  /** The words of SHELL that hold at this point, of this file or the base image; empty for none. */
  readonly shell: readonly string[];
};

export type StageFacts = {
  readonly stage: PlannedStage;
  readonly steps: readonly StepFacts[];
  /** A WORKDIR in this file came before the stage's own first one. */
  readonly hasWorkdir: boolean;
  /** The base image's config was at hand (always, but for linting without looking images up). */
  readonly baseIsKnown: boolean;
  /** Set when the base image is not of the platform that was asked for. */
  readonly mismatch: { readonly wanted: Platform; readonly got: Platform } | undefined;
};

/** What the linter looks at. */
export type LintSource = {
  readonly dockerfile: Dockerfile;
  readonly globals: Globals;
  readonly froms: readonly FromFacts[];
  /** Stages that were converted: those that the target needs, or all. */
  readonly stages: readonly StageFacts[];
  /** Lines of the ignore file that holds for the build context. */
  readonly ignorePatterns: readonly string[];
};

/** The same, sorted once for all rules: most of them are about one kind of instruction. */
export type LintSubject = LintSource & {
  /** FROM lines and the instructions of all stages, in order, by the keyword as written. */
  readonly byKeyword: ReadonlyMap<string, readonly Instruction[]>;
  /** The converted steps of each kind of instruction, in order. */
  readonly stepsByKind: ReadonlyMap<StageInstruction['kind'], readonly StepFacts[]>;
};

export function createSubject(source: LintSource): LintSubject {
  const byKeyword = new Map<string, Instruction[]>();
  for (const { from, instructions } of source.dockerfile.stages) {
    addTo(byKeyword, from.keyword.text, from);
    for (const instruction of instructions) addTo(byKeyword, instruction.keyword.text, instruction);
  }
  const stepsByKind = new Map<StageInstruction['kind'], StepFacts[]>();
  for (const { steps } of source.stages) {
    for (const step of steps) addTo(stepsByKind, step.instruction.kind, step);
  }
  return { ...source, byKeyword, stepsByKind };
}

function addTo<Key, Item>(lists: Map<Key, Item[]>, key: Key, item: Item): void {
  const list = lists.get(key);
  if (list) list.push(item);
  else lists.set(key, [item]);
}
