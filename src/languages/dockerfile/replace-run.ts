/** Another command in the place of one RUN. */
import { parseDockerfile } from './parse.ts';

/** `written`: the instruction as it stands now. */
export type ReplacedRun = { readonly text: string; readonly written: string };

/**
 * The Dockerfile with another command (a text for the shell) in the RUN that begins on `line`, from 1; its flags stay as they are. What one line cannot say becomes a here-document.
 * undefined where no RUN begins there.
 */
export function replaceRun(text: string, line: number, command: string): ReplacedRun | undefined {
  const { dockerfile } = parseDockerfile(text, 'Dockerfile');
  const run = dockerfile.stages
    .flatMap(({ instructions }) => instructions)
    .find((instruction) => instruction.kind === 'run' && instruction.span.start.line === line);
  if (run === undefined) return undefined;
  const flags = run.flags.map(({ span }) => `${text.slice(span.start.offset, span.end.offset)} `).join('');
  const written = `${run.keyword.text} ${flags}${needsDocument(command) ? asDocument(command) : command.trim()}`;
  const rest = text.slice(run.span.end.offset);
  const apart = rest === '' || /^\r?\n/u.test(rest) ? '' : '\n';
  return { text: `${text.slice(0, run.span.start.offset)}${written}${apart}${rest}`, written };
}

/** Would the language read more, or something else, out of it than a text for the shell? */
function needsDocument(command: string): boolean {
  const words = command.trim();
  return words.includes('\n') || words.includes('<<') || /^(?:\[|--|#|$)/u.test(words) || /[\\`]$/u.test(words);
}

function asDocument(command: string): string {
  const lines = command.replace(/\n+$/u, '').split('\n');
  let word = 'EOF';
  while (lines.includes(word)) word += '_';
  return `<<'${word}'\n${lines.join('\n')}\n${word}`;
}
