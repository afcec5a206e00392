/** Values as Go prints and reads them: BuildKit's history entries and option values are made by Go's `%q`, `%v` and time.Duration. */

const unprintable = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;
const escapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\u0007': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
};

/** Nothing in it needs an escape; the pattern above takes a millisecond to compile. */
const plain = /^[ !#-[\]-~]*$/u;

/** `%q` of a string. */
export function goQuote(text: string): string {
  if (plain.test(text)) return `"${text}"`;
  let out = '"';
  for (const character of text.toWellFormed()) {
    const escape = escapes[character];
    if (escape !== undefined) out += escape;
    else if (!unprintable.test(character)) out += character;
    else out += hexEscape(character.codePointAt(0) ?? 0);
  }
  return `${out}"`;
}

/** `%q` of a list of strings: `["a" "b"]`. */
export function goQuoteList(texts: readonly string[]): string {
  return `[${texts.map(goQuote).join(' ')}]`;
}

/** `%v` of a list of strings: `[a b]`. */
export function goList(texts: readonly string[]): string {
  return `[${texts.join(' ')}]`;
}

/** `%q` of a whole number: the character of that code in single quotes. */
export function goQuoteRune(code: number): string {
  const isCharacter = code >= 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
  const text = String.fromCodePoint(isCharacter ? code : 0xfffd);
  if (text === "'") return "'\\''";
  return text === '"' ? `'"'` : `'${goQuote(text).slice(1, -1)}'`;
}

function hexEscape(code: number): string {
  const hex = code.toString(16);
  if (code < 0x80) return `\\x${hex.padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}

const units: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  '\u00b5s': 1e3,
  '\u03bcs': 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
const durationPart = /^(\d*)(?:\.(\d*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/u;

/** Nanoseconds of `1h30m`, `1.5s`, `-2ms`, `0`; undefined when it is none (time.ParseDuration). */
export function parseDuration(text: string): number | undefined {
  const sign = text.startsWith('-') ? -1 : 1;
  let rest = text.replace(/^[+-]/u, '');
  if (rest === '0') return 0;
  if (rest === '' || rest.length > 100) return undefined;
  let total = 0;
  while (rest !== '') {
    const match = durationPart.exec(rest);
    const [whole = '', fraction = ''] = [match?.[1], match?.[2]];
    if (!match || (whole === '' && fraction === '')) return undefined;
    total += Number(`${whole === '' ? '0' : whole}.${fraction === '' ? '0' : fraction}`) * (units[match[3] ?? ''] ?? 0);
    rest = rest.slice(match[0].length);
  }
  return total > Number.MAX_SAFE_INTEGER * 1024 ? undefined : sign * Math.round(total);
}

/** `5m0s`, `1.5s`, `2ms`, `0s` (time.Duration.String). */
export function formatDuration(nanoseconds: number): string {
  if (nanoseconds === 0) return '0s';
  const sign = nanoseconds < 0 ? '-' : '';
  const value = Math.abs(nanoseconds);
  if (value < 1e3) return `${sign}${value}ns`;
  if (value < 1e6) return `${sign}${decimal(value, 1e3)}\u00b5s`;
  if (value < 1e9) return `${sign}${decimal(value, 1e6)}ms`;
  const minutes = Math.floor(value / 60e9);
  const seconds = decimal(value - minutes * 60e9, 1e9);
  if (minutes === 0) return `${sign}${seconds}s`;
  const hours = Math.floor(minutes / 60);
  return `${sign}${hours > 0 ? `${hours}h` : ''}${minutes % 60}m${seconds}s`;
}

/** value / unit without rounding and without zeros at the end. */
function decimal(value: number, unit: number): string {
  const fraction = String(Math.round(value % unit))
    .padStart(String(unit).length - 1, '0')
    .replace(/0+$/u, '');
  return `${Math.floor(value / unit)}${fraction === '' ? '' : `.${fraction}`}`;
}
