/** Finds out which runtime works on this machine and how it has to be called, by running a program of one system call; remembers the answer. */
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fromText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import { createLog } from '#ground/base/log.ts';
import { runProcess } from '#ground/linux/spawn.ts';
import { ownRights } from '#ground/linux/own-rights.ts';
import type { ProcessWitness } from '#ground/linux/witnessed-processes.ts';
import { AT_FDCWD, fileTypes, makeNodeAt } from '#ground/linux/syscall.ts';
import { mountFileSystem, mountFlags, unmount } from '#ground/linux/mount.ts';
import { openBundle } from './bundle.ts';
import { memoryKey, recall, remember, type CgroupCover, type Found, type Remembered, type Way } from './choose/memory.ts';
import type { Cgroups } from './cgroups.ts';
import type { ProcessRequest, Runtime } from './contract.ts';
import { callArguments, createRuntime, ownEnvironment, type Program, type RuntimeSetting } from './oci-cli.ts';
import { readCapabilities } from './capabilities.ts';
import { smallProgram, type SmallProgram } from './small-programs.ts';
import type { HostFacts } from './spec.ts';
import type { Ties } from './tied-runs.ts';
import { messagePlaces, usualDevices } from './spec-mounts.ts';

export type RuntimeChoice = {
  /** For bundles and state. Its content goes with this process: a tmpfs is mounted over it where this process has a mount namespace of its own. */
  readonly folder: string;
  /** A file of the store; written anew when the machine, a runtime or we have changed. */
  readonly memory: string;
  /** Folder of the store that remembers cgroups of processes with limits until they are gone; without it limits are refused. */
  readonly cgroupRecords?: string;
  /** Restricts the choice. */
  readonly only?: 'crun' | 'runc';
  /** What this process asked for before it took mounts of its own. */
  readonly known?: KnownRuntime;
  /** This process has mounts of its own, but no PID namespace. */
  readonly ties?: Ties;
  readonly witness?: ProcessWitness | undefined;
};

/** Which runtime works here, as an earlier run has found out. */
export type KnownRuntime = { readonly way: Remembered; readonly facts: HostFacts };

const log = createLog('runtime');
const cgroupFolder = '/sys/fs/cgroup';

/**
 * The first runtime that works: crun before runc, without cgroups before with them (nothing here asks for a limit, and device files are
 * kept from working by mount flags). `note` gets a sentence for people, such as a warning about an old runc.
 * Call it in a mount namespace of one's own (`unshare --mount --pid --fork`): what may have to be mounted over /sys/fs/cgroup is never
 * mounted where others see it. Throws `runtime/not-installed`, `runtime/does-not-work`.
 */
export async function openRuntime(choice: RuntimeChoice, note: (text: string) => void, signal: AbortSignal): Promise<Runtime> {
  const found = choice.known === undefined ? findPrograms(choice.only) : [];
  if (choice.known === undefined && found.length === 0) throw notInstalled(choice.only);
  mkdirSync(choice.folder, { recursive: true, mode: 0o700 });
  if (choice.ties !== undefined || hasOwnMounts())
    mountFileSystem({
      source: 'tmpfs',
      target: choice.folder,
      type: 'tmpfs',
      flags: mountFlags.noSuid | mountFlags.noDevice,
      options: 'mode=0700',
    });
  const { way, facts } = choice.known ?? (await findWay(choice, found, signal));
  if (choice.known !== undefined) mountCover(way.cgroup);
  if (way.program.name === 'runc' && isOldRunc(way.program.version)) {
    note(`runc ${way.program.version} has known holes (CVE-2025-31133, CVE-2025-52881): install crun, or runc 1.2.8 or later`);
  }
  const host = { ...factsFor(way, choice.folder, facts), compiledFilter: way.filter };
  const ties = choice.ties === undefined ? {} : { ties: choice.ties };
  const { folder, witness } = choice;
  return createRuntime({ program: way.program, folder, host, witness, ...ties, ...(await cgroupsFor(choice)) });
}

/**
 * What `openRuntime` would take without trying anything, in a process that has, or is about to take, mounts of its own; undefined when something must be tried, or there is none.
 */
export function knownRuntime(memory: string): KnownRuntime | undefined {
  const found = findPrograms(undefined);
  if (found.length === 0) return undefined;
  const facts = hostFacts();
  const way = recall(memory, memoryKey(found, facts, true));
  return way && { way, facts };
}

async function findWay(choice: RuntimeChoice, found: readonly Found[], signal: AbortSignal): Promise<KnownRuntime> {
  const facts = hostFacts();
  const key = memoryKey(found, facts, hasOwnMounts());
  const remembered = recall(choice.memory, key);
  if (remembered !== undefined) {
    coverCgroups(remembered.cgroup);
    return { way: remembered, facts };
  }
  const way = await tryAll(found, { folder: choice.folder, facts }, signal);
  remember(choice.memory, key, way);
  return { way, facts };
}

/** What they need is loaded and mounted for the first process with limits, or when a dead owner left something. */
async function cgroupsFor({ folder, cgroupRecords: records, ties }: RuntimeChoice): Promise<Pick<RuntimeSetting, 'cgroups'>> {
  if (records === undefined || (ties === undefined && !hasOwnMounts())) return {};
  const mountPoint = join(folder, 'cgroups');
  // Each run has mounts of its own: what is mounted here for one that gets limits while it runs must be there for those who join it, too.
  if (ties !== undefined) shareMounts(mountPoint);
  let opened: Promise<Cgroups> | undefined;
  const cgroups = async (): Promise<Cgroups> => {
    opened ??= import('./cgroups.ts').then(({ createCgroups }) => createCgroups({ records, mountPoint }));
    return await opened;
  };
  if (existsSync(records) && readdirSync(records).length > 0) (await cgroups()).sweep();
  return { cgroups };
}

/** What is mounted in the folder from now on is seen by those who copy this process's mounts later. */
function shareMounts(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const place = { source: folder, target: folder, type: '', options: '' };
  mountFileSystem({ ...place, flags: mountFlags.bind });
  mountFileSystem({ ...place, flags: mountFlags.shared });
}

function factsFor({ devices }: Way, folder: string, facts: HostFacts): HostFacts {
  const rootDevices =
    devices === 'hook'
      ? {
          kind: devices,
          program: writeProgram('forbid-devices', join(folder, 'forbid-devices')),
          readOnlyProgram: writeProgram('forbid-writing', join(folder, 'forbid-writing')),
        }
      : { kind: devices };
  return { ...facts, rootDevices };
}

function writeProgram(name: SmallProgram, file: string): string {
  writeFileSync(file, smallProgram(name, process.arch));
  chmodSync(file, 0o755);
  return file;
}

/** Is this process in a mount namespace that it shares with nobody but its own children? */
function hasOwnMounts(): boolean {
  return process.pid === 1 || readlinkSync('/proc/self/ns/mnt') !== readlinkSync('/proc/1/ns/mnt');
}

function findPrograms(only: 'crun' | 'runc' | undefined): readonly Found[] {
  const folders = [
    ...(process.env['PATH'] ?? '').split(':'),
    '/usr/local/sbin',
    '/usr/local/bin',
    '/usr/sbin',
    '/usr/bin',
    '/sbin',
    '/bin',
  ];
  const names = (['crun', 'runc'] as const).filter((name) => only === undefined || only === name);
  return names.flatMap((name) => {
    const file = folders
      .filter((folder) => folder.startsWith('/'))
      .map((folder) => join(folder, name))
      .find(isExecutable);
    return file === undefined ? [] : [{ name, file }];
  });
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(systemCode(error) ?? '')) return false;
    throw error;
  }
}

function notInstalled(only: string | undefined): JettisonError {
  const what = only ?? 'crun and runc';
  return new JettisonError('runtime/not-installed', `Cannot run anything: ${what} not found in PATH`, {
    fault: 'environment',
    hint: `Install one: apt install ${only ?? 'crun'}${only === undefined ? ' (or runc)' : ''}`,
  });
}

function hostFacts(): HostFacts {
  return {
    capabilities: readCapabilities(readFileSync('/proc/self/status', 'utf8')),
    architecture: process.arch,
    devices: usualDevices.filter((path) => existsSync(path)),
    messagePlaces: messagePlaces.filter((path) => existsSync(path)),
    compiledFilter: undefined,
    rootDevices: { kind: 'flag-kept' },
    ...(ownRights().hasOneId ? { hasOneId: true } : {}),
    ...(ownRights().isInitialNamespace ? {} : { isMapped: true }),
  };
}

type Trial = { readonly folder: string; readonly facts: HostFacts };

async function tryAll(found: readonly Found[], trial: Trial, signal: AbortSignal): Promise<Remembered> {
  const failures: string[] = [];
  for (const { name, file } of found) {
    const version = await readVersion(file, signal);
    for (const way of waysOf({ name, file, version, globalArguments: [] })) {
      if (way.cgroup !== 'none' && !hasOwnMounts()) continue;
      const uncovered = tryCover(way.cgroup);
      const failure = uncovered ?? (await tryWay(way, trial, signal));
      log('%s %o over %s, devices by %s: %s', way.program.file, way.program.globalArguments, way.cgroup, way.devices, failure ?? 'works');
      if (failure === undefined) return { ...way, filter: await compiledFilter(way, trial, signal) };
      if (uncovered === undefined) uncoverCgroups(way.cgroup);
      failures.push(`${[name, ...way.program.globalArguments].join(' ')} (${way.cgroup}, ${way.devices}): ${failure}`);
    }
  }
  throw new JettisonError('runtime/does-not-work', 'Cannot run anything: no installed runtime works on this machine', {
    fault: 'environment',
    hint: found.some(({ name }) => name === 'crun') ? 'Install runc (apt install runc) or a later crun' : 'Install crun: apt install crun',
    notes: failures,
  });
}

function waysOf(program: Program): readonly Way[] {
  const calls: readonly (readonly [CgroupCover, ...string[]])[] =
    program.name === 'crun'
      ? // crun refuses a tree with controllers of both versions, even when told to use none; it takes an empty one.
        [['none', '--cgroup-manager=disabled'], ['tmpfs', '--cgroup-manager=disabled'], ['cgroup2'], ['none']]
      : // "rootless" makes runc go on where it may not make a cgroup.
        [['none'], ['none', '--rootless=true'], ['cgroup2'], ['cgroup2', '--rootless=true']];
  const devices = program.name === 'crun' ? (['remount', 'hook'] as const) : (['flag-kept', 'hook'] as const);
  return calls.flatMap(([cgroup, ...globalArguments]) =>
    devices.map((kind) => ({ program: { ...program, globalArguments }, cgroup, devices: kind })),
  );
}

function coverCgroups(cover: CgroupCover): void {
  if (hasOwnMounts()) mountCover(cover);
}

function mountCover(cover: CgroupCover): void {
  if (cover === 'none') return;
  mountFileSystem({
    source: cover,
    target: cgroupFolder,
    type: cover,
    flags: mountFlags.noSuid | mountFlags.noDevice | mountFlags.noExec,
    options: '',
  });
}

/** undefined when it is done; cgroup2 belongs to a cgroup namespace, which root of a user namespace may not have. */
function tryCover(cover: CgroupCover): string | undefined {
  try {
    coverCgroups(cover);
    return undefined;
  } catch (error) {
    if (systemCode(error) !== 'EPERM') throw error;
    return messageOf(error);
  }
}

function uncoverCgroups(cover: CgroupCover): void {
  if (cover !== 'none') unmount(cgroupFolder);
}

/** undefined when it works, else what was wrong. */
async function tryWay(way: Way, { folder, facts }: Trial, signal: AbortSignal): Promise<string | undefined> {
  const said: string[] = [];
  const hear = (bytes: Uint8Array): void => void said.push(new TextDecoder().decode(bytes));
  try {
    const runtime = createRuntime({ program: way.program, folder, host: factsFor(way, folder, facts) });
    const request = trialRequest(folder);
    const { code } = await runtime.run(request, { kind: 'capture', stdout: hear, stderr: hear }, signal);
    if (code === openedDevice(request)) return undefined;
    return code > 200 ? 'a device file of the image can be opened' : `ended with ${code}: ${said.join('').trim()}`;
  } catch (error) {
    signal.throwIfAborted();
    return messageOf(error);
  }
}

/** ENOENT */
const missing = 2;

/** Runs a program of one system call over a root in `folder`, by a runtime that is open already: undefined when that works, else what was wrong. */
export async function whyRuntimeFails(runtime: Runtime, folder: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { code } = await runtime.run(
      trialRequest(folder, { device: false }),
      { kind: 'capture', stdout: () => {}, stderr: () => {} },
      signal,
    );
    return code === missing ? undefined : `a program that opens a missing file ended with ${code}`;
  } catch (error) {
    signal.throwIfAborted();
    return messageOf(error);
  }
}

/** The errno of opening the trial's device file where all is well: EACCES, or ENOENT where we may not make one. */
function openedDevice({ rootfs }: ProcessRequest): number {
  return existsSync(join(rootfs, 'device')) ? 13 : missing;
}

/** A program that opens a device file in its root: a runtime works when it runs, and the sandbox when that fails. */
function trialRequest(folder: string, has = { device: true }): ProcessRequest {
  const rootfs = join(folder, 'trial');
  for (const name of ['dev', 'proc', 'sys', 'etc']) mkdirSync(join(rootfs, name), { recursive: true });
  writeProgram('open', join(rootfs, 'open'));
  if (has.device) makeDevice(fromText(join(rootfs, 'device')));
  return {
    id: 'trial',
    rootfs,
    arguments: ['/open', '/device'],
    environment: [],
    workingDirectory: '/',
    user: { uid: 0, gid: 0, additionalGids: [] },
    security: 'sandbox',
    network: 'host',
    hostname: 'trial',
    terminal: false,
    stopSignal: 'SIGKILL',
    shmSize: null,
    mounts: [],
    names: { hosts: '', hostname: '', resolvConf: '', readOnly: true },
  };
}

function makeDevice(path: ByteString): void {
  try {
    makeNodeAt(AT_FDCWD, path, { type: fileTypes.character, mode: 0o666, major: 1, minor: 3 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST' && systemCode(error) !== 'EPERM') throw error;
  }
}

/** crun leaves the filter that it compiled beside a created container; it may be handed in again. undefined where there is none, or it does not work. */
async function compiledFilter(way: Way, trial: Trial, signal: AbortSignal): Promise<string | undefined> {
  const { program } = way;
  if (program.name !== 'crun') return undefined;
  const state = join(trial.folder, 'state');
  const request = { ...trialRequest(trial.folder), id: 'filter' };
  using bundle = openBundle(join(trial.folder, 'bundles'), request, factsFor(way, trial.folder, trial.facts));
  const create = ['create', '--bundle', bundle.folder, '--pid-file', bundle.pidFile, request.id];
  await call(program, callArguments(program, state, create), signal);
  const file = join(state, request.id, 'seccomp.bpf');
  const filter = existsSync(file) ? readFileSync(file).toString('base64') : '';
  await call(program, callArguments(program, state, ['delete', '--force', request.id]), signal);
  const works = filter !== '' && (await tryWay(way, { ...trial, facts: { ...trial.facts, compiledFilter: filter } }, signal)) === undefined;
  return works ? filter : undefined;
}

async function readVersion(command: string, signal: AbortSignal): Promise<string> {
  const { stdout } = await runProcess({ command, arguments: ['--version'], environment: ownEnvironment }, signal);
  return /version\s+(\S+)/u.exec(new TextDecoder().decode(stdout))?.[1] ?? 'unknown';
}

/** Without output: what stays behind may keep it open. */
async function call(program: Program, words: readonly string[], signal: AbortSignal): Promise<void> {
  const quiet = { stdout: 'ignore', stderr: 'ignore', environment: ownEnvironment } as const;
  await runProcess({ command: program.file, arguments: words, ...quiet }, signal);
}

/** Fixed in 1.2.8, 1.3.3 and 1.4.0-rc.3. */
function isOldRunc(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.+~-]/u).map(Number);
  if (major !== 1) return major < 1;
  return minor < 2 || (minor === 2 && patch < 8) || (minor === 3 && patch < 3);
}
