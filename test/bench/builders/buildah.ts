/** buildah as the host has it, with storage and configuration of the bench's own. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Builder, Place } from '../builder.ts';
import { firstLine, runQuietly, type Command } from '../command.ts';

/** Each `forget` goes on with new storage; the old one stays where it is until the bench ends. Undefined where buildah is not installed. */
export function openBuildah(place: Place): Builder | undefined {
  const version = firstLine({ program: 'buildah', words: ['--version'] });
  if (version === undefined) return undefined;
  const home = join(place.folder, 'buildah');
  mkdirSync(home, { recursive: true });
  const [configuration, registries, storage] = [join(home, 'containers.conf'), join(home, 'registries.conf'), join(home, 'storage.conf')];
  const runtime = chooseRuntime();
  writeFileSync(configuration, containersConf(runtime));
  writeFileSync(registries, `[[registry]]\nlocation = "${place.registry}"\ninsecure = true\n`);
  writeFileSync(storage, '[storage]\ndriver = "overlay"\n');
  let round = 0;
  const command = (...words: readonly string[]): Command => ({
    program: 'buildah',
    words: ['--root', join(home, `root-${round}`), '--runroot', join(home, `run-${round}`), '--storage-driver', 'overlay', ...words],
    environment: { CONTAINERS_CONF: configuration, CONTAINERS_REGISTRIES_CONF: registries, CONTAINERS_STORAGE_CONF: storage },
  });
  const pull = (tag: string): Command => command('pull', '--tls-verify=false', tag);
  return {
    name: 'buildah',
    version: `${version.replace(/^buildah version /u, '')}, ${runtime}`,
    build: ({ context, file, tag }) => command('bud', '--layers', '--network=host', '--isolation=oci', '-t', tag, '-f', file, context),
    forget: (bases) => {
      round++;
      for (const base of bases) runQuietly(pull(base));
    },
    pull,
    push: (tag) => command('push', '--tls-verify=false', tag),
    pushZstd: (tag) => command('push', '--tls-verify=false', '--compression-format=zstd', tag),
    daemons: () => [],
    // Its storage mounts its own folder onto itself.
    close: () => unmountBelow(home),
  };
}

/** crun refuses a hybrid cgroup tree, which has no `cgroup.controllers` at its root (cgroups(7)). */
function chooseRuntime(): string {
  const works = existsSync('/sys/fs/cgroup/cgroup.controllers') ? ['crun', 'runc'] : ['runc', 'crun'];
  return works.find((name) => firstLine({ program: name, words: ['--version'] }) !== undefined) ?? 'runc';
}

/**
 * Without CAP_SYS_RESOURCE a RUN fails with EPERM at limits above the hard ones; and buildah lowers its own limit of processes to 32768
 * before it starts the runtime.
 */
function containersConf(runtime: string): string {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const hard = (name: string): number => Number(new RegExp(`^Max ${name}\\s+\\S+\\s+(\\d+)`, 'mu').exec(limits)?.[1] ?? 1_048_576);
  const [files, processes] = [hard('open files'), Math.min(hard('processes'), 32_768)];
  return [
    '[containers]',
    'netns = "host"',
    `default_ulimits = ["nofile=${files}:${files}", "nproc=${processes}:${processes}"]`,
    '[engine]',
    `runtime = "${runtime}"`,
    'cgroup_manager = "cgroupfs"',
    'events_logger = "none"',
    '',
  ].join('\n');
}

function unmountBelow(folder: string): void {
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${folder}/`));
  for (const point of points.toReversed()) spawnSync('umount', [point]);
}
