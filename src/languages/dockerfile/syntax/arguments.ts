/** The arguments of each instruction. Wordings that people search the web for are BuildKit's. */
import { unreachable } from '#ground/base/errors.ts';
import { formatDuration, parseDuration } from '#languages/frontend/go-format.ts';
import { isSpace, trimSpace, type EscapeCharacter } from '#languages/frontend/words.ts';
import type {
  AddInstruction,
  ArgInstruction,
  Command,
  CopyInstruction,
  CopySource,
  FromInstruction,
  HealthcheckInstruction,
  Heredoc,
  Instruction,
  OnbuildInstruction,
  Pair,
  RunInstruction,
  RunMount,
  StageInstruction,
  Word,
} from '../ast.ts';
import { flagSwitch, flagWord, flagWords, type FlagTable } from './flags.ts';
import { parseHeredocHead } from './heredoc.ts';
import { readJsonForm } from './json-form.ts';
import type { ReportFault } from './lines.ts';
import { readMount } from './mount.ts';
import { asWord, isSeparator, splitPlain, splitQuoted, textOf, trimStretch, wordOf, type Stretch } from './scan.ts';

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

type ArgumentReader = { readonly flags: FlagTable; read(reading: Reading): Instruction | undefined };

const noFlags: FlagTable = {};
const copyFlags: FlagTable = { chown: 'text', chmod: 'text', link: 'switch', exclude: 'texts' };

/** By name in lower case; the keys are the instructions there are. */
export const argumentReaders: Readonly<Record<string, ArgumentReader>> = {
  add: { flags: { ...copyFlags, 'keep-git-dir': 'switch', checksum: 'text', unpack: 'switch' }, read: readAdd },
  arg: { flags: noFlags, read: readArg },
  cmd: { flags: noFlags, read: (reading) => withCommand(reading, (command) => ({ ...reading.common, kind: 'cmd', command })) },
  copy: { flags: { ...copyFlags, from: 'text', parents: 'switch' }, read: readCopy },
  entrypoint: {
    flags: noFlags,
    read: (reading) => withCommand(reading, (command) => ({ ...reading.common, kind: 'entrypoint', command })),
  },
  env: { flags: noFlags, read: (reading) => withPairs(reading, (pairs) => ({ ...reading.common, kind: 'env', pairs })) },
  expose: { flags: noFlags, read: (reading) => withWords(splitPlain, reading, (ports) => ({ ...reading.common, kind: 'expose', ports })) },
  from: { flags: { platform: 'text' }, read: readFrom },
  healthcheck: {
    flags: { interval: 'text', timeout: 'text', 'start-period': 'text', 'start-interval': 'text', retries: 'text' },
    read: readHealthcheck,
  },
  label: { flags: noFlags, read: (reading) => withPairs(reading, (pairs) => ({ ...reading.common, kind: 'label', pairs })) },
  maintainer: { flags: noFlags, read: (reading) => withOneWord(reading, (name) => ({ ...reading.common, kind: 'maintainer', name })) },
  onbuild: { flags: noFlags, read: readOnbuild },
  run: { flags: { mount: 'texts', network: 'text', security: 'text', device: 'texts' }, read: readRun },
  shell: { flags: noFlags, read: readShell },
  stopsignal: { flags: noFlags, read: (reading) => withOneWord(reading, (signal) => ({ ...reading.common, kind: 'stopsignal', signal })) },
  user: { flags: noFlags, read: (reading) => withOneWord(reading, (user) => ({ ...reading.common, kind: 'user', user })) },
  volume: { flags: noFlags, read: readVolume },
  workdir: { flags: noFlags, read: (reading) => withOneWord(reading, (path) => ({ ...reading.common, kind: 'workdir', path })) },
};

function fault(reading: Reading, message: string, hint?: string, at = reading.common.span): undefined {
  reading.report('WrongArguments', message, at, hint);
  return undefined;
}

function isEmpty({ start, end }: Stretch): boolean {
  return start === end;
}

function withOneWord<T>(reading: Reading, make: (word: Word) => T): T | undefined {
  const { line, start, end } = reading.stretch;
  return isEmpty(reading.stretch) ? fault(reading, `${reading.name} requires exactly one argument`) : make(wordOf(line, start, end));
}

function withWords<T>(split: (stretch: Stretch) => Word[], reading: Reading, make: (words: readonly Word[]) => T): T | undefined {
  const words = split(reading.stretch);
  return words.length === 0 ? fault(reading, `${reading.name} requires at least one argument`) : make(words);
}

/** Shell form, or JSON form; nothing at all is an empty shell form. */
function readCommand(reading: Reading, stretch: Stretch): Command | undefined {
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

function notStrings(reading: Reading, whole: Word): undefined {
  return fault(
    reading,
    'When using JSON array syntax, arrays must be comprised of strings only',
    'Put every argument in double quotes',
    whole.span,
  );
}

function withCommand<T>(reading: Reading, make: (command: Command) => T): T | undefined {
  const command = readCommand(reading, reading.stretch);
  return command && make(command);
}

/** JSON form or plain words; undefined when a fault was reported. */
function readList(reading: Reading): readonly Word[] | undefined {
  const json = readJsonForm(reading.stretch);
  if (json.kind === 'not-strings') return notStrings(reading, wordOf(reading.stretch.line, reading.stretch.start, reading.stretch.end));
  return json.kind === 'list' ? json.words : splitPlain(reading.stretch);
}

function withPairs<T>(reading: Reading, make: (pairs: readonly Pair[]) => T): T | undefined {
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

function readArg(reading: Reading): ArgInstruction | undefined {
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

const stageName = /^[a-z][a-z0-9._-]*$/u;

function readFrom(reading: Reading): FromInstruction | undefined {
  const [image, keyword, name, ...more] = splitPlain(reading.stretch);
  const aliased = keyword !== undefined && name !== undefined && more.length === 0 && keyword.text.toLowerCase() === 'as';
  if (!image || (keyword !== undefined && !aliased))
    return fault(reading, 'FROM requires either one or three arguments', 'Write FROM image, or FROM image AS name');
  if (aliased && !stageName.test(name.text.toLowerCase()))
    return fault(
      reading,
      `Invalid name for build stage: "${name.text.slice(0, 80)}", name can't start with a number or contain symbols`,
      'Use letters, digits, "-", "_" and "."',
      name.span,
    );
  return {
    ...reading.common,
    kind: 'from',
    image,
    platform: flagWord(reading.common.flags, 'platform'),
    alias: aliased ? { keyword, name } : undefined,
  };
}

const networks = { default: 'default', none: 'none', host: 'host' } as const;

function readRun(reading: Reading): RunInstruction | undefined {
  const { flags, heredocs } = reading.common;
  const command = readCommand(reading, reading.stretch);
  if (!command) return undefined;
  if (command.form === 'shell' && command.text.text === '')
    return fault(reading, 'RUN requires at least one argument', 'Write the command behind RUN');
  if (command.form === 'exec' && command.arguments.length === 0 && heredocs.length === 0)
    return fault(reading, 'RUN requires at least one argument', 'Put the program and its arguments in the list', command.span);
  const mounts = readMounts(reading);
  if (!mounts) return undefined;
  const network = flagWord(flags, 'network');
  if (network && !Object.hasOwn(networks, network.text))
    return fault(reading, `Invalid network mode "${network.text}"`, 'It is "default", "none" or "host"', network.span);
  const security = flagWord(flags, 'security');
  if (security && security.text !== 'sandbox' && security.text !== 'insecure')
    return fault(reading, `Security "${security.text}" is not valid`, 'It is "sandbox" or "insecure"', security.span);
  const device = flags.find((flag) => flag.name === 'device');
  if (device) {
    reading.report('NotBuiltYet', 'RUN --device is not built yet', device.span, 'Leave the flag out');
    return undefined;
  }
  return {
    ...reading.common,
    kind: 'run',
    command,
    mounts,
    network: network && networkOf(network.text),
    security: security?.text === 'insecure' ? 'insecure' : 'sandbox',
  };
}

/** All are read, so that all faults are reported; undefined when one was. */
function readMounts({ common: { flags }, report }: Reading): readonly RunMount[] | undefined {
  if (flags.length === 0) return [];
  const all = flags.filter(({ name }) => name === 'mount');
  const mounts = all.flatMap((flag) => readMount(flag, report) ?? []);
  return mounts.length === all.length ? mounts : undefined;
}

function networkOf(text: string): 'default' | 'none' | 'host' | undefined {
  return Object.values(networks).find((network) => network === text);
}

/** Sources and destination of COPY and ADD; undefined when a fault was reported. */
function readCopyCommon(reading: Reading) {
  const words = readList(reading);
  if (!words) return undefined;
  const destination = words.at(-1);
  if (!destination || words.length < 2)
    return fault(
      reading,
      `${reading.name} requires at least two arguments, but only one was provided. Destination could not be determined`,
      `Write ${reading.name} source destination`,
    );
  const { flags, heredocs } = reading.common;
  if (heredocs.length > 0 && parseHeredocHead(destination.text))
    return fault(reading, `${reading.name} cannot accept a heredoc as a destination`, 'Put the destination last', destination.span);
  const paths = words.slice(0, -1);
  const sources = heredocs.length > 0 ? readSources(paths, heredocs) : paths.map((path) => ({ kind: 'path', path }) as const);
  return {
    ...reading.common,
    sources,
    destination,
    chown: flagWord(flags, 'chown'),
    chmod: flagWord(flags, 'chmod'),
    link: flagSwitch(flags, 'link') ?? false,
    exclude: flagWords(flags, 'exclude'),
  };
}

function readSources(words: readonly Word[], heredocs: readonly Heredoc[]): readonly CopySource[] {
  const byName = new Map(heredocs.map((each) => [each.name, each]));
  return words.map((word) => {
    const head = parseHeredocHead(word.text);
    const heredoc = head && byName.get(head.name);
    return heredoc ? { kind: 'heredoc', heredoc, word } : { kind: 'path', path: word };
  });
}

function readCopy(reading: Reading): CopyInstruction | undefined {
  const common = readCopyCommon(reading);
  const { flags } = reading.common;
  return common && { ...common, kind: 'copy', from: flagWord(flags, 'from'), parents: flagSwitch(flags, 'parents') ?? false };
}

function readAdd(reading: Reading): AddInstruction | undefined {
  const common = readCopyCommon(reading);
  const { flags } = reading.common;
  return (
    common && {
      ...common,
      kind: 'add',
      checksum: flagWord(flags, 'checksum'),
      keepGitFolder: flagSwitch(flags, 'keep-git-dir'),
      unpack: flagSwitch(flags, 'unpack'),
    }
  );
}

function readVolume(reading: Reading): Instruction | undefined {
  const paths = readList(reading);
  if (!paths) return undefined;
  if (paths.length === 0) return fault(reading, 'VOLUME requires at least one argument');
  const trimmed = paths.map((path) => ({ ...path, text: trimSpace(path.text) }));
  const blank = trimmed.find((path) => path.text === '');
  if (blank) return fault(reading, 'VOLUME specified can not be an empty string', undefined, blank.span);
  return { ...reading.common, kind: 'volume', paths: trimmed };
}

function readShell(reading: Reading): Instruction | undefined {
  const json = readJsonForm(reading.stretch);
  if (json.kind === 'not-strings') return notStrings(reading, wordOf(reading.stretch.line, reading.stretch.start, reading.stretch.end));
  if (isEmpty(reading.stretch) || (json.kind === 'list' && json.words.length === 0))
    return fault(reading, 'SHELL requires at least one argument');
  if (json.kind === 'plain') return fault(reading, `SHELL requires the arguments to be in JSON form`, 'Write SHELL ["/bin/bash", "-c"]');
  return { ...reading.common, kind: 'shell', arguments: json.words };
}

function readHealthcheck(reading: Reading): HealthcheckInstruction | undefined {
  const { line, start, end } = reading.stretch;
  if (isEmpty(reading.stretch))
    return fault(reading, 'HEALTHCHECK requires at least one argument', 'Write HEALTHCHECK CMD command, or HEALTHCHECK NONE');
  let at = start;
  while (at < end && !isSpace(line.text[at] ?? '')) at++;
  const type = wordOf(line, start, at);
  const rest = trimStretch({ line, start: at, end });
  const none = {
    ...reading.common,
    kind: 'healthcheck',
    command: undefined,
    interval: 0,
    timeout: 0,
    startPeriod: 0,
    startInterval: 0,
    retries: 0,
  } as const;
  if (type.text.toUpperCase() === 'NONE') return isEmpty(rest) ? none : fault(reading, 'HEALTHCHECK NONE takes no arguments');
  if (type.text.toUpperCase() !== 'CMD')
    return fault(reading, `Unknown type "${type.text.slice(0, 80)}" in HEALTHCHECK (try CMD)`, undefined, type.span);
  const command = readCommand(reading, rest);
  if (!command) return undefined;
  if (isEmpty(rest) || (command.form === 'exec' && command.arguments.length === 0))
    return fault(reading, 'Missing command after HEALTHCHECK CMD');
  const times = readTimes(reading);
  const retries = readRetries(reading);
  return times && retries !== undefined ? { ...none, command, ...times, retries } : undefined;
}

function readTimes(reading: Reading) {
  const interval = readTime(reading, 'interval');
  const timeout = readTime(reading, 'timeout');
  const startPeriod = readTime(reading, 'start-period');
  const startInterval = readTime(reading, 'start-interval');
  if (interval === undefined || timeout === undefined || startPeriod === undefined || startInterval === undefined) return undefined;
  return { interval, timeout, startPeriod, startInterval };
}

/** Shortest time that dockerd takes, in nanoseconds. */
const shortestTime = 1e6;

function readTime(reading: Reading, name: string): number | undefined {
  const word = flagWord(reading.common.flags, name);
  if (!word || word.text === '') return 0;
  const time = parseDuration(word.text);
  if (time === undefined)
    return fault(reading, `Invalid duration "${word.text}" of "--${name}"`, 'Write it as 30s, 1m30s or 500ms', word.span);
  if (time !== 0 && time < shortestTime)
    return fault(reading, `Interval "${name}" cannot be less than ${formatDuration(shortestTime)}`, undefined, word.span);
  return time;
}

function readRetries(reading: Reading): number | undefined {
  const word = flagWord(reading.common.flags, 'retries');
  if (!word || word.text === '') return 0;
  if (!/^[+-]?\d{1,10}$/u.test(word.text) || Math.abs(Number(word.text)) > 0x7fff_ffff)
    return fault(reading, `Invalid number "${word.text}" of "--retries"`, undefined, word.span);
  return Number(word.text) < 0
    ? fault(reading, `--retries cannot be negative (${Number(word.text)})`, undefined, word.span)
    : Number(word.text);
}

function readOnbuild(reading: Reading): OnbuildInstruction | undefined {
  const words = splitPlain(reading.stretch);
  const [first] = words;
  if (!first) return fault(reading, 'ONBUILD requires at least one argument');
  const name = first.text.toUpperCase();
  if (name === 'ONBUILD')
    return fault(
      reading,
      "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
      'Leave one ONBUILD out: triggers run once, in the image that is built on this one',
      first.span,
    );
  if (name === 'MAINTAINER' || name === 'FROM') return fault(reading, `${name} isn't allowed as an ONBUILD trigger`, undefined, first.span);
  const trigger = reading.readInner(reading.stretch);
  if (!trigger || !isStageInstruction(trigger)) return undefined;
  const bodies = reading.common.heredocs.map((heredoc) => `\n${heredoc.content}${heredoc.name}`).join('');
  return { ...reading.common, kind: 'onbuild', expression: `${textOf(reading.stretch)}${bodies}`, trigger };
}

function isStageInstruction(instruction: Instruction): instruction is StageInstruction {
  return instruction.kind !== 'from';
}
