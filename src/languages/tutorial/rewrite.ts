/** A tutorial with what its commands print today. */
import { linesOf } from '#ground/base/span.ts';
import type { Tutorial } from './tutorial.ts';

/** Sequences that a terminal would obey, and all other control characters but tab and line break: whoever prints the file must not obey them. */
// oxlint-disable-next-line no-control-regex -- that is what it is about
const control = /\u001b\[[0-?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/gu;

/**
 * The text with new output in the place of what is shown, for commands that show some; `printed` is by the line that the command begins on, undefined where
 * what is shown stays. Excerpts stay: what to leave out is the writer's choice. All other lines are as they were.
 */
export function rewriteShown(text: string, { steps }: Tutorial, printed: ReadonlyMap<number, string | undefined>): string {
  const lines = [...linesOf(text)];
  for (const step of steps.toReversed()) {
    if (step.kind !== 'command' || step.shown === undefined || step.expects.isExcerpt) continue;
    const output = printed.get(step.at.from);
    if (output === undefined || step.shown.lines.some((line) => /^\s*(?:\.\.\.|…)\s*$/u.test(line))) continue;
    const { at, indentation } = step.shown;
    const fresh = linesOf(output.replaceAll(control, '').trimEnd()).map((line) => (line === '' ? '' : `${indentation}${line}`));
    lines.splice(at.from - 1, at.to - at.from + 1, ...fresh);
  }
  return lines.join('\n');
}
