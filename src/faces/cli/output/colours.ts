/** The colours of redrawn progress, as BuildKit reads them (util/progress/progressui): NO_COLOR, and BUILDKIT_COLORS such as `run=green:error=255,0,0`. */

/** What stands before a line of each kind, up to the `m`. */
export type Colours = Readonly<Record<ColouredKind, string>>;
type ColouredKind = (typeof kinds)[number];

const kinds = ['run', 'cancel', 'error', 'warning'] as const;

/** Blue, yellow and red, as BuildKit has them. */
const standard: Colours = { run: '34', cancel: '33', error: '31', warning: '33' };

const plain = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'] as const;
const names: ReadonlyMap<string, string> = new Map([
  ...plain.flatMap((name, index): [string, string][] => [
    [name, String(30 + index)],
    [`light-${name}`, String(90 + index)],
  ]),
  ['default', '39'],
]);

/** `colours` undefined: none are wanted. `faults`: entries of BUILDKIT_COLORS that cannot be used, each a sentence; the others count. */
export function readColours(environment: Readonly<Record<string, string | undefined>>): {
  readonly colours: Colours | undefined;
  readonly faults: readonly string[];
} {
  if ((environment['NO_COLOR'] ?? '') !== '') return { colours: undefined, faults: [] };
  const colours: Record<ColouredKind, string> = { ...standard };
  const faults: string[] = [];
  for (const entry of (environment['BUILDKIT_COLORS'] ?? '').split(':')) {
    if (entry === '') continue;
    const [key = '', value = '', ...more] = entry.toLowerCase().split('=');
    const kind = kinds.find((one) => one === key);
    const colour = colourOf(value);
    if (kind !== undefined && colour !== undefined && more.length === 0) colours[kind] = colour;
    else faults.push(`BUILDKIT_COLORS: "${entry}" is left aside: write ${kinds.join('|')}=NAME or =RED,GREEN,BLUE, with ":" between them`);
  }
  return { colours, faults };
}

/** A name, or three numbers up to 255. */
function colourOf(value: string): string | undefined {
  const parts = value.split(',');
  const isRgb = parts.length === 3 && parts.every((part) => /^\d{1,3}$/u.test(part) && Number(part) <= 255);
  return isRgb ? `38;2;${parts.map(Number).join(';')}` : names.get(value);
}

/** Lines of a running step's output that are shown: BUILDKIT_TTY_LOG_LINES, else 6. */
export function readLogLines(environment: Readonly<Record<string, string | undefined>>): number {
  const lines = Number(environment['BUILDKIT_TTY_LOG_LINES'] ?? '');
  return Number.isSafeInteger(lines) && lines > 0 ? lines : 6;
}
