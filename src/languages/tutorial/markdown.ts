/** The parts of a Markdown text that a tutorial is made of: fenced blocks, the paragraph before each, and comments that readers do not see. CommonMark 0.31, section 4.5; HTML comments of section 4.6 that stand on lines of their own. */
import { linesOf } from '#ground/base/span.ts';

export type MarkdownBlock = {
  /** First word of the info string, lower case; '' for none. */
  readonly language: string;
  /** The rest of the info string. */
  readonly info: string;
  /** Without the fence's own indentation. */
  readonly lines: readonly string[];
  /** Line of the opening fence, from 1. The content begins one below. */
  readonly fence: number;
  /** Line of the closing fence; one behind the last line where there is none. */
  readonly end: number;
  readonly indentation: string;
  /** The text directly before, up to the block before it: its last paragraph, in one line. */
  readonly paragraph: string;
  /** What comments since the block before say, each without its marks. */
  readonly comments: readonly string[];
};

type Fence = { readonly mark: string; readonly indentation: string; readonly info: string; readonly at: number };

const opening = /^(?<indentation>[ \t]*(?:[-*+]\s+|\d{1,9}[.)]\s+)?)(?<mark>`{3,}|~{3,})(?<info>.*)$/u;

/** All fenced blocks in order. Never throws: a fence that is not closed goes to the end of the text, as CommonMark has it. */
export function readMarkdown(text: string): readonly MarkdownBlock[] {
  const lines = linesOf(text);
  const blocks: MarkdownBlock[] = [];
  let paragraph: string[] = [];
  let comments: string[] = [];
  let index = 0;
  while (index < lines.length) {
    const line = lines[index] ?? '';
    const fence = readFence(line, index + 1);
    const comment = readComment(lines, index);
    if (fence !== undefined) {
      const end = findEnd(lines, index + 1, fence);
      blocks.push(blockOf(fence, { lines: lines.slice(index + 1, end), end: end + 1, paragraph: paragraph.join(' '), comments }));
      paragraph = [];
      comments = [];
      index = end + 1;
    } else if (comment !== undefined) {
      comments.push(comment.text);
      index = comment.next;
    } else {
      // A blank line ends a paragraph only when another one follows: the last one before a block is asked for.
      if (line.trim() !== '' && (lines[index - 1] ?? '').trim() === '') paragraph = [];
      if (line.trim() !== '') paragraph.push(line.trim());
      index++;
    }
  }
  return blocks;
}

function readFence(line: string, at: number): Fence | undefined {
  const groups = opening.exec(line)?.groups;
  if (groups === undefined) return undefined;
  const { indentation = '', mark = '', info = '' } = groups;
  // The info string of a fence of backticks has none: it would be code in a line.
  if (mark.startsWith('`') && info.includes('`')) return undefined;
  return { mark, indentation, info: info.trim(), at };
}

function findEnd(lines: readonly string[], from: number, { mark }: Fence): number {
  for (let index = from; index < lines.length; index++) {
    const closing = (lines[index] ?? '').trim();
    if (closing.length >= mark.length && closing === mark.charAt(0).repeat(closing.length)) return index;
  }
  return lines.length;
}

function blockOf(fence: Fence, found: Pick<MarkdownBlock, 'lines' | 'end' | 'paragraph' | 'comments'>): MarkdownBlock {
  const [language = ''] = fence.info.split(/\s/u);
  const width = fence.indentation.length;
  const lines = found.lines.map((line) => line.slice(Math.min(width, line.length - line.trimStart().length)));
  const word = language.startsWith('{') ? '' : language;
  return {
    ...found,
    lines,
    language: word.toLowerCase(),
    info: fence.info.slice(word.length).trim(),
    fence: fence.at,
    indentation: ' '.repeat(width),
  };
}

/** A comment that begins on this line, over as many lines as it takes. */
function readComment(lines: readonly string[], index: number): { readonly text: string; readonly next: number } | undefined {
  if (!(lines[index] ?? '').trimStart().startsWith('<!--')) return undefined;
  const taken: string[] = [];
  for (let next = index; next < lines.length; next++) {
    const line = lines[next] ?? '';
    taken.push(line);
    if (line.includes('-->'))
      return {
        text: taken
          .join(' ')
          .trim()
          .replace(/^<!--/u, '')
          .replace(/-->.*$/u, '')
          .trim(),
        next: next + 1,
      };
  }
  return undefined;
}
