/** Go's `printf` for the values that templates have: https://pkg.go.dev/fmt. */
import type { Json } from '#ground/base/canonical-json.ts';
import { goJson } from '#ground/base/go-json.ts';

type Verb = { readonly flags: string; readonly width: number; readonly precision: number | undefined; readonly letter: string };

const widest = 1000;

/** `printValue` prints what `%v` prints. What a verb cannot print comes as in Go: `%!d(string=x)`. */
export function printFormat(format: string, values: readonly Json[], printValue: (value: Json) => string): string {
  let next = 0;
  const text = format.replaceAll(
    /%([-+# 0]*)(\d*)(?:\.(\d*))?(.?)/gsu,
    (_, flags: string, width: string, precision: string | undefined, letter: string) => {
      if (letter === '%') return '%';
      if (letter === '') return '%!(NOVERB)';
      const value = values[next++];
      if (value === undefined) return `%!${letter}(MISSING)`;
      const verb = {
        flags,
        width: Math.min(widest, Number(width)),
        precision: precision === undefined ? undefined : Math.min(100, Number(precision)),
        letter,
      };
      return pad(printVerb(verb, value, printValue) ?? `%!${letter}(${kindOf(value)}=${printValue(value)})`, verb, value);
    },
  );
  const extra = values.slice(next).map((value) => `${kindOf(value)}=${printValue(value)}`);
  return extra.length === 0 ? text : `${text}%!(EXTRA ${extra.join(', ')})`;
}

function printVerb(verb: Verb, value: Json, printValue: (value: Json) => string): string | undefined {
  if (verb.letter === 'v') return typeof value === 'number' ? signed(verb, value, printValue(value)) : printValue(value);
  if (typeof value === 'number') return printNumber(verb, value);
  if (typeof value === 'boolean') return verb.letter === 't' ? String(value) : undefined;
  if (typeof value === 'string') return printText(verb, value);
  return verb.letter === 's' ? printValue(value) : undefined;
}

function printNumber(verb: Verb, value: number): string | undefined {
  const whole = Number.isInteger(value);
  switch (verb.letter) {
    case 'd':
      return whole ? signed(verb, value, String(value)) : undefined;
    case 'f':
    case 'F':
      return whole && verb.precision === undefined ? undefined : signed(verb, value, value.toFixed(verb.precision ?? 6));
    case 'e':
      return signed(verb, value, value.toExponential(verb.precision ?? 6).replace(/e([+-])(\d)$/u, 'e$10$2'));
    case 'g':
      return signed(verb, value, String(verb.precision === undefined ? value : Number(value.toPrecision(Math.max(1, verb.precision)))));
    case 'x':
      return whole ? signed(verb, value, `${verb.flags.includes('#') ? '0x' : ''}${value.toString(16)}`) : undefined;
    case 'X':
      return whole ? signed(verb, value, `${verb.flags.includes('#') ? '0X' : ''}${value.toString(16).toUpperCase()}`) : undefined;
    case 'o':
      return whole ? value.toString(8) : undefined;
    case 'b':
      return whole ? value.toString(2) : undefined;
    case 'c':
      return whole && value >= 0 && value <= 0x10ffff ? String.fromCodePoint(value) : undefined;
    case 'U':
      return whole ? `U+${value.toString(16).toUpperCase().padStart(4, '0')}` : undefined;
    case 'q':
      return whole && value >= 0 && value <= 0x10ffff ? `'${String.fromCodePoint(value)}'` : undefined;
    default:
      return undefined;
  }
}

function printText(verb: Verb, value: string): string | undefined {
  const cut = verb.precision === undefined ? value : Array.from(value).slice(0, verb.precision).join('');
  switch (verb.letter) {
    case 's':
      return cut;
    case 'q':
      return JSON.stringify(cut);
    case 'x':
    case 'X': {
      const hex = Array.from(new TextEncoder().encode(cut), (byte) => byte.toString(16).padStart(2, '0')).join('');
      return verb.letter === 'x' ? hex : hex.toUpperCase();
    }
    default:
      return undefined;
  }
}

function signed({ flags }: Verb, value: number, text: string): string {
  return value >= 0 && flags.includes('+') ? `+${text}` : value >= 0 && flags.includes(' ') ? ` ${text}` : text;
}

function pad(text: string, { flags, width }: Verb, value: Json): string {
  const missing = width - Array.from(text).length;
  if (missing <= 0) return text;
  if (flags.includes('-')) return text + ' '.repeat(missing);
  if (!flags.includes('0')) return ' '.repeat(missing) + text;
  const sign = typeof value === 'number' && /^[+-]/u.test(text) ? text.slice(0, 1) : '';
  return sign + '0'.repeat(missing) + text.slice(sign.length);
}

/** What Go calls the type of such a value. */
function kindOf(value: Json): string {
  if (value === null) return '<nil>';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'string';
  return Array.isArray(value) ? '[]interface {}' : goJson(value).startsWith('{') ? 'map[string]interface {}' : 'interface {}';
}
