/** The folder that a runtime is pointed to: config.json, and the root file system mounted so that device files in it do nothing, with the mounts of the request in it. */
import { mkdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemCode } from '#ground/base/errors.ts';
import { mountFileSystem, mountFlags, unmount } from '#ground/linux/mount.ts';
import type { NameFiles, ProcessMount, ProcessRequest } from './contract.ts';
import { countLoops } from './insecure-devices.ts';
import { isSystemPlace, mountInside, type NameMount } from './own-mounts.ts';
import { createSpec, type HostFacts } from './spec.ts';
import type { RuntimeSpec } from '#formats/oci/runtime-spec.ts';

declare global {
  interface JSON {
    /** Of V8, not yet in TypeScript's library: a number that stringify writes as it is. */
    rawJSON(text: string): unknown;
  }
}

export type Bundle = Disposable & {
  readonly folder: string;
  readonly logFile: string;
  readonly pidFile: string;
  /** For a program that starts the runtime. */
  readonly tieFile: string;
  /** What its first process is. */
  readonly process: RuntimeSpec['process'];
  /** The container's first process, seen from here; undefined before it is there. */
  firstProcess(): number | undefined;
  /** What the runtime itself had to say of errors, last first; undefined for nothing. */
  complaint(): string | undefined;
  /** The whole log of the runtime, a character for each byte. */
  log(): string;
};

/** Makes `<parent>/<request.id>`. Disposing unmounts and removes it, never anything of the root file system. */
export function openBundle(parent: string, asked: ProcessRequest, host: HostFacts): Bundle {
  const folder = join(parent, asked.id);
  const inside = (name: string): string => join(folder, name);
  const rootfs = inside('rootfs');
  const config = inside('config.json');
  const logFile = inside('log');
  const pidFile = inside('pid');
  const tieFile = inside('tie');
  using undo = new DisposableStack();
  mkdirSync(folder, { mode: 0o700 });
  undo.defer(() => rmdirSync(folder));
  const request = { ...asked, mounts: asked.mounts.map((mount, index) => withPath(mount, inside(`source-${index}`), undo)) };
  const facts = request.security === 'insecure' ? { ...host, loops: countLoops() } : host;
  const names = textsOf(request.names).map(([name, text]) => ({ source: inside(name), target: `/etc/${name}`, text }));
  undo.defer(() => {
    for (const file of [config, ...names.map(({ source }) => source), logFile, pidFile, tieFile]) rmSync(file, { force: true });
  });
  const spec = createSpec(request, { rootfs }, facts);
  writeFileSync(config, specText(spec), { mode: 0o644 });
  for (const { source, text } of names) writeFileSync(source, text, { mode: 0o644 });
  mkdirSync(rootfs);
  undo.defer(() => rmdirSync(rootfs));
  bindRoot(request, rootfs);
  undo.defer(() => unmount(rootfs));
  mountOwn(rootfs, names, request, inside('staging'));
  if (request.security !== 'insecure' && request.confinement?.hasReadOnlyRoot === true) forbidWriting(rootfs);
  const stack = undo.move();
  return {
    folder,
    logFile,
    pidFile,
    tieFile,
    process: spec.process,
    firstProcess() {
      const pid = Number(readIfThere(pidFile));
      return Number.isSafeInteger(pid) && pid > 1 ? pid : undefined;
    },
    complaint: () => lastError(readIfThere(logFile)),
    log: () => readIfThere(logFile, 'latin1'),
    [Symbol.dispose]: () => stack.dispose(),
  };
}

/** What this process has open has no path that the runtime could mount it by: it gets one. */
function withPath(mount: ProcessMount, path: string, undo: DisposableStack): ProcessMount {
  if (mount.kind !== 'bind' || !isSystemPlace(mount.target) || !mount.source.startsWith('/proc/self/fd/')) return mount;
  const isFolder = statSync(mount.source).isDirectory();
  if (isFolder) mkdirSync(path, { mode: 0o700 });
  else writeFileSync(path, '');
  undo.defer(() => (isFolder ? rmdirSync(path) : rmSync(path)));
  mountFileSystem({ source: mount.source, target: path, type: '', options: '', flags: mountFlags.bind });
  undo.defer(() => unmount(path));
  mountFileSystem({ source: '', target: path, type: '', options: '', flags: mountFlags.private });
  return { ...mount, source: path };
}

/** What /etc/hosts and its like are to be. */
function textsOf({ hosts, hostname, resolvConf }: NameFiles): readonly (readonly [name: string, text: string])[] {
  return [['hosts', hosts], ...(hostname === null ? [] : [['hostname', hostname] as const]), ['resolv.conf', resolvConf]];
}

/** Nothing is left on the staging places, nor they themselves, before anything runs. */
function mountOwn(rootfs: string, names: readonly NameMount[], request: ProcessRequest, folder: string): void {
  const staging = { folder: join(folder, 'folder'), file: join(folder, 'file') };
  if (request.mounts.length === 0) return mountInside(rootfs, names, request, staging);
  mkdirSync(staging.folder, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(staging.file, '');
    mountInside(rootfs, names, request, staging);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** As a runtime reads it. */
export function specText(value: object): string {
  return JSON.stringify(value, wholeNumbers);
}

/** Limits of 64 bits are no numbers of JavaScript. */
function wholeNumbers(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? JSON.rawJSON(String(value)) : value;
}

function bindRoot(request: ProcessRequest, target: string): void {
  const bind = { source: request.rootfs, target, type: '', options: '' };
  mountFileSystem({ ...bind, flags: mountFlags.bind });
  mountFileSystem({ source: '', target, type: '', options: '', flags: mountFlags.private });
  if (request.security === 'insecure') return;
  mountFileSystem({ ...bind, flags: mountFlags.bind | mountFlags.remount | mountFlags.noDevice });
}

/** Runtimes would do it last, and forget that no device may be opened. */
function forbidWriting(root: string): void {
  const flags = mountFlags.bind | mountFlags.remount | mountFlags.noDevice | mountFlags.readOnly;
  mountFileSystem({ source: '', target: root, type: '', options: '', flags });
}

function readIfThere(file: string, encoding: 'utf8' | 'latin1' = 'utf8'): string {
  try {
    return readFileSync(file, encoding);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    return '';
  }
}

/** What a runtime complained of last in its log; undefined for nothing. Both runtimes write JSON lines with `level` and `msg` when asked to. */
export function lastError(log: string): string | undefined {
  for (const line of log.split('\n').toReversed()) {
    if (!line.includes('"error"')) continue;
    const message = messageIn(line);
    if (message !== undefined) return message;
  }
  return undefined;
}

function messageIn(line: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return line;
  }
  if (typeof value !== 'object' || value === null || !('msg' in value) || !('level' in value)) return undefined;
  return value.level === 'error' && typeof value.msg === 'string' ? value.msg : undefined;
}
