/** What the readers of all instructions share: an instruction whose arguments are still to be read, faults, commands and lists. */
import { unreachable } from '#ground/base/errors.ts';
import type { EscapeCharacter } from '#languages/frontend/words.ts';
import type { Command, Instruction, Word } from '../ast.ts';
import { readJsonForm } from './json-form.ts';
import type { ReportFault } from './lines.ts';
import { splitPlain, wordOf, type Stretch } from './scan.ts';

type Common = Pick<Instruction, 'keyword' | 'span' | 'source' | 'comments' | 'flags' | 'heredocs' | 'emptyContinuation'>;

export type Reading = {
  /** The instruction's name in upper case, for messages. */
  readonly name: string;
  /** The arguments behind the flags, without white space at the ends. */
  readonly stretch: Stretch;
  readonly escape: EscapeCharacter;
  readonly report: ReportFault;
  readonly common: Common;
  /** Reads an instruction inside this one (ONBUILD). */
  readInner(stretch: Stretch): Instruction | undefined;
};

/** Reports a fault of the arguments, at the instruction if nowhere else. */
export function fault(reading: Reading, message: string, hint?: string, at = reading.common.span): undefined {
  reading.report('WrongArguments', message, at, hint);
  return undefined;
}

/** Is nothing there? */
export function isEmpty({ start, end }: Stretch): boolean {
  return start === end;
}

/** Shell form, or JSON form; nothing at all is an empty shell form. */
export function readCommand(reading: Reading, stretch: Stretch): Command | undefined {
  const json = readJsonForm(stretch);
  const whole = wordOf(stretch.line, stretch.start, stretch.end);
  switch (json.kind) {
    case 'list':
      return { form: 'exec', arguments: json.words, span: whole.span };
    case 'plain':
      return { form: 'shell', text: whole };
    case 'not-strings':
      return notStrings(reading, whole);
    default:
      return unreachable(json, 'JSON form');
  }
}

/** Reports a JSON list with anything but strings in it. */
export function notStrings(reading: Reading, whole: Word): undefined {
  return fault(
    reading,
    'When using JSON array syntax, arrays must be comprised of strings only',
    'Put every argument in double quotes',
    whole.span,
  );
}

/** JSON form or plain words; undefined when a fault was reported. */
export function readList(reading: Reading): readonly Word[] | undefined {
  const json = readJsonForm(reading.stretch);
  if (json.kind === 'not-strings') return notStrings(reading, wordOf(reading.stretch.line, reading.stretch.start, reading.stretch.end));
  return json.kind === 'list' ? json.words : splitPlain(reading.stretch);
}
