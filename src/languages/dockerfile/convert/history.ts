/** What an instruction leaves in the history of the image. */
import { addClassicHistory, addHistory, shellOf, type ConfigDraft } from '#languages/frontend/config-draft.ts';
import type { StepContext } from './state.ts';

/** `classic`: the whole entry as the builder before BuildKit has it; left out where that one has the same words behind its shell. */
type HistoryWords = { readonly isLayer?: boolean; readonly classic?: () => string };

/** Adds a history entry; `describe` is only asked when an image is made. `isLayer`: a layer belongs to it. */
export function record({ state, conversion }: StepContext, describe: () => string, { isLayer = false, classic }: HistoryWords = {}): void {
  if (conversion.isDry) return;
  if (conversion.plan.options.isClassic !== true) return addHistory(state.draft, describe(), isLayer);
  addClassicHistory(state.draft, classic?.() ?? noCommand(state.draft, ` ${describe()}`), isLayer);
}

/** A history entry of what BuildKit has none for. */
export function recordClassic(context: StepContext, words: string): void {
  if (context.conversion.plan.options.isClassic === true) record(context, () => words);
}

/** How the builder before BuildKit tells of what was no command: most instructions have two blanks before their words, COPY and WORKDIR one. */
export function noCommand(draft: ConfigDraft, words: string): string {
  return `${shellOf(draft).join(' ')} #(nop) ${words}`;
}
