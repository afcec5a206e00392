/** The tests that docs/security.md and docs/faults.md name: each stands in the file that it is said to stand in, and no row has got lost. */
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

/** Rows of docs/security.md, numbered from 1. */
const attackRows = 83;

type Row = { readonly page: string; readonly id: string; readonly cell: string };

/** What is wrong, a line each. */
export function checkNamedTests(): readonly string[] {
  const tests = new Map(globSync(['test/**/*.test.ts', 'src/**/*.test.ts']).map((path) => [path, readFileSync(path, 'utf8')]));
  return [...checkAttacks(tests), ...checkFaults(tests)];
}

type Tests = ReadonlyMap<string, string>;

function checkAttacks(tests: Tests): readonly string[] {
  const page = 'docs/security.md';
  const rows = readRows(page);
  const numbers = rows.flatMap(({ id }) => (id === '' ? [] : [Number(id)]));
  const isWhole = numbers.length === attackRows && numbers.every((number, index) => number === index + 1);
  return [...(isWhole ? [] : [`${page}: the rows are not those from 1 to ${attackRows}`]), ...rows.flatMap((row) => checkCell(row, tests))];
}

/** Here a row's id stands in each of its files, so that they can be looked for by it. */
function checkFaults(tests: Tests): readonly string[] {
  return readRows('docs/faults.md').flatMap((row) => {
    const without = /^[A-Z]\d+$/u.test(row.id)
      ? namedIn(row, tests).flatMap(({ files }) => files.filter((file) => !new RegExp(`\\b${row.id}\\b`, 'u').test(tests.get(file) ?? '')))
      : [];
    return [...checkCell(row, tests), ...without.map((file) => `${row.page}: nothing in ${file} bears the id ${row.id}`)];
  });
}

/** The first and the last cell of each line of each table. */
function readRows(page: string): readonly Row[] {
  return readFileSync(page, 'utf8')
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter(([, id = '', ...rest]) => rest.length > 1 && !/^(?:row|id|where|-+)$/u.test(id))
    .map((cells) => ({ page, id: cells[1] ?? '', cell: cells.at(-2) ?? '' }));
}

function checkCell(row: Row, tests: Tests): readonly string[] {
  const at = `${row.page}, row ${row.id}`;
  return [
    ...(row.cell === '' ? [`${at}: neither a test nor a reason`] : []),
    ...namedIn(row, tests).flatMap(({ written, files, names }) => [
      ...(files.length > 0 ? [] : [`${at}: there is no test file ${written}`]),
      ...names.flatMap((name) =>
        files.filter((file) => !holds(tests.get(file) ?? '', name)).map((file) => `${at}: no test of ${file} is called "${name}"`),
      ),
    ]),
  ];
}

type Named = { readonly written: string; readonly files: readonly string[]; readonly names: string[] };

/** Files of a cell, each with the quoted names that follow it. One without a folder is rather one of test/ than one beside its source. */
function namedIn({ page, cell }: Row, tests: Tests): readonly Named[] {
  const found: Named[] = [];
  for (const [, written = '', name] of cell.matchAll(/`([^`]+)`|"([^"]+)"/gu)) {
    if (name !== undefined) {
      if (found.length === 0) found.push({ written: `before "${name}"`, files: [], names: [] });
      found.at(-1)?.names.push(name);
      continue;
    }
    const path = shortNames(page).get(written) ?? written;
    if (!path.endsWith('.test.ts')) continue;
    const files = [...tests.keys()].filter((file) => file === path || basename(file) === path);
    const inTest = files.filter((file) => file.startsWith('test/'));
    found.push({ written: path, files: inTest.length > 0 ? inTest : files, names: [] });
  }
  return found;
}

/** "`disk` is `test/e2e/disk.test.ts`" above a table. */
function shortNames(page: string): ReadonlyMap<string, string> {
  return new Map([...readFileSync(page, 'utf8').matchAll(/`(\w+)` is `([^`]+)`/gu)].map(([, name = '', path = '']) => [name, path]));
}

/** Comments do not count; "..." stands for anything within a line. */
function holds(source: string, name: string): boolean {
  const code = source.replaceAll(/^\s*(?:\/\*\*[\s\S]*?\*\/|\/\/.*$)/gmu, '');
  const words = name.split(/\s*\.\.\.\s*/u).map((part) => RegExp.escape(part));
  return new RegExp(words.join('.*'), 'u').test(code);
}
