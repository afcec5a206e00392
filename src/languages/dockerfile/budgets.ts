/** Limits of an image that stand in its Dockerfile: `# jettison:budget final<=20MB layers<=12`. */
import type { TextSpan } from '#ground/base/span.ts';
import { budgetMark as mark, isBudget } from './marks.ts';
import { parseDockerfile } from './parse.ts';

/** Each word behind the mark, and where it stands; a mark with nothing behind it is a word of its own. Costs nothing where the mark stands nowhere in the text. */
export function budgetWords(text: string, file: string): readonly { readonly word: string; readonly at: TextSpan }[] {
  if (!text.includes(mark)) return [];
  return parseDockerfile(text, file).dockerfile.comments.flatMap((comment) => {
    if (!isBudget(comment)) return [];
    const [, ...rest] = comment.text.split(/\s+/u);
    if (rest.length === 0) return [{ word: '', at: comment.span }];
    const line = text.slice(comment.span.start.offset, comment.span.end.offset);
    const words: { readonly word: string; readonly at: TextSpan }[] = [];
    let from = line.indexOf(mark) + mark.length;
    for (const word of rest) {
      const place = line.indexOf(word, from);
      from = place + word.length;
      words.push({ word, at: { file, start: moved(comment.span.start, place), end: moved(comment.span.start, from) } });
    }
    return words;
  });
}

function moved({ line, column, offset }: TextSpan['start'], by: number): TextSpan['start'] {
  return { line, column: column + by, offset: offset + by };
}
