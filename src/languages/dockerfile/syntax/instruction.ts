/** One logical line to one instruction: the name, flags and here-documents that all have, then what each makes of its arguments. */
import { suggest } from '#ground/base/human.ts';
import type { TextSpan } from '#ground/base/span.ts';
import type { EscapeCharacter } from '#languages/frontend/words.ts';
import type { Heredoc, Instruction, Word } from '../ast.ts';
import { argumentReaders } from './arguments.ts';
import { checkFlags, takeFlags } from './flags.ts';
import { heredocsOf } from './heredoc.ts';
import { readJsonForm } from './json-form.ts';
import { spanOf, type LineReader, type LogicalLine, type ReportFault } from './lines.ts';
import type { Reading } from './reading.ts';
import { isSeparator, textOf, trimStretch, wordOf, type Stretch } from './scan.ts';

export type InstructionReader = { readonly lines: LineReader; readonly escape: EscapeCharacter; readonly report: ReportFault };

const takesHeredocs = new Set(['add', 'copy', 'run']);

/** undefined when a fault was reported. */
export function readInstruction(line: LogicalLine, reader: InstructionReader): Instruction | undefined {
  const whole = trimStretch({ line, start: 0, end: line.text.length });
  const head = splitHead(whole);
  const heredocs = readHeredocs(head, reader);
  if (!heredocs) return undefined;
  return readHead(head, { reader, heredocs, inner: false });
}

type Head = { readonly keyword: Word; readonly name: string; readonly arguments: Stretch; readonly whole: Stretch };
type Surroundings = { readonly reader: InstructionReader; readonly heredocs: readonly Heredoc[]; readonly inner: boolean };

function splitHead(whole: Stretch): Head {
  const { line, start, end } = whole;
  let at = start;
  while (at < end && !isSeparator(line.text[at])) at++;
  const keyword = wordOf(line, start, at);
  while (at < end && isSeparator(line.text[at])) at++;
  return { keyword, name: keyword.text.toLowerCase(), arguments: { line, start: at, end }, whole };
}

const none: readonly Heredoc[] = [];

/** The bodies of here-documents that the line announces; undefined when one has no end. */
function readHeredocs(head: Head, reader: InstructionReader): readonly Heredoc[] | undefined {
  const inner = head.name === 'onbuild' ? splitHead(trimStretch(takeFlags(head.arguments).rest)) : head;
  const { line } = head.whole;
  if (!takesHeredocs.has(inner.name) || !line.text.includes('<<')) return none;
  if (readJsonForm(trimStretch(takeFlags(inner.arguments).rest)).kind === 'list') return none;
  const heredocs: Heredoc[] = [];
  for (const start of heredocsOf(line.text)) {
    const body = reader.lines.readHeredoc(start.name, start.chomp);
    if (!body) {
      reader.report(
        'UnterminatedHeredoc',
        `Unterminated heredoc: no line is "${start.name.slice(0, 80)}"`,
        spanOf(line, head.whole.start, head.whole.end),
        `Add a line with nothing but "${start.name.slice(0, 80)}"`,
      );
      return undefined;
    }
    heredocs.push({ ...start, ...body });
  }
  return heredocs;
}

function readHead(head: Head, surroundings: Surroundings): Instruction | undefined {
  const { reader, heredocs, inner } = surroundings;
  const readArguments = Object.hasOwn(argumentReaders, head.name) ? argumentReaders[head.name] : undefined;
  if (!readArguments) {
    reportUnknown(head, reader);
    return undefined;
  }
  const { line } = head.whole;
  const { flags, rest } = takeFlags(head.arguments);
  const span = wholeSpan(head, heredocs);
  const report: ReportFault = (rule, message, at, hint) => reader.report(rule, message, anchored(span, at), hint);
  if (!checkFlags(flags, readArguments.flags, report)) return undefined;
  const reading: Reading = {
    name: head.keyword.text.toUpperCase(),
    stretch: trimStretch(rest),
    escape: reader.escape,
    report,
    common: {
      keyword: head.keyword,
      span,
      source: textOf(head.whole),
      comments: inner ? [] : line.comments,
      flags,
      heredocs,
      emptyContinuation: inner ? undefined : line.emptyContinuation,
    },
    readInner: (stretch) => {
      const part = trimStretch(stretch);
      return part.start === part.end ? undefined : readHead(splitHead(part), { ...surroundings, inner: true });
    },
  };
  return readArguments.read(reading);
}

function reportUnknown(head: Head, { report }: InstructionReader): void {
  const known = Object.keys(argumentReaders).map((name) => name.toUpperCase());
  const near = suggest(head.name, known);
  const shown = head.keyword.text.length > 80 ? `${head.keyword.text.slice(0, 80)}...` : head.keyword.text;
  report(
    'UnknownInstruction',
    `Unknown instruction: "${shown}"`,
    head.keyword.span,
    isEarthly(head) ? earthlyHint : near === undefined ? `Instructions are ${known.join(', ')}` : `Did you mean "${near}"?`,
  );
}

const earthlyHint =
  'Earthfiles are not read here. In a Dockerfile a target is a stage (FROM image AS build), and COPY +build/file is COPY --from=build /file';

/** A target of an Earthfile (`build:`), or what such files begin with. */
function isEarthly({ keyword }: Head): boolean {
  return /^(?:[a-z][\w.-]*:|VERSION)$/u.test(keyword.text);
}

function wholeSpan(head: Head, heredocs: readonly Heredoc[]): TextSpan {
  const span = spanOf(head.whole.line, head.whole.start, head.whole.end);
  const last = heredocs.at(-1);
  return last ? { ...span, end: last.span.end } : span;
}

/** Errors are known by the line their instruction begins on; a place further down keeps the whole instruction. */
function anchored(instruction: TextSpan, place: TextSpan): TextSpan {
  return place.start.line === instruction.start.line ? place : instruction;
}
