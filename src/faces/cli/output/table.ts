/** Tables as the docker CLI prints them: each column as wide as its widest cell and 3 blanks, 10 at least; nothing after the last cell. */

const padding = 3;
const narrowest = 10;

/** Lines of a table, each with its line break; columns are `least` wide at least. Rows may be of different lengths. Widths count characters, as Go's tabwriter does. */
export function formatTable(rows: readonly (readonly string[])[], least = narrowest): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.slice(0, -1).entries()) {
      widths[column] = Math.max(widths[column] ?? least, characterCount(cell) + padding);
    }
  }
  return rows.map((row) => `${row.map((cell, column) => pad(cell, column, row, widths)).join('')}\n`).join('');
}

function pad(cell: string, column: number, row: readonly string[], widths: readonly number[]): string {
  if (column === row.length - 1) return cell;
  return cell + ' '.repeat((widths[column] ?? narrowest) - characterCount(cell));
}

function characterCount(text: string): number {
  return /^[\u0020-\u007e]*$/u.test(text) ? text.length : Array.from(text).length;
}
