/** `RUN --mount=` values: comma-separated key=value pairs with CSV quoting. Only names of sources are read here; the rest waits for its variables. */
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
  const options = fields.map((field) => {
    const equals = field.indexOf('=');
    return equals < 0
      ? { key: field.toLowerCase(), value: undefined }
      : { key: field.slice(0, equals).toLowerCase(), value: field.slice(equals + 1) };
  });
  const from = options.findLast((option) => option.key === 'from')?.value ?? '';
  if (/\$./su.test(from)) {
    report(
      'BadMount',
      `"from" doesn't support variable expansion, define alias stage instead`,
      flag.span,
      'Add "FROM $NAME AS alias" above and use from=alias',
    );
    return undefined;
  }
  return { span: flag.span, options, from };
}

/** One CSV record; undefined when a quote is out of place. */
function splitCsv(text: string): readonly string[] | undefined {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      let field = '';
      for (at++; ; at++) {
        if (at >= text.length) return undefined;
        if (text[at] !== '"') field += text[at];
        else if (text[at + 1] === '"') field += text[at++];
        else break;
      }
      fields.push(field);
      at++;
      if (at < text.length && text[at] !== ',') return undefined;
    } else {
      const comma = text.indexOf(',', at);
      const field = text.slice(at, comma < 0 ? text.length : comma);
      if (field.includes('"')) return undefined;
      fields.push(field);
      at += field.length;
    }
    if (at >= text.length) return fields;
    at++;
  }
}
