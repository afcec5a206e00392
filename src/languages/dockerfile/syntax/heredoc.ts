/** Here-documents: `<<EOF`, `<<-EOF`, `<<"EOF"`, `3<<EOF`; several a line. */
import { expandWord, type WordRules } from '#languages/frontend/words.ts';
import type { Heredoc } from '../ast.ts';

export type HeredocHead = Omit<Heredoc, 'content' | 'contentSpan' | 'span'>;

const none: ReadonlyMap<string, string> = new Map();
const lineRules: WordRules = { escape: '\\', keepQuotes: true, keepEscapes: true, keepUnset: true };

/** The here-documents a line announces, in order. */
export function heredocsOf(line: string): readonly HeredocHead[] {
  if (!line.includes('<<')) return [];
  return expandWord(line, none, lineRules).words.flatMap((word) => parseHeredocHead(word) ?? []);
}

/** Takes one word as written; undefined when it announces no here-document. */
export function parseHeredocHead(word: string): HeredocHead | undefined {
  const angles = word.indexOf('<<');
  if (angles < 0 || !/^\d*$/u.test(word.slice(0, angles))) return undefined;
  const chomp = word[angles + 2] === '-';
  const end = word.slice(angles + (chomp ? 3 : 2)).trimStart();
  if (end === '' || end.includes('<')) return undefined;
  const bare = expandWord(end, none, { escape: '\\', keepUnset: true }).words;
  const [name] = bare;
  if (name === undefined || bare.length !== 1) return undefined;
  const [quoted = ''] = expandWord(end, none, { escape: '\\', keepUnset: true, keepQuotes: true }).words;
  const descriptor = Math.min(Number(word.slice(0, angles)), 0xffff_ffff);
  return { name, descriptor, chomp, expand: countQuotes(name) === countQuotes(quoted) };
}

/** The text with the tabs at the beginning of its lines left out, if the document is a `<<-` one. */
export function bodyOf(heredoc: Heredoc): string {
  return heredoc.chomp ? heredoc.content.replaceAll(/^\t+/gmu, '') : heredoc.content;
}

function countQuotes(text: string): number {
  let count = 0;
  for (const character of text) if (character === '"' || character === "'") count++;
  return count;
}
