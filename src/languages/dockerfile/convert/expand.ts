/** Words of an instruction with their variables filled in, as they stand at that step. */
import { suggest } from '#ground/base/human.ts';
import type { Span } from '#ground/base/span.ts';
import type { WordRules } from '#languages/frontend/words.ts';
import type { Word } from '../ast.ts';
import type { StepContext } from './state.ts';
import { badExpansion } from './words.ts';

const mostCandidates = 1000;

/** Where to point for `word`: the word; when it stands on a further line, the instruction (whose line people look for) and the word. */
export function placeOf({ step, at }: StepContext, word: Word): readonly Span[] {
  if (step.anchor) return at;
  return word.span.start.line === step.instruction.span.start.line ? [word.span] : [...at, word.span];
}

/** The word with its quotes resolved and its variables filled in. */
export function expand(context: StepContext, word: Word, rules?: WordRules): string {
  const { text, unmatched } = expansionOf(context, word, rules);
  if (unmatched.size > 0) noteUndefined(context, unmatched);
  return text;
}

function noteUndefined(context: StepContext, names: ReadonlySet<string>): void {
  const { state, facts } = context;
  for (const name of names) {
    if (!state.arguments.has(name)) (facts.undefinedVariables ??= []).push({ name, near: suggestion(name, context) });
  }
}

/** The words that one word becomes. Variables without a value are no finding here, as BuildKit has it for EXPOSE. */
export function expandToWords(context: StepContext, word: Word): readonly string[] {
  return expansionOf(context, word).words;
}

function expansionOf(context: StepContext, word: Word, rules?: WordRules) {
  const { state, conversion } = context;
  const expansion = conversion.expandWord(word.text, state.variables, rules ?? conversion.wordRules);
  if (expansion.fault !== undefined) throw badExpansion(word.text, expansion.fault, placeOf(context, word));
  return expansion;
}

/** A variable of nearly this name, while looking for one is cheap. */
function suggestion(name: string, { state, conversion }: StepContext): string | undefined {
  if (conversion.budget.suggestions <= 0 || state.variables.size > mostCandidates) return undefined;
  conversion.budget.suggestions--;
  return suggest(name, state.variables.keys());
}
