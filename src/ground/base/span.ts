/** Places in a source text. Lines and columns count from 1; columns count UTF-16 units; `end` is exclusive. */
export type Position = { readonly line: number; readonly column: number };
export type Span = {
  /** Name of the source as people know it: `Dockerfile`, `docker/app.Dockerfile`. */
  readonly file: string;
  readonly start: Position;
  readonly end: Position;
};

/** A place that is known to the character: `offset` counts UTF-16 units from the beginning of the whole text, from 0 (a JavaScript string index). */
export type TextPosition = Position & { readonly offset: number };
/** `text.slice(start.offset, end.offset)` is what stands there. */
export type TextSpan = { readonly file: string; readonly start: TextPosition; readonly end: TextPosition };

const shownLength = 240;

/** The lines of a text as spans count them. */
export function linesOf(text: string): readonly string[] {
  return text.split(/\r?\n/u);
}

/**
 * An excerpt of a text, whole or in `linesOf` it, around `spans` with the marked lines behind `>>>`, as BuildKit prints it. A span that is a part of one line has carets
 * below it, and the column of the first such stands in the head. Gives no line break at the end.
 */
export function codeFrame(text: string | readonly string[], spans: readonly Span[], around = 2): string {
  const lines = typeof text === 'string' ? linesOf(text) : text;
  const marked = new Set<number>();
  for (const span of spans) {
    const last = span.end.column === 1 && span.end.line > span.start.line ? span.end.line - 1 : span.end.line;
    for (let line = span.start.line; line <= last; line++) marked.add(line);
  }
  if (marked.size === 0) return '';
  const first = Math.max(1, Math.min(...marked) - around);
  const final = Math.min(lines.length, Math.max(...marked) + around);
  const width = String(final).length;
  const rule = '-'.repeat(20);
  const body: string[] = [];
  for (let line = first; line <= final; line++) {
    const content = lines[line - 1] ?? '';
    const shown = content.length > shownLength ? `${content.slice(0, shownLength)}...` : content;
    body.push(` ${String(line).padStart(width)} | ${marked.has(line) ? '>>> ' : '    '}${shown}`.trimEnd());
    const carets = caretsFor(content, line, spans);
    if (carets !== '') body.push(` ${' '.repeat(width)} |     ${carets}`);
  }
  const start = spans[0];
  return [start ? headOf(start, lines) : '', rule, ...body, rule].join('\n');
}

function headOf(span: Span, lines: readonly string[]): string {
  const { line, column } = span.start;
  const isPart = caretsFor(lines[line - 1] ?? '', line, [span]) !== '';
  return `${span.file}:${line}${isPart ? `:${column}` : ''}`;
}

/** Carets below the spans that are a part of this line; '' for none. Tabs stay tabs, so that the columns meet. */
function caretsFor(content: string, line: number, spans: readonly Span[]): string {
  const first = content.length - content.trimStart().length;
  const last = content.trimEnd().length;
  const width = Math.min(content.length, shownLength);
  const isMarked = Array.from({ length: width }, () => false);
  for (const { start, end } of spans) {
    if (start.line !== line || end.line !== line) continue;
    const [from, to] = [start.column - 1, Math.min(end.column - 1, last)];
    if (to - from >= last - first) continue;
    for (let at = from; at < Math.min(to, width); at++) isMarked[at] = true;
  }
  return Array.from(isMarked, (is, at) => (is ? '^' : content[at] === '\t' ? '\t' : ' '))
    .join('')
    .trimEnd();
}
