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

/**
 * An excerpt of `text` around `spans` with the marked lines behind `>>>`, as BuildKit prints it.
 * Gives no line break at the end.
 */
export function codeFrame(text: string, spans: readonly Span[], around = 2): string {
  const lines = text.split(/\r?\n/u);
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
    const shown = content.length > 240 ? `${content.slice(0, 240)}...` : content;
    body.push(` ${String(line).padStart(width)} | ${marked.has(line) ? '>>> ' : '    '}${shown}`.trimEnd());
  }
  const start = spans[0];
  return [start ? `${start.file}:${start.start.line}` : '', rule, ...body, rule].join('\n');
}
