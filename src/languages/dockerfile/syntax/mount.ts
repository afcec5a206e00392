/** `RUN --mount=` values: comma-separated key=value pairs with CSV quoting. Only names of sources are read here; the rest waits for its variables. */
import type { TextSpan } from '#ground/base/span.ts';
import type { Flag, RunMount } from '../ast.ts';
import type { ReportFault } from './lines.ts';

/** undefined when a fault was reported. */
export function readMount(flag: Flag, report: ReportFault): RunMount | undefined {
  const fields = splitCsv(flag.value ?? '');
  if (!fields) {
    report(
      'BadMount',
      `Failed to parse csv mounts: "${flag.value ?? ''}"`,
      flag.span,
      'Quote a whole field, as in --mount=type=bind,"source=a,b",target=/x',
    );
    return undefined;
  }
  const options = fields.map(({ text, from, to }) => {
    const equals = text.indexOf('=');
    const span = partOf(flag, from, to);
    return equals < 0
      ? { key: text.toLowerCase(), value: undefined, span }
      : { key: text.slice(0, equals).toLowerCase(), value: text.slice(equals + 1), span };
  });
  const origin = options.findLast((option) => option.key === 'from');
  const from = origin?.value ?? '';
  if (/\$./su.test(from)) {
    report(
      'BadMount',
      `"from" doesn't support variable expansion, define alias stage instead`,
      origin?.span ?? flag.span,
      'Add "FROM $NAME AS alias" above and use from=alias',
    );
    return undefined;
  }
  return { span: flag.span, options, from };
}

/** The place of the characters `from` to `to` of a flag's value; the whole flag's where the value is not written as it is meant, in one line. */
function partOf(flag: Flag, from: number, to: number): TextSpan {
  const { file, start, end } = flag.valueSpan;
  const isPlain = start.line === end.line && end.column - start.column === flag.value?.length;
  if (!isPlain) return flag.span;
  const at = (step: number) => ({ line: start.line, column: start.column + step, offset: start.offset + step });
  return { file, start: at(from), end: at(to) };
}

/** A field without its quotes, and where it stands with them. */
type Field = { readonly text: string; readonly from: number; readonly to: number };

/** One CSV record; undefined when a quote is out of place. */
function splitCsv(text: string): readonly Field[] | undefined {
  const fields: Field[] = [];
  let at = 0;
  for (;;) {
    const from = at;
    if (text[at] === '"') {
      let field = '';
      for (at++; ; at++) {
        if (at >= text.length) return undefined;
        if (text[at] !== '"') field += text[at];
        else if (text[at + 1] === '"') field += text[at++];
        else break;
      }
      fields.push({ text: field, from, to: ++at });
      if (at < text.length && text[at] !== ',') return undefined;
    } else {
      const comma = text.indexOf(',', at);
      at = comma < 0 ? text.length : comma;
      const field = text.slice(from, at);
      if (field.includes('"')) return undefined;
      fields.push({ text: field, from, to: at });
    }
    if (at >= text.length) return fields;
    at++;
  }
}
