/** The arguments of each instruction: the table of all, and those that need few lines. Wordings that people search the web for are BuildKit's. */
import { trimSpace } from '#languages/frontend/spaces.ts';
import type {
  Command,
  FromInstruction,
  Instruction,
  OnbuildInstruction,
  RunInstruction,
  RunMount,
  StageInstruction,
  Word,
} from '../ast.ts';
import { addFlags, copyFlags, readAdd, readCopy } from './copy.ts';
import { flagWord, type FlagTable } from './flags.ts';
import { healthcheckFlags, readHealthcheck } from './healthcheck.ts';
import { readJsonForm } from './json-form.ts';
import { readMount } from './mount.ts';
import { readArg, withPairs } from './pairs.ts';
import { fault, isEmpty, notStrings, readCommand, readList, type Reading } from './reading.ts';
import { splitPlain, textOf, wordOf, type Stretch } from './scan.ts';

type ArgumentReader = { readonly flags: FlagTable; read(reading: Reading): Instruction | undefined };

const noFlags: FlagTable = {};

/** By name in lower case; the keys are the instructions there are. */
export const argumentReaders: Readonly<Record<string, ArgumentReader>> = {
  add: { flags: addFlags, read: readAdd },
  arg: { flags: noFlags, read: readArg },
  cmd: { flags: noFlags, read: (reading) => withCommand(reading, (command) => ({ ...reading.common, kind: 'cmd', command })) },
  copy: { flags: copyFlags, read: readCopy },
  entrypoint: {
    flags: noFlags,
    read: (reading) => withCommand(reading, (command) => ({ ...reading.common, kind: 'entrypoint', command })),
  },
  env: { flags: noFlags, read: (reading) => withPairs(reading, (pairs) => ({ ...reading.common, kind: 'env', pairs })) },
  expose: { flags: noFlags, read: (reading) => withWords(splitPlain, reading, (ports) => ({ ...reading.common, kind: 'expose', ports })) },
  from: { flags: { platform: 'text' }, read: readFrom },
  healthcheck: { flags: healthcheckFlags, read: readHealthcheck },
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

function withOneWord<T>(reading: Reading, make: (word: Word) => T): T | undefined {
  const { line, start, end } = reading.stretch;
  return isEmpty(reading.stretch) ? fault(reading, `${reading.name} requires exactly one argument`) : make(wordOf(line, start, end));
}

function withWords<T>(split: (stretch: Stretch) => Word[], reading: Reading, make: (words: readonly Word[]) => T): T | undefined {
  const words = split(reading.stretch);
  return words.length === 0 ? fault(reading, `${reading.name} requires at least one argument`) : make(words);
}

function withCommand<T>(reading: Reading, make: (command: Command) => T): T | undefined {
  const command = readCommand(reading, reading.stretch);
  return command && make(command);
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
