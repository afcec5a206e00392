/**
 * A container as Docker starts one, to build in: Docker's default capabilities and seccomp profile, masked and read-only paths, namespaces of its own, its root
 * an overlay. It holds Node, busybox and these sources, and nothing of util-linux.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RuntimeSpec } from '#formats/oci/runtime-spec.ts';
import { readCapabilities } from '#execution/runtime/capabilities.ts';
import { createSpec } from '#execution/runtime/spec.ts';
import { usualDevices } from '#execution/runtime/spec-mounts.ts';
import { makeBusyboxRoot } from './busybox.ts';
import { runCommand, type CommandOptions, type Finished } from './sandbox.ts';

export type PodOptions = {
  /** As Kubernetes's `allowPrivilegeEscalation: false`. */
  readonly noNewPrivileges?: boolean;
  /** Docker's capabilities without these. */
  readonly without?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
};

export type Pod = {
  /** The folder that is `/data` in there, on the file system of the machine's temporary files. */
  readonly data: string;
  /** Runs a command in a new container over the root that earlier ones left; with it ends all that ran in there. */
  run(words: readonly string[], options?: PodOptions & Pick<CommandOptions, 'input' | 'onStart'>): Promise<Finished>;
  /** Words of `jettison` in there. */
  jettison(words: readonly string[], options?: PodOptions): Promise<Finished>;
};

const sources = fileURLToPath(new URL('../..', import.meta.url));
/** Where the sources lie in the pod, read-only. */
const main = '/jettison/src/main.ts';

/** A pod whose files are kept in `folder`. Needs root, overlayfs, and crun or runc. */
export function makePod(folder: string): Pod {
  const [image, data] = [join(folder, 'image'), join(folder, 'data')];
  for (const name of ['upper', 'work', 'root', 'bundle', 'image', 'data']) mkdirSync(join(folder, name));
  makeBusyboxRoot(image);
  bringNode(image);
  let runs = 0;
  const run: Pod['run'] = async (words, options = {}) => {
    const id = `pod-${process.pid}-${runs++}`;
    writeFileSync(join(folder, 'bundle/config.json'), JSON.stringify(specOf(folder, words, options)));
    // A mount namespace of its own: nothing of this is ever mounted where others see it. crun takes no cgroup tree of both versions, but an empty one.
    const script = `cd "${folder}" && mount -t overlay -o lowerdir=image,upperdir=upper,workdir=work pod root && mount -t tmpfs none /sys/fs/cgroup &&
      if command -v crun >/dev/null; then exec crun --cgroup-manager=disabled --root "$PWD/state" run --bundle bundle ${id}; else
      exec runc --rootless=true --root "$PWD/state" run --bundle bundle ${id}; fi`;
    const { environment: _, ...rest } = options;
    return await runCommand('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script], rest);
  };
  return { data, run, jettison: async (words, options) => await run(['/bin/node', main, ...words], options) };
}

/** Node with its libraries, each where the loader looks for it. */
function bringNode(root: string): void {
  const node = process.execPath;
  const linked = execFileSync('ldd', [node], { encoding: 'utf8' });
  const libraries = [...linked.matchAll(/(?:=> )?(\/\S+) \(0x/gu)].flatMap((match) => match[1] ?? []);
  for (const [from, to] of [[node, '/bin/node'] as const, ...libraries.map((library) => [library, library] as const)]) {
    mkdirSync(join(root, dirname(to)), { recursive: true });
    copyFileSync(from, join(root, to));
  }
}

function specOf(
  folder: string,
  words: readonly string[],
  { noNewPrivileges = false, without = [], environment = {} }: PodOptions,
): RuntimeSpec {
  const spec = createSpec(
    {
      id: 'pod',
      rootfs: '',
      arguments: words,
      environment: Object.entries({ PATH: '/bin', HOME: '/root', ...environment }).map(([name, value]) => `${name}=${value}`),
      workingDirectory: '/',
      user: { uid: 0, gid: 0, additionalGids: [] },
      security: 'sandbox',
      network: 'host',
      hostname: 'pod',
      terminal: false,
      stopSignal: 'SIGTERM',
      shmSize: null,
      mounts: [],
      names: { hosts: '', hostname: '', resolvConf: '', readOnly: true },
    },
    { rootfs: join(folder, 'root') },
    {
      capabilities: readCapabilities(readFileSync('/proc/self/status', 'utf8')).filter((name) => !without.includes(name)),
      architecture: process.arch,
      devices: usualDevices,
      compiledFilter: undefined,
      rootDevices: { kind: 'flag-kept' },
    },
  );
  const mounts = [...spec.mounts, bind('/jettison', sources, 'ro'), bind('/data', join(folder, 'data'), 'rw')];
  return { ...spec, mounts, process: { ...spec.process, noNewPrivileges } };
}

function bind(destination: string, source: string, mode: 'ro' | 'rw'): RuntimeSpec['mounts'][number] {
  return { destination, type: 'bind', source, options: ['rbind', mode] };
}
