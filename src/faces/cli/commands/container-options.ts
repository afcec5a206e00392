/** What `run` and `create` have in common: their options, and what is asked of the engine with them. */
import type { CreateRequest } from '#engine/container-requests.ts';
import { badValue, choice, flag, list, parsed, text, type ValuesOf } from '../option.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { toMap, withKnown } from '../option-values.ts';
import type { Surroundings } from '../command.ts';
import { parseExposed } from '#engine/container-requests.ts';
import { isolationOption } from './isolation-option.ts';
import { networkOptions, networkWish } from './network-options.ts';
import { containerLimitOptions, readContainerLimits } from './container-limits.ts';
import { healthOptions, readHealthWish } from './health-options.ts';
import { holdOptions, readHold } from './hold-options.ts';
import { readLineFiles } from './line-files.ts';
import { mountOptions, readMounts } from './mount-options.ts';

export const containerOptions = {
  ...containerLimitOptions,
  ...healthOptions,
  ...holdOptions,
  ...mountOptions,
  attach: list('attach', { short: 'a', value: 'list', help: 'Attach to "stdin", "stdout" or "stderr"' }),
  domainname: text('domainname', { help: 'Container NIS domain name' }),
  entrypoint: text('entrypoint', { help: 'Overwrite the default ENTRYPOINT of the image' }),
  environment: list('env', { short: 'e', help: 'Set environment variables: "NAME=VALUE", or "NAME" to pass one on' }),
  environmentFiles: list('env-file', { value: 'list', help: 'Read in a file of environment variables' }),
  hostname: text('hostname', { short: 'h', help: 'Container host name' }),
  idFile: text('cidfile', { value: 'path', help: 'Write the container ID to the file' }),
  interactive: flag('interactive', { short: 'i', help: 'Keep STDIN open' }),
  isolation: isolationOption(),
  labelFiles: list('label-file', { value: 'list', help: 'Read in a line delimited file of labels' }),
  labels: list('label', { short: 'l', help: 'Set meta data on a container: "NAME=VALUE"' }),
  logDriver: text('log-driver', { help: 'How what it writes is kept: "json-file", "local" or "none" (default "json-file")' }),
  logOptions: list('log-opt', { help: 'Log driver options: "max-size=10m", "max-file=3", "labels=NAME", "env=NAME", "tag=TEXT"' }),
  name: text('name', { help: 'Assign a name to the container' }),
  ...networkOptions,
  platform: text('platform', { help: 'Which image of several: "os/architecture[/variant]"' }),
  pull: choice('pull', {
    words: ['always', 'missing', 'never'],
    initial: 'missing',
    help: 'Pull image before running (default "missing")',
  }),
  quiet: flag('quiet', { short: 'q', help: 'Suppress the pull output' }),
  remove: flag('rm', { help: 'Remove the container and what it wrote when it exits' }),
  restart: parsed<CreateRequest['restart']>(
    'restart',
    { initial: { policy: 'no', maximum: 0 }, help: 'Start it again when it ends: "no", "on-failure[:MAX]", "always", "unless-stopped"' },
    readRestart,
  ),
  stopSignal: text('stop-signal', { help: 'Signal to stop the container' }),
  stopTimeout: parsed<number | undefined>(
    'stop-timeout',
    { value: 'int', initial: undefined, help: 'Seconds until a container that should stop is killed' },
    (value) => readSeconds('stop-timeout', value),
  ),
  terminal: flag('tty', { short: 't', help: 'Give the container a terminal' }),
  user: text('user', { short: 'u', help: 'Username or UID (format: "<name|uid>[:<group|gid>]")' }),
  workingDirectory: text('workdir', { short: 'w', help: 'Working directory inside the container' }),
} as const;

/** Options of both that are not there yet. */
export const containerOptionsNotBuilt = `
  blkio-weight-device cpu-count cpu-percent cpu-rt-period cpu-rt-runtime device-cgroup-rule device-read-bps
  device-read-iops device-write-bps device-write-iops disable-content-trust gpus io-maxbandwidth io-maxiops ip6 kernel-memory link-local-ip
  mac-address oom-kill-disable runtime storage-opt use-api-socket`;

const usualLogDriver = 'json-file';

export type ContainerOptions = ValuesOf<typeof containerOptions>;

/** What the engine is asked for. `stdinOnce` is what the command makes of it: only who starts and attaches at once has it. */
export function createRequest(options: ContainerOptions, [image = '', ...words]: readonly string[], around: Surroundings): CreateRequest {
  if (options.remove && options.restart.policy !== 'no') {
    throw new JettisonError('cli/usage', 'Conflicting options: cannot specify both --restart and --rm');
  }
  const { mounts, volumesFrom, kept } = readMounts(options, around.currentFolder);
  return {
    image,
    arguments: words,
    name: options.name,
    environment: [
      ...readLineFiles('env-file', options.environmentFiles, (name) => around.environment[name]),
      ...withKnown(options.environment, around.environment),
    ],
    workingDirectory: checkFolder(options.workingDirectory),
    user: options.user,
    entrypoint: options.entrypoint,
    hostname: options.hostname,
    domainname: options.domainname,
    network: networkWish(options),
    terminal: options.terminal,
    openStdin: options.interactive,
    stdinOnce: false,
    attach: options.attach.map(readStream),
    stopSignal: options.stopSignal,
    stopTimeout: options.stopTimeout,
    labels: Object.fromEntries(toMap([...readLineFiles('label-file', options.labelFiles, () => ''), ...options.labels])),
    autoRemove: options.remove,
    startsAtOnce: false,
    restart: options.restart,
    logging: { driver: options.logDriver || usualLogDriver, options: Object.fromEntries(toMap(options.logOptions)) },
    exposedPorts: options.expose.flatMap((one) => parseExposed(one)),
    idFile: options.idFile,
    pull: options.pull,
    platform: options.platform,
    mounts,
    volumesFrom,
    health: readHealthWish(options),
    settings: { ...readHold(options), ...readContainerLimits(options), ...kept },
  };
}

/** What one is attached to: what was named; else stdout, stderr and, with `-i`, stdin. */
export function usualStreams({ attach, openStdin }: Pick<CreateRequest, 'attach' | 'openStdin'>): CreateRequest['attach'] {
  return attach.length > 0 ? attach : ['stdout', 'stderr', ...(openStdin ? (['stdin'] as const) : [])];
}

function readStream(word: string): CreateRequest['attach'][number] {
  const stream = word.toLowerCase();
  if (stream === 'stdin' || stream === 'stdout' || stream === 'stderr') return stream;
  throw badValue('attach', word, 'use "stdin", "stdout", "stderr"');
}

/** `no`, `on-failure:5`, `always`, `unless-stopped`; '' is no policy. Throws `cli/bad-value`. */
export function readRestart(value: string): CreateRequest['restart'] {
  const [, policy = '', maximum] = /^([a-z-]*)(?::(\d{1,9}))?$/u.exec(value) ?? [];
  if (policy === '' && value === '') return { policy: 'no', maximum: 0 };
  if (policy === 'on-failure') return { policy, maximum: Number(maximum ?? 0) };
  if (maximum === undefined && (policy === 'no' || policy === 'always' || policy === 'unless-stopped')) return { policy, maximum: 0 };
  throw badValue('restart', value, 'use "no", "on-failure", "on-failure:5", "always" or "unless-stopped"');
}

/** Whole seconds; -1 for ever. */
export function readSeconds(long: string, value: string): number {
  const seconds = /^-?\d{1,9}$/u.test(value) ? Number(value) : NaN;
  if (seconds >= -1) return seconds;
  throw badValue(long, value, 'use a number of seconds, or -1 for no limit');
}

/** undefined where nothing is said. Throws `cli/usage` for a relative one. */
export function checkFolder(folder: string | undefined): string | undefined {
  if (folder === undefined || folder === '') return undefined;
  if (folder.startsWith('/')) return folder;
  throw new JettisonError('cli/usage', `the working directory '${folder}' is invalid, it needs to be an absolute path`);
}
