/** `--name[=value]` words between an instruction's name and its arguments. */
import { suggest } from '#ground/base/human.ts';
import { isSpace } from '#languages/frontend/spaces.ts';
import type { Flag, Word } from '../ast.ts';
import { spanOf, type ReportFault } from './lines.ts';
import type { Stretch } from './scan.ts';

export type FlagKind = 'text' | 'texts' | 'switch';
export type FlagTable = Readonly<Record<string, FlagKind>>;

const none: readonly Flag[] = [];

/** Takes the flags at the beginning of the stretch; `--` ends them. Quotes and backslashes in a flag are resolved. */
export function takeFlags(stretch: Stretch): { readonly flags: readonly Flag[]; readonly rest: Stretch } {
  const { line, end } = stretch;
  const { text } = line;
  if (text[stretch.start] !== '-' && !isSpace(text[stretch.start] ?? '')) return { flags: none, rest: stretch };
  const flags: Flag[] = [];
  let at = stretch.start;
  for (;;) {
    while (at < end && isSpace(text[at] ?? '')) at++;
    if (!(text.startsWith('--', at) && at + 1 < end)) break;
    const { word, equals, to } = readFlag(text, at, end);
    if (word === '--') {
      at = to;
      break;
    }
    const cut = word.indexOf('=');
    flags.push({
      name: cut < 0 ? word.slice(2) : word.slice(2, cut),
      value: cut < 0 ? undefined : word.slice(cut + 1),
      span: spanOf(line, at, to),
      valueSpan: spanOf(line, equals < 0 ? to : equals + 1, to),
    });
    at = to;
  }
  return { flags, rest: { line, start: at, end } };
}

/** The word at `from` without its quotes and backslashes; where its first "=" stands (-1 for none) and where it ends. */
function readFlag(text: string, from: number, end: number): { readonly word: string; readonly equals: number; readonly to: number } {
  const parts: string[] = [];
  let quote = '';
  let equals = -1;
  let at = from;
  // Everything from here on that has not been put into `parts`.
  let kept = from;
  for (; at < end; at++) {
    const character = text[at] ?? '';
    if (character === '=' && equals < 0) equals = at;
    if (character === '\\') {
      parts.push(text.slice(kept, at));
      kept = ++at;
      if (at < end && text[at] === '=' && equals < 0) equals = at;
    } else if (quote === '' ? character === '"' || character === "'" : character === quote) {
      parts.push(text.slice(kept, at));
      kept = at + 1;
      quote = quote === '' ? character : '';
    } else if (quote === '' && isSpace(character)) break;
  }
  const to = Math.min(at, end);
  return { word: parts.join('') + text.slice(kept, to), equals, to };
}

/** Reports flags that `table` does not have, that come twice, or lack a value or have a wrong one. Gives true when all are good. */
export function checkFlags(flags: readonly Flag[], table: FlagTable, report: ReportFault): boolean {
  if (flags.length === 0) return true;
  const seen = new Set<string>();
  for (const flag of flags) {
    const kind = Object.hasOwn(table, flag.name) ? table[flag.name] : undefined;
    const fault = faultOf(flag, kind, seen.has(flag.name));
    if (fault !== undefined) {
      report(kind === undefined ? 'UnknownFlag' : 'BadFlag', fault, flag.span, kind === undefined ? flagHint(flag.name, table) : undefined);
      return false;
    }
    seen.add(flag.name);
  }
  return true;
}

function faultOf(flag: Flag, kind: FlagKind | undefined, again: boolean): string | undefined {
  if (kind === undefined) return `Unknown flag: "--${flag.name}"`;
  if (again && kind !== 'texts') return `Duplicate flag specified: "--${flag.name}"`;
  if (kind !== 'switch') return flag.value === undefined ? `Missing a value on flag: "--${flag.name}"` : undefined;
  if (flag.value === '') return `Missing a value on flag: "--${flag.name}"`;
  return flag.value === undefined || /^(?:true|false)$/iu.test(flag.value)
    ? undefined
    : `Expecting boolean value for flag "--${flag.name}", not: "${flag.value}"`;
}

function flagHint(name: string, table: FlagTable): string | undefined {
  const names = Object.keys(table);
  const near = name.length > 40 ? undefined : suggest(name, names);
  if (near !== undefined) return `Did you mean "--${near}"?`;
  return names.length === 0 ? 'This instruction has no flags' : `It can have ${names.map((each) => `"--${each}"`).join(', ')}`;
}

/** The value of a flag as a word at the flag's place; undefined when the flag is not there. */
export function flagWord(flags: readonly Flag[], name: string): Word | undefined {
  if (flags.length === 0) return undefined;
  const flag = flags.find((each) => each.name === name);
  return flag?.value === undefined ? undefined : { text: flag.value, span: flag.valueSpan };
}

export function flagWords(flags: readonly Flag[], name: string): readonly Word[] {
  if (flags.length === 0) return [];
  return flags.flatMap((flag) => (flag.name === name && flag.value !== undefined ? [{ text: flag.value, span: flag.valueSpan }] : []));
}

/** undefined when the flag is not there. */
export function flagSwitch(flags: readonly Flag[], name: string): boolean | undefined {
  if (flags.length === 0) return undefined;
  const flag = flags.find((each) => each.name === name);
  return flag && flag.value?.toLowerCase() !== 'false';
}
