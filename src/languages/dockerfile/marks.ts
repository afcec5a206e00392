/** `# jettison:...` above an instruction: what a Dockerfile says to this builder alone, and any other takes for a comment. */
import { suggest } from '#ground/base/human.ts';
import type { Diagnostic } from '#languages/frontend/diagnostics.ts';
import type { Comment, Dockerfile, Stage } from './ast.ts';

const prefix = 'jettison:';
/** A stage that must succeed before what is built gets its name. */
const gate = 'gate';
/** Limits of the image stand behind it: see `budgets.ts`. */
const budget = 'budget';
const known: readonly string[] = [gate, budget];

export const budgetMark = `${prefix}${budget}`;

export type Marks = {
  readonly gates: ReadonlySet<Stage>;
  /** Marks that mean nothing, or nothing where they stand: whoever wrote one takes it to work. */
  readonly findings: readonly Diagnostic[];
};

const none: Marks = { gates: new Set(), findings: [] };

export function readMarks({ comments, stages }: Dockerfile): Marks {
  const marks = comments.filter(({ text }) => text.startsWith(prefix));
  if (marks.length === 0) return none;
  const placed = new Set(stages.flatMap(({ from }) => from.comments.filter(isGate)));
  return {
    gates: new Set(stages.filter(({ from }) => from.comments.some(isGate))),
    findings: marks.filter((mark) => !placed.has(mark) && !isBudget(mark)).map(finding),
  };
}

/** Whether the limits can be read is said by who reads them, and is an error. */
export function isBudget({ text }: Comment): boolean {
  return text.split(/\s/u, 1)[0] === budgetMark;
}

function isGate({ text }: Comment): boolean {
  return text.trim() === `${prefix}${gate}`;
}

function finding({ text, span }: Comment): Diagnostic {
  const [, name = '', rest = ''] = /^([^\s=]*)(.*)$/su.exec(text.slice(prefix.length)) ?? [];
  return { rule: 'UnknownMark', severity: 'warning', message: faultOf(name.slice(0, 60), rest.trim()), at: [span] };
}

function faultOf(name: string, rest: string): string {
  if (name === gate && rest === '') return `"# ${prefix}${gate}" stands above no FROM, and makes no stage a gate`;
  if (name === gate) return `"# ${prefix}${gate}" stands alone on its line: the stage is the one whose FROM follows`;
  if (name === budget) return `"# ${prefix}${budget}" has a space behind it, and limits: "# ${prefix}${budget} final<=20MB"`;
  const near = suggest(name, known);
  const hint = near === undefined ? `known is ${known.map((one) => `"${prefix}${one}"`).join(', ')}` : `did you mean "${prefix}${near}"?`;
  return `"# ${prefix}${name}" means nothing: ${hint}`;
}
