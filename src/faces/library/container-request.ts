/** From a program's options to what the engine is asked for. Nothing that is not known is passed over. */
import { resolve } from 'node:path';
import * as v from 'valibot';
import { parsePublished, usualSettings, type AskedMount, type CreateRequest } from '#engine/container-requests.ts';
import { readTmpfsOptions } from '#engine/tmpfs-options.ts';
import { unreachable } from '#ground/base/errors.ts';
import { badOption, checkOptions } from './bad-option.ts';
import type { ContainerMount, ContainerOptions, ExecOptions } from './container-functions.ts';

const optional = v.exactOptional;
const filled = v.pipe(v.string(), v.nonEmpty('it is empty'));
const words = v.array(v.string());
const texts = v.record(filled, v.string());
const whole = v.pipe(v.number(), v.integer(), v.minValue(1));
const seconds = v.pipe(v.number(), v.integer(), v.minValue(-1));
const absolute = v.pipe(v.string(), v.startsWith('/', 'it is no absolute path'));
const size = v.strictObject({ rows: whole, columns: whole });

const mount: v.GenericSchema<ContainerMount> = v.variant('type', [
  v.strictObject({ type: v.literal('bind'), source: filled, target: absolute, readOnly: optional(v.boolean()) }),
  v.strictObject({ type: v.literal('volume'), source: optional(filled), target: absolute, readOnly: optional(v.boolean()) }),
  v.strictObject({ type: v.literal('tmpfs'), target: absolute, size: optional(whole) }),
]);

const containerOptions: v.GenericSchema<ContainerOptions> = v.strictObject({
  image: filled,
  command: optional(words),
  entrypoint: optional(v.string()),
  name: optional(filled),
  environment: optional(texts),
  workingDirectory: optional(absolute),
  user: optional(filled),
  hostname: optional(filled),
  labels: optional(texts),
  network: optional(v.pipe(filled, v.excludes('=', 'it is no name of a network'))),
  ports: optional(v.array(filled)),
  mounts: optional(v.array(mount)),
  limits: optional(
    v.strictObject({ memory: optional(whole), cpus: optional(v.pipe(v.number(), v.minValue(0.01))), pids: optional(whole) }),
  ),
  readOnlyRoot: optional(v.boolean()),
  init: optional(v.boolean()),
  restart: optional(v.picklist(['no', 'on-failure', 'always', 'unless-stopped'])),
  stopSignal: optional(filled),
  stopTimeout: optional(seconds),
  autoRemove: optional(v.boolean()),
  stdin: optional(v.boolean()),
  terminal: optional(size),
  pull: optional(v.picklist(['missing', 'always', 'never'])),
  platform: optional(filled),
});

const execOptions: v.GenericSchema<Omit<ExecOptions, 'signal'>> = v.strictObject({
  command: v.pipe(words, v.minLength(1, 'it names no program')),
  environment: optional(texts),
  user: optional(filled),
  workingDirectory: optional(absolute),
  privileged: optional(v.boolean()),
  terminal: optional(size),
});

/** `isRun`: it is attached to all its streams from the beginning. Throws `library/bad-option`, `network/bad-port`. */
export function containerRequest(given: ContainerOptions, isRun: boolean, currentFolder: string): CreateRequest {
  const options = checkOptions(containerOptions, given);
  if (options.autoRemove === true && options.restart !== undefined && options.restart !== 'no')
    throw badOption('restart', 'it does not go with "autoRemove"');
  const hasInput = isRun || options.stdin === true;
  return {
    image: options.image,
    arguments: options.command ?? [],
    name: options.name,
    environment: pairsOf(options.environment),
    workingDirectory: options.workingDirectory,
    user: options.user,
    entrypoint: options.entrypoint,
    hostname: options.hostname,
    domainname: undefined,
    network: { place: placeOf(options.network), published: (options.ports ?? []).flatMap((one) => parsePublished(one)), publishAll: false },
    terminal: options.terminal !== undefined,
    openStdin: hasInput,
    stdinOnce: hasInput,
    attach: ['stdout', 'stderr', ...(hasInput ? (['stdin'] as const) : [])],
    stopSignal: options.stopSignal,
    stopTimeout: options.stopTimeout,
    labels: options.labels ?? {},
    autoRemove: options.autoRemove === true,
    startsAtOnce: isRun,
    restart: { policy: options.restart ?? 'no', maximum: 0 },
    logging: { driver: 'json-file', options: {} },
    exposedPorts: [],
    idFile: undefined,
    pull: options.pull ?? 'missing',
    platform: options.platform,
    mounts: (options.mounts ?? []).map((one) => askedMount(one, currentFolder)),
    volumesFrom: [],
    health: { command: undefined, interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 },
    settings: settingsOf(options),
  };
}

/** Throws `library/bad-option`. */
export function execRequest({ signal: _signal, ...given }: ExecOptions) {
  const { command, environment, user, workingDirectory, privileged = false, terminal } = checkOptions(execOptions, given);
  return { arguments: command, environment: pairsOf(environment), user, workingDirectory, isPrivileged: privileged, terminal };
}

function pairsOf(environment: Readonly<Record<string, string>> = {}): readonly string[] {
  return Object.entries(environment).map(([name, value]) => `${name}=${value}`);
}

function placeOf(network: string | undefined): CreateRequest['network']['place'] {
  if (network === undefined) return { kind: 'default' };
  if (network === 'host' || network === 'none') return { kind: network };
  return { kind: 'networks', networks: [{ network, aliases: [], address: null }] };
}

function settingsOf({ limits, readOnlyRoot, init }: ContainerOptions): CreateRequest['settings'] {
  const { memory, cpus, pids } = limits ?? {};
  return {
    ...usualSettings(),
    hasReadOnlyRoot: readOnlyRoot === true,
    hasInit: init ?? null,
    limits: {
      ...(memory === undefined ? {} : { memory }),
      ...(pids === undefined ? {} : { pids }),
      ...(cpus === undefined ? {} : { cpuPeriod: period, cpuQuota: Math.round(cpus * period) }),
    },
    nanoCpus: Math.round((cpus ?? 0) * 1e9),
  };
}

/** Microseconds. */
const period = 100_000;

function askedMount(given: ContainerMount, currentFolder: string): AskedMount {
  const { target } = given;
  switch (given.type) {
    case 'bind': {
      const source = resolve(currentFolder, given.source);
      return { kind: 'bind', source, target, ...modeOf(given.readOnly), makesSource: false, isRecursive: true, isShallow: false };
    }
    case 'volume':
      return { kind: 'volume', name: given.source, target, ...modeOf(given.readOnly), fills: true, labels: {}, options: {} };
    case 'tmpfs':
      return { kind: 'tmpfs', target, ...readTmpfsOptions(given.size === undefined ? '' : `size=${given.size}`) };
    default:
      return unreachable(given, 'mount');
  }
}

function modeOf(readOnly = false) {
  return { readOnly, mode: '' };
}
