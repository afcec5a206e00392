/** The payloads of test/fixtures/payloads as images and as root file systems, and what the runtime does with each start. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findMusl } from './bases.ts';
import { payloadCases, type PayloadCase } from './payload-cases.ts';
import type { Sandbox } from './sandbox.ts';

export const usualPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const fixtures = fileURLToPath(new URL('../fixtures/payloads', import.meta.url));
const cache = fileURLToPath(new URL('../../.cache/bases', import.meta.url));
const trees = [...new Set(payloadCases.map(({ tree }) => tree))];

/** Builds an image for each tree, and its files as a folder. */
export async function buildPayloads(sandbox: Sandbox): Promise<void> {
  for (const base of ['busybox', 'debian', 'debian-gcc'] as const) await sandbox.base(base);
  const context = join(sandbox.folder, 'payloads');
  cpSync(fixtures, context, { recursive: true });
  copyFileSync(findMusl(cache), join(context, 'musl.tar'));
  copyHostLibrary(join(context, 'old-glibc'));
  for (const tree of trees) {
    const outputs = ['-o', 'type=image', '-o', `type=local,dest=${rootOf(sandbox, tree)}`];
    await sandbox.succeed(['build', '-q', '-t', tree, '--target', tree, ...outputs, context]);
    for (const folder of ['dev', 'proc', 'sys']) mkdirSync(join(rootOf(sandbox, tree), folder), { recursive: true });
  }
}

/** Another release of glibc than that of the images, on many machines: this machine's own. */
function copyHostLibrary(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const path of ['/lib64/ld-linux-x86-64.so.2', '/lib/x86_64-linux-gnu/libc.so.6'])
    if (existsSync(path)) copyFileSync(realpathSync(path), join(folder, path.slice(path.lastIndexOf('/') + 1)));
}

function rootOf({ folder }: Sandbox, tree: string): string {
  return join(folder, 'roots', tree);
}

export type Ran = { readonly starts: boolean; readonly said: string };

/** Starts each in a container of its own, with the capabilities that containers have; all in one mount namespace, whose cgroups crun can work with. */
export function runPayloads(sandbox: Sandbox, cases: readonly PayloadCase[]): readonly Ran[] {
  const bundles = cases.map((one, index) => writeBundle(sandbox, one, index));
  const script = `
    first=1
    run() {
      # At the limit of 40 links a path that is followed otherwise is refused now and then while other tests mount and rename (seen; why is not known).
      for try in 1 2 3 4 5; do
        timeout -s KILL 100 crun --cgroup-manager=disabled run --bundle "$1" "payload-$$-$2-$try" > "$1/said" 2>&1; echo $? > "$1/code"
        [ "$(cat "$1/code")" != 137 ] || crun --cgroup-manager=disabled delete --force "payload-$$-$2-$try" >> "$1/said" 2>&1
        grep -q "Too many levels of symbolic links" "$1/said" || break
      done
    }
    for cover in none tmpfs cgroup2; do
      [ $cover = none ] || mount -t $cover none /sys/fs/cgroup || continue
      run "$1" probe
      [ "$(cat "$1/code")" = 0 ] && break
      [ $cover = none ] || umount /sys/fs/cgroup
    done
    for bundle; do first=$((first + 1)); run "$bundle" $first; done`;
  spawnSync('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...bundles], { encoding: 'utf8' });
  return bundles.map((bundle) => {
    const [code, said] = [readFileSync(join(bundle, 'code'), 'utf8').trim(), readFileSync(join(bundle, 'said'), 'utf8').trim()];
    return { starts: code === '0' && said.includes('started'), said: `${code} ${said}` };
  });
}

function writeBundle(sandbox: Sandbox, { tree, words, environment = [], user = 0, folder = '/' }: PayloadCase, index: number): string {
  const bundle = join(sandbox.folder, 'bundles', String(index));
  mkdirSync(bundle, { recursive: true });
  const bounding = ['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_SETGID', 'CAP_SETUID'];
  const path = environment.some((line) => line.startsWith('PATH=')) ? [] : [usualPath];
  const config = {
    ociVersion: '1.0.0',
    root: { path: rootOf(sandbox, tree), readonly: false },
    process: {
      terminal: false,
      user: { uid: user, gid: user },
      args: words,
      env: [...path, ...environment],
      cwd: folder,
      capabilities: user === 0 ? { bounding, effective: bounding, permitted: bounding } : { bounding },
    },
    mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }],
    linux: { namespaces: [{ type: 'pid' }, { type: 'mount' }] },
  };
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(config));
  return bundle;
}
