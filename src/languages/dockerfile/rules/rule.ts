/** A lint rule: data, so that its documentation page and its place in `--check` come from one source. Names are BuildKit's, but for those of rules that it has not. */
import type { Span } from '#ground/base/span.ts';
import type { Comment, Instruction, StageInstruction } from '../ast.ts';
import type { LintSubject, StepFacts } from '../convert/facts.ts';

export type Finding = {
  readonly message: string;
  readonly at: readonly Span[];
  /** Comment lines above the instruction: a `check=` among them can switch rules off for it. */
  readonly comments: readonly Comment[];
  readonly hint?: string;
};

export type Rule = {
  readonly name: string;
  /** One sentence: what is good. */
  readonly summary: string;
  /** What goes wrong otherwise. */
  readonly why: string;
  /** Dockerfiles with and without the finding; `ignored`: patterns of the ignore file that goes with them. */
  readonly example?: { readonly bad: string; readonly good: string; readonly ignored?: readonly string[] };
  /** Only looked at when `check=experimental=` names it. */
  readonly experimental?: true;
  /** BuildKit has no such rule: Docker has no page about it, and it never makes a build fail that passes there (`check=error=true`). */
  readonly isOwn?: true;
  check(subject: LintSubject): Iterable<Finding>;
};

/** Docker's page about a rule: `JSONArgsRecommended` is at `json-args-recommended`; undefined where it has none. */
export function pageOf({ name, isOwn }: Rule): string | undefined {
  if (isOwn === true) return undefined;
  const words = name.replaceAll(/([A-Z]+)(?=[A-Z][a-z])/gu, '$1-').replaceAll(/([a-z])(?=[A-Z])/gu, '$1-');
  return `https://docs.docker.com/go/dockerfile/rule/${words.toLowerCase()}/`;
}

/** A finding about an instruction as a whole. */
export function about(instruction: Instruction, message: string, hint?: string): Finding {
  return { message, at: [instruction.span], comments: instruction.comments, ...(hint === undefined ? {} : { hint }) };
}

/** The converted steps of some kinds of instructions, kind by kind. */
export function stepsOf({ stepsByKind }: LintSubject, ...kinds: readonly StageInstruction['kind'][]): readonly StepFacts[] {
  return kinds.flatMap((kind) => stepsByKind.get(kind) ?? []);
}

/** Every instruction of some kinds, also of stages that were not converted, keyword by keyword. */
export function instructionsOf({ byKeyword }: LintSubject, ...kinds: readonly Instruction['kind'][]): readonly Instruction[] {
  return [...byKeyword.values()].filter(([first]) => first !== undefined && kinds.includes(first.kind)).flat();
}

export function isOneCase(text: string): boolean {
  return text === text.toLowerCase() || text === text.toUpperCase();
}
