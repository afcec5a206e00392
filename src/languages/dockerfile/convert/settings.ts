/** Instructions that change the config only: no files, no layer. */
import { JettisonError } from '#ground/base/errors.ts';
import type { Healthcheck } from '#formats/oci/image-config.ts';
import { isVariableArgument } from '#languages/frontend/arguments.ts';
import { formatDuration, goList, goQuote, goQuoteList, goQuoteRune } from '#languages/frontend/go-format.ts';
import type {
  ArgInstruction,
  CmdInstruction,
  EntrypointInstruction,
  EnvInstruction,
  ExposeInstruction,
  HealthcheckInstruction,
  LabelInstruction,
  StopSignalInstruction,
  UserInstruction,
  VolumeInstruction,
} from '../ast.ts';
import type { DeclaredArgument } from './facts.ts';
import { parsePorts } from './ports.ts';
import { argumentsOf } from './run.ts';
import { isSignal, nearestSignal } from './signals.ts';
import { expand, expandToWords, placeOf } from './expand.ts';
import { noCommand, record } from './history.ts';
import { spend, type StepContext } from './state.ts';

/** ARG in a stage: `--build-arg` wins over the default, the default over the value above the first FROM. */
export function convertArg(context: StepContext, instruction: ArgInstruction): void {
  const { state, conversion, facts } = context;
  const { options, globals } = conversion.plan;
  const declared: DeclaredArgument[] = [];
  for (const { name, value: standard } of instruction.arguments) {
    const key = name.text;
    const given = options.buildArgs.get(key);
    const value = given ?? (standard ? expand(context, standard) : globals.get(key));
    declared.push({ name: key, value, isInherited: given === undefined && !standard && globals.has(key) });
    if (value !== undefined && isVariableArgument(key)) state.variables.set(key, value);
    state.arguments.set(key, value);
  }
  facts.arguments = declared;
  facts.names = declared.map(({ name }) => name);
  record(context, () => shownArguments(declared), {
    classic: () => {
      const standards = instruction.arguments.map(({ name: { text: name }, value }) => {
        if (value === undefined) return { name, value };
        return { name, value: options.buildArgs.has(name) ? expand(context, value) : state.arguments.get(name) };
      });
      return noCommand(state.draft, ` ${shownArguments(standards)}`);
    },
  });
}

function shownArguments(pairs: readonly Pick<DeclaredArgument, 'name' | 'value'>[]): string {
  return `ARG ${pairs.map(({ name, value }) => (value === undefined ? name : `${name}=${value}`)).join(' ')}`;
}

export function convertEnv(context: StepContext, instruction: EnvInstruction): void {
  const { state, facts } = context;
  const pairs = instruction.pairs.map(({ name, value }) => [expand(context, name), expand(context, value)] as const);
  facts.names = pairs.map(([name]) => name);
  for (const [name, value] of pairs) {
    state.variables.set(name, value);
    state.draft.variables.set(name, value);
  }
  record(context, () => `ENV ${pairs.map((pair) => pair.join('=')).join(' ')}`);
}

export function convertLabel(context: StepContext, instruction: LabelInstruction): void {
  const { draft } = context.state;
  const pairs = instruction.pairs.map(({ name, value }) => [expand(context, name), expand(context, value)] as const);
  for (const [name, value] of pairs) draft.labels.set(name, value);
  record(context, () => `LABEL ${pairs.map((pair) => pair.join('=')).join(' ')}`);
}

export function convertCmd(context: StepContext, instruction: CmdInstruction): void {
  const { state } = context;
  state.draft.command = argumentsOf(instruction.command, state.draft);
  state.draft.commandEscaped = true;
  state.hasCommand = true;
  record(context, () => `CMD ${goQuoteList(state.draft.command)}`);
}

/** ENTRYPOINT takes away a CMD that came from below; one of the same stage stays. */
export function convertEntrypoint(context: StepContext, instruction: EntrypointInstruction): void {
  const { state } = context;
  state.draft.entrypoint = argumentsOf(instruction.command, state.draft);
  if (!state.hasCommand) state.draft.command = [];
  record(context, () => `ENTRYPOINT ${goQuoteList(state.draft.entrypoint)}`);
}

/** Characters that a port of a range takes. */
const portCost = 128;

export function convertExpose(context: StepContext, instruction: ExposeInstruction): void {
  const { draft } = context.state;
  const sorted = instruction.ports.toSorted((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
  const words = sorted.flatMap((word) => expandToWords(context, word).map((text) => ({ text, at: placeOf(context, word) })));
  context.facts.ports = words.map(({ text }) => text);
  const ports = words.flatMap(({ text, at }) => {
    const found = parsePorts(text, at);
    spend(context.conversion, found.length * portCost, at);
    return found;
  });
  for (const port of ports) draft.ports.add(port);
  record(context, () => `EXPOSE ${goList(ports)}`, {
    classic: () => noCommand(draft, ` EXPOSE ${words.map(({ text }) => text).join(' ')}`),
  });
}

export function convertVolume(context: StepContext, instruction: VolumeInstruction): void {
  const { draft } = context.state;
  const paths = instruction.paths.map((word) => {
    const path = expand(context, word);
    if (path === '')
      throw new JettisonError('dockerfile/blank-volume', 'VOLUME specified can not be an empty string', { at: placeOf(context, word) });
    return path;
  });
  for (const path of paths) draft.volumes.add(path);
  record(context, () => `VOLUME ${goList(paths)}`);
}

export function convertUser(context: StepContext, instruction: UserInstruction): void {
  const { draft } = context.state;
  draft.user = expand(context, instruction.user);
  record(context, () => `USER ${draft.user}`);
}

export function convertStopSignal(context: StepContext, instruction: StopSignalInstruction): void {
  const { draft } = context.state;
  const signal = expand(context, instruction.signal);
  if (!isSignal(signal)) {
    const near = signal.length > 40 ? undefined : nearestSignal(signal);
    throw new JettisonError('dockerfile/bad-signal', `Invalid signal: ${signal}`, {
      at: placeOf(context, instruction.signal),
      hint: near === undefined ? 'Write a name such as SIGTERM, or a number' : `Did you mean "${near}"?`,
    });
  }
  draft.stopSignal = signal;
  record(context, () => `STOPSIGNAL ${signal}`);
}

export function convertHealthcheck(context: StepContext, instruction: HealthcheckInstruction): void {
  const { command, interval, timeout, startPeriod, startInterval, retries } = instruction;
  const test =
    command === undefined
      ? ['NONE']
      : command.form === 'exec'
        ? ['CMD', ...command.arguments.map((word) => word.text)]
        : ['CMD-SHELL', command.text.text];
  context.state.draft.healthcheck = {
    Test: test,
    ...(interval === 0 ? {} : { Interval: interval }),
    ...(timeout === 0 ? {} : { Timeout: timeout }),
    ...(startPeriod === 0 ? {} : { StartPeriod: startPeriod }),
    ...(startInterval === 0 ? {} : { StartInterval: startInterval }),
    ...(retries === 0 ? {} : { Retries: retries }),
  } satisfies Healthcheck;
  const times = [interval, timeout, startPeriod, startInterval].map(formatDuration);
  record(context, () => `HEALTHCHECK &{${[goQuoteList(test), ...times.map(goQuote), goQuoteRune(retries)].join(' ')}}`, {
    classic: () => noCommand(context.state.draft, ` HEALTHCHECK &{${[goList(test), ...times, String(retries)].join(' ')}}`),
  });
}
