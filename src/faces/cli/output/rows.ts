/** Rows of `images`, `history` and `ps` in whatever format was asked for: the table, `table TEMPLATE`, `json`, a template for each row. */
import type { Json } from '#ground/base/canonical-json.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { goJson } from '#ground/base/go-json.ts';
import { formatTable } from './table.ts';
import { compileTemplate, fieldsOf, unescapeFormat } from './template.ts';

/** A row as templates see it: text by field name. */
export type Fields = Readonly<Record<string, string>>;

export type RowFormat = {
  /** The template of the plain table. */
  readonly table: string;
  /** Column titles by field. */
  readonly titles: Readonly<Record<string, string>>;
  /** `.Label "a"`: of a row, one of its labels; '' where it has none of that name. */
  readonly labelOf?: (row: Fields, name: string) => string;
  /** What JSON has of a row, where that is not all text. */
  readonly inJson?: (row: Fields) => Json;
};

/** The text for stdout. Throws `cli/bad-template` for a field that rows do not have, even when there are no rows. */
export function formatRows(rows: readonly Fields[], asked: string | undefined, format: RowFormat): string {
  if (asked === 'json' || asked === '{{json .}}') return rows.map((row) => `${goJson(format.inJson?.(row) ?? row)}\n`).join('');
  const isTable = asked === undefined || asked === '' || asked === 'table' || asked.startsWith('table ');
  const source = unescapeFormat(asked === undefined || asked === '' || asked === 'table' ? format.table : isTable ? asked.slice(6) : asked);
  const { labelOf } = format;
  const template = compileTemplate(source, labelOf && { methods: { Label: (row, name) => labelOf(row as Fields, name) } });
  checkFields(source, format);
  const titles = isTable
    ? [compileTemplate(source, { forTitles: true, methods: { Label: (_, name) => labelTitle(name) } })(format.titles)]
    : [];
  const lines = [...titles, ...rows.map((row) => template(row as Json))];
  return isTable ? formatTable(lines.map((line) => line.split('\t'))) : lines.map((line) => `${line}\n`).join('');
}

/** The last part of a label's name. */
function labelTitle(name: string): string {
  return (name.split('.').at(-1) ?? '').replaceAll(/[-_]/gu, ' ');
}

function checkFields(source: string, format: RowFormat): void {
  for (const field of fieldsOf(source)) {
    if (Object.hasOwn(format.titles, field) || (field === 'Label' && format.labelOf !== undefined)) continue;
    const known = Object.keys(format.titles).map((name) => `.${name}`);
    throw new JettisonError('cli/bad-template', `Template: no field "${field}"`, { hint: `There is ${known.join(' ')}` });
  }
}
