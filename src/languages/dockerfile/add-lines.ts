/** A Dockerfile with more instructions at the end of one stage, as a patch. */
import { failAtFirst } from './convert/faults.ts';
import { parseDockerfile } from './parse.ts';

const context = 3;

/**
 * What `diff -u` would say of the text with `lines` behind the last instruction of the stage: its name, or its number from 0. undefined where there is no such stage.
 * Throws the first fault of the text.
 */
export function patchStage(
  text: string,
  { file, stage, lines }: { readonly file: string; readonly stage: string; readonly lines: readonly string[] },
): string | undefined {
  const { dockerfile, diagnostics } = parseDockerfile(text, file);
  failAtFirst(diagnostics);
  const found =
    dockerfile.stages.find(({ from }) => from.alias?.name.text.toLowerCase() === stage.toLowerCase()) ??
    (/^\d+$/u.test(stage) ? dockerfile.stages[Number(stage)] : undefined);
  if (found === undefined) return undefined;
  const last = (found.instructions.at(-1) ?? found.from).span.end;
  // Where an instruction ends with its line, its end is the beginning of the next.
  const end = last.column === 1 && last.line > 1 ? last.line - 1 : last.line;
  const all = text.split('\n');
  const isWhole = text === '' || text.endsWith('\n');
  const count = isWhole ? all.length - (all.at(-1) === '' ? 1 : 0) : all.length;
  const start = Math.max(0, end - context);
  const before = all.slice(start, end);
  const after = all.slice(end, Math.min(count, end + context));
  const ending = text.includes('\r\n') ? '\r' : '';
  const cut = '\\ No newline at end of file';
  const isAtCut = !isWhole && end === count;
  const [head, tail] = isAtCut ? [before.slice(0, -1), before.slice(-1)] : [before, []];
  return [
    `--- a/${file}`,
    `+++ b/${file}`,
    `@@ -${start + 1},${before.length + after.length} +${start + 1},${before.length + after.length + lines.length} @@`,
    ...head.map((line) => ` ${line}`),
    ...tail.flatMap((line) => [`-${line}`, cut, `+${line}`]),
    ...lines.map((line) => `+${line}${ending}`),
    ...after.map((line) => ` ${line}`),
    ...(!isWhole && !isAtCut && end + context >= count ? [cut] : []),
    '',
  ].join('\n');
}
