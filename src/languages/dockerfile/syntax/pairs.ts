/** Names and values: the arguments of ENV, LABEL and ARG. */
import type { ArgInstruction, Pair, Word } from '../ast.ts';
import { fault, type Reading } from './reading.ts';
import { asWord, isSeparator, splitQuoted, textOf, wordOf, type Stretch } from './scan.ts';

/** Reads ENV and LABEL: `name=value ...`, or `name the whole rest`; undefined when a fault was reported. */
export function withPairs<T>(reading: Reading, make: (pairs: readonly Pair[]) => T): T | undefined {
  const words = splitQuoted(reading.stretch, reading.escape);
  const [first] = words;
  if (!first) return fault(reading, `${reading.name} requires at least one argument`, `Write ${reading.name} name=value`);
  if (!textOf(first).includes('=')) {
    const pair = readOldPair(reading);
    return pair && make([pair]);
  }
  const pairs: Pair[] = [];
  for (const word of words) {
    const pair = cutPair(word);
    if (!pair) return noEquals(reading, asWord(word));
    if (pair.name.text === '') return blankName(reading, word);
    pairs.push({ ...pair, legacy: false });
  }
  return make(pairs);
}

/** `ENV name the whole rest`. */
function readOldPair(reading: Reading): Pair | undefined {
  const { line, start, end } = reading.stretch;
  let at = start;
  while (at < end && !isSeparator(line.text[at])) at++;
  const name = wordOf(line, start, at);
  while (at < end && isSeparator(line.text[at])) at++;
  if (at === end) return fault(reading, `${reading.name} must have two arguments`, `Write ${reading.name} ${name.text.slice(0, 80)}=value`);
  return { name, value: wordOf(line, at, end), legacy: true };
}

function noEquals(reading: Reading, word: Word): undefined {
  const shown = word.text.slice(0, 80);
  const message = `Syntax error - can't find = in "${shown}". Must be of the form: name=value`;
  return fault(reading, message, `Write ${shown}=... or quote the value before it`, word.span);
}

function blankName(reading: Reading, word: Stretch): undefined {
  return fault(reading, `${reading.name} names can not be blank`, 'Put a name before the "="', asWord(word).span);
}

/** Cuts at the first `=`; undefined without one. */
function cutPair({ line, start, end }: Stretch): { readonly name: Word; readonly value: Word } | undefined {
  const equals = line.text.slice(start, end).indexOf('=');
  if (equals < 0) return undefined;
  return { name: wordOf(line, start, start + equals), value: wordOf(line, start + equals + 1, end) };
}

/** Reads ARG: `name`, `name=default`, several of them; undefined when a fault was reported. */
export function readArg(reading: Reading): ArgInstruction | undefined {
  const words = splitQuoted(reading.stretch, reading.escape);
  if (words.length === 0) return fault(reading, 'ARG requires at least one argument', 'Write ARG name or ARG name=default');
  const list: { name: Word; value: Word | undefined }[] = [];
  for (const word of words) {
    const pair = cutPair(word);
    if (pair?.name.text === '') return blankName(reading, word);
    list.push(pair ?? { name: asWord(word), value: undefined });
  }
  return { ...reading.common, kind: 'arg', arguments: list };
}
