import type { RunRequest } from '#engine/container-requests.ts';
import { run } from '#engine/run.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { choice, flag, list, parsed, text } from '../option.ts';
import { isolationOption } from './isolation-option.ts';
import { withEnvironment } from '../option-values.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { openTransferScreen, silentTransferScreen } from '../output/transfers.ts';

/** Exit codes of `docker run` when it is not the container that failed: no such command, one that cannot be run, anything else. */
function ownFailure(error: unknown): number {
  if (isCode(error, 'runtime/command-not-found')) return 127;
  return isCode(error, 'runtime/command-not-executable') ? 126 : 125;
}

export const runCommand = defineCommand({
  name: 'run',
  summary: 'Create and run a new container from an image',
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  options: {
    entrypoint: text('entrypoint', { help: 'Overwrite the default ENTRYPOINT of the image' }),
    environment: list('env', { short: 'e', help: 'Set environment variables: "NAME=VALUE", or "NAME" to pass one on' }),
    hostname: text('hostname', { short: 'h', help: 'Container host name' }),
    interactive: flag('interactive', { short: 'i', help: 'Keep STDIN open (it always is)' }),
    isolation: isolationOption(),
    name: text('name', { help: 'Assign a name to the container' }),
    network: parsed<RunRequest['network']>('network', { initial: 'host', help: '"host" (the default) or "none"' }, readNetwork),
    platform: text('platform', { help: 'Which image of several: "os/architecture[/variant]"' }),
    pull: choice('pull', {
      words: ['always', 'missing', 'never'],
      initial: 'missing',
      help: 'Pull image before running (default "missing")',
    }),
    quiet: flag('quiet', { short: 'q', help: 'Suppress the pull output' }),
    remove: flag('rm', { help: 'Remove the container and what it wrote when it exits' }),
    terminal: flag('tty', { short: 't', help: 'Give the container a terminal' }),
    user: text('user', { short: 'u', help: 'Username or UID (format: "<name|uid>[:<group|gid>]")' }),
    workingDirectory: text('workdir', { short: 'w', help: 'Working directory inside the container' }),
  },
  notBuilt: `
    add-host annotation a=attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile cpu-count
    cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime c=cpu-shares cpus cpuset-cpus cpuset-mems d=detach detach-keys
    device device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops disable-content-trust dns
    dns-option dns-search domainname env-file expose gpus group-add health-cmd health-interval health-retries
    health-start-interval health-start-period health-timeout init io-maxbandwidth io-maxiops ip ip6 ipc kernel-memory
    l=label label-file link link-local-ip log-driver log-opt mac-address m=memory memory-reservation memory-swap memory-swappiness
    mount network-alias no-healthcheck oom-kill-disable oom-score-adj pid pids-limit privileged p=publish P=publish-all read-only
    restart runtime security-opt shm-size sig-proxy stop-signal stop-timeout storage-opt sysctl tmpfs ulimit use-api-socket userns
    uts v=volume volume-driver volumes-from`,
  arguments: [1, Infinity],
  optionsEndAtArgument: true,
  failureCode: ownFailure,
  async run({ options, arguments: [image = '', ...words] }, around, signal) {
    const { isolation } = options;
    const request: RunRequest = {
      image,
      arguments: words,
      remove: options.remove,
      name: options.name,
      environment: withEnvironment(options.environment, around.environment),
      workingDirectory: options.workingDirectory,
      user: options.user,
      entrypoint: options.entrypoint,
      hostname: options.hostname,
      network: options.network,
      terminal: options.terminal,
      pull: options.pull,
      platform: options.platform,
    };
    if (options.terminal && around.streams.stdin.isTTY !== true) {
      throw new JettisonError('cli/usage', 'The input device is not a terminal', { hint: 'Leave "-t" out' });
    }
    await using engine = await engineFor(around, isolation === undefined ? {} : { isolation });
    using screen = options.quiet ? silentTransferScreen() : openTransferScreen(around.streams.stderr, around);
    return await run(engine, request, screen.report, signal);
  },
});

function readNetwork(value: string): RunRequest['network'] {
  if (value === 'host' || value === 'none') return value;
  throw new JettisonError('cli/not-built', `The network "${value}" is not built yet`, { hint: 'There is "host" and "none"' });
}
