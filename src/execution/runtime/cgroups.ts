/**
 * A cgroup around one process that has limits; the others run without (decision 5). What is made is written down before, in a file that is
 * locked while its owner lives: a cgroup outlives the processes in it, so what a killed owner left is found there and removed later.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { JettisonError, isCode, systemCode } from '#ground/base/errors.ts';
import { createLog } from '#ground/base/log.ts';
import { mountHierarchy, readCount, readHierarchies, removeCgroup, type CgroupHierarchy } from '#ground/linux/cgroup.ts';
import { tryLockFile, type FileLock } from '#ground/linux/lock-file.ts';
import type { ProcessMount, ResourceLimits } from './contract.ts';
import { limitRefused, moveAll } from './cgroup-members.ts';
import { cannotLimit, controllerName, controllersOf, limitFiles, type Controller, type LimitFile } from './limits.ts';
import type { CountingFolder } from './usage.ts';

export type CgroupPlaces = {
  /** Folder of the files that say what was made; of the store. */
  readonly records: string;
  /** An empty folder of this process's own mount namespace, to mount hierarchies below. */
  readonly mountPoint: string;
};

export type StepCgroup = AsyncDisposable & {
  /** Whoever writes 0 into all of these stands in it. */
  readonly entrances: readonly string[];
  /** What shows the process its own limits, where Linux programs look for them. */
  readonly mounts: readonly ProcessMount[];
  /** Was a process killed because memory would have passed the limit? `ended` with SIGKILL helps to tell where the kernel counts no kills. */
  ranOutOfMemory(ended: { readonly killed: boolean }): boolean;
  /** Where the kernel counts what the process uses. */
  readonly folders: () => readonly CountingFolder[];
  /** Puts processes into it that began outside. Throws `runtime/limit-refused`. */
  take(standing: Standing): void;
  /** Other limits from now on: all of them, with those that stay. Throws as `open` does; then some of the new limits may hold. */
  change(limits: ResourceLimits, standing: Standing): void;
};

/** Processes that run already, asked for until none is new, and where the first of them stands. */
export type Standing = { readonly processes: () => readonly number[]; readonly hierarchies: readonly CgroupHierarchy[] };

/** A folder that was or will be made. `isLeaf`: else it goes only when nothing is in it. */
type Made = { readonly version: 1 | 2; readonly name: string; readonly path: string; readonly isLeaf: boolean };
type Branch = { readonly hierarchy: CgroupHierarchy; readonly root: string; readonly controllers: readonly Controller[] };

const log = createLog('runtime');
const exclusive = { exclusive: true, wait: false } as const;
const removalTries = 100;
const removalPause = 20;

export type Cgroups = {
  /** Makes the cgroup `id` with the limits; `hierarchies`: where the process stands that is to be put into it. Throws `runtime/limit-unsupported`, `runtime/limit-refused`. */
  open(id: string, limits: ResourceLimits, hierarchies?: readonly CgroupHierarchy[]): StepCgroup;
  /** Removes what owners left that are dead. Never throws for it. */
  sweep(): void;
};

export function createCgroups(places: CgroupPlaces): Cgroups {
  const mounted = new Map<string, string>();
  const rootOf = (hierarchy: Pick<CgroupHierarchy, 'version' | 'name'>): string => {
    const root = mounted.get(hierarchy.name) ?? mountOrRefuse(hierarchy, places.mountPoint);
    mounted.set(hierarchy.name, root);
    return root;
  };
  return {
    open: (id, limits, hierarchies = []) => openCgroup(id, { limits, hierarchies }, { places, rootOf }),
    sweep: () => sweepRecords(places, rootOf),
  };
}

/** Outside of the machine's own namespaces a hierarchy can be mounted only by who has a cgroup namespace of its own. */
function mountOrRefuse(hierarchy: Pick<CgroupHierarchy, 'version' | 'name'>, mountPoint: string): string {
  try {
    return mountHierarchy(hierarchy, mountPoint);
  } catch (error) {
    if (systemCode(error) !== 'EPERM' && systemCode(error) !== 'EACCES') throw error;
    throw cannotLimit(error);
  }
}

type Tools = { readonly places: CgroupPlaces; readonly rootOf: (hierarchy: Pick<CgroupHierarchy, 'version' | 'name'>) => string };

function openCgroup(
  id: string,
  { limits, hierarchies }: { readonly limits: ResourceLimits; readonly hierarchies: readonly CgroupHierarchy[] },
  { places, rootOf }: Tools,
): StepCgroup {
  const stood: Leaf[] = [];
  const undone: { undo(): boolean; readonly record: Record }[] = [];
  /** Hierarchies in which they have not stood from the beginning. */
  const late = new Set<string>();
  const move = (leaves: readonly Leaf[], standing: Standing): void => {
    const others = leaves.filter(({ hierarchy, path }) => path !== ownPath(id, hierarchy, standing.hierarchies));
    for (const { hierarchy } of others) late.add(hierarchy.name);
    moveAll(others.map(entranceOf), standing.processes);
  };
  const enter = (wanted: ResourceLimits, stands: readonly CgroupHierarchy[]): readonly Leaf[] => {
    const pathOf = (hierarchy: CgroupHierarchy): string =>
      stood.find((leaf) => leaf.hierarchy.name === hierarchy.name)?.path ??
      ownPath(id, hierarchy, stands) ??
      join(parentOf(hierarchy, wanted), `jettison-${id}`);
    const leaves = branchesFor(wanted, rootOf).map((branch) => ({ ...branch, path: pathOf(branch.hierarchy) }));
    const made = leaves.flatMap(missingFolders);
    const record = writeRecord(places.records, undone.length === 0 ? id : `${id}.${undone.length}`, made);
    const undo = (): boolean => made.toReversed().every((each) => removeMade(each, rootOf(each)));
    try {
      for (const leaf of leaves) again(() => makeLeaf(leaf, wanted));
    } catch (error) {
      if (undo()) record.remove();
      throw error;
    }
    undone.push({ undo, record });
    const fresh = leaves.filter(({ hierarchy }) => stood.every((leaf) => leaf.hierarchy.name !== hierarchy.name));
    const others = stood.filter(({ hierarchy }) => leaves.every((leaf) => leaf.hierarchy.name !== hierarchy.name));
    stood.splice(0, Infinity, ...others, ...leaves);
    return fresh;
  };
  enter(limits, hierarchies);
  return {
    get entrances() {
      return stood.map(entranceOf);
    },
    mounts: mountsOf(stood.map(({ hierarchy, root, path }) => ({ hierarchy, folder: join(root, path) }))),
    folders: () =>
      stood.map(({ hierarchy: { version, name }, root, path }) => ({ version, folder: join(root, path), isWhole: !late.has(name) })),
    ranOutOfMemory(ended) {
      const memory = stood.find(({ controllers }) => controllers.includes('memory'));
      return memory !== undefined && sawKill(join(memory.root, memory.path), memory.hierarchy.version, ended);
    },
    take: (standing) => move(stood, standing),
    change: (wanted, standing) => move(enter({ ...wanted, ...keptParent(limits) }, standing.hierarchies), standing),
    async [Symbol.asyncDispose]() {
      for (let attempt = 0; attempt < removalTries; attempt++) {
        while (undone.at(-1)?.undo() === true) undone.pop()?.record.remove();
        if (undone.length === 0) return;
        await sleep(removalPause);
      }
      log('cgroup jettison-%s stays: processes are still in it', id);
    },
  };
}

type Leaf = Branch & { readonly path: string };

function entranceOf({ root, path }: Leaf): string {
  return join(root, path, 'cgroup.procs');
}

/** The cgroup that a runtime made for the process: it puts those that join the process there, too. */
function ownPath(id: string, { name }: CgroupHierarchy, hierarchies: readonly CgroupHierarchy[]): string | undefined {
  const path = hierarchies.find((one) => one.name === name)?.own;
  return path !== undefined && basename(path).includes(id) ? path : undefined;
}

/** Where it stands is not a limit that could be changed. */
function keptParent({ cgroupParent }: ResourceLimits): Pick<ResourceLimits, 'cgroupParent'> {
  return cgroupParent === undefined ? {} : { cgroupParent };
}

/** The hierarchies to stand in: those with a controller that a limit needs, and with a parent of the user's all that count something. */
function branchesFor(limits: ResourceLimits, rootOf: Tools['rootOf']): readonly Branch[] {
  const hierarchies = readHierarchies(readFileSync('/proc/self/cgroup', 'utf8'));
  const unified = hierarchies.find(({ version }) => version === 2);
  const needed = controllersOf(limits);
  const branches = new Map<string, Branch>();
  const add = (hierarchy: CgroupHierarchy, controllers: readonly Controller[]): void => {
    const before = branches.get(hierarchy.name)?.controllers ?? [];
    branches.set(hierarchy.name, { hierarchy, root: rootOf(hierarchy), controllers: [...before, ...controllers] });
  };
  for (const controller of needed) {
    const first = hierarchies.find(({ version, name }) => version === 1 && name.split(',').includes(controller));
    const found = first ?? (unified && unifiedHas(rootOf(unified), controller) ? unified : undefined);
    if (found === undefined) throw unsupported(`The kernel offers no cgroup controller "${controller}" here`);
    add(found, [controller]);
  }
  if (limits.cgroupParent !== undefined) {
    const counting = hierarchies.filter(({ version, name }) => version === 1 && /\b(?:memory|cpu|cpuset|pids)\b/u.test(name));
    for (const hierarchy of counting.length > 0 || unified === undefined ? counting : [unified]) add(hierarchy, []);
  }
  if (branches.size === 0) throw unsupported('There are no cgroups on this machine');
  return [...branches.values()];
}

function unifiedHas(root: string, controller: Controller): boolean {
  return readFileSync(join(root, 'cgroup.controllers'), 'utf8').trim().split(' ').includes(controllerName(controller, 2));
}

/**
 * Version 1: below our own cgroup, so that our limits hold, too. Version 2 has no limits for the children of a cgroup with processes, so
 * they stand at the top.
 */
function parentOf({ version, own }: CgroupHierarchy, { cgroupParent }: ResourceLimits): string {
  if (cgroupParent === undefined) return version === 1 ? own : '/jettison';
  const path = cgroupParent.endsWith('.slice') && !cgroupParent.includes('/') ? slicePath(cgroupParent) : cgroupParent;
  return join('/', path);
}

/** systemd.slice(5): `a-b.slice` stands in `a.slice`. */
function slicePath(slice: string): string {
  const parts = slice.slice(0, -'.slice'.length).split('-');
  return slice === '-.slice' ? '/' : parts.map((_, index) => `${parts.slice(0, index + 1).join('-')}.slice`).join('/');
}

/** Outermost first. */
function missingFolders({ hierarchy, root, path }: Leaf): readonly Made[] {
  const missing: Made[] = [];
  for (let at = path; at !== '/' && !statSync(join(root, at), { throwIfNoEntry: false }); at = dirname(at))
    missing.unshift({ version: hierarchy.version, name: hierarchy.name, path: at, isLeaf: at === path });
  return missing;
}

/** Another process may remove a parent in which nothing stood yet, just before something does. */
function again(make: () => void): void {
  for (let attempt = 1; ; attempt++) {
    try {
      return make();
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' || attempt === 3) throw error;
    }
  }
}

function makeLeaf(leaf: Leaf, limits: ResourceLimits): void {
  const { hierarchy, root, path, controllers } = leaf;
  const parts = path.split('/').filter(Boolean);
  let folder = root;
  for (const part of parts) {
    if (hierarchy.version === 2) allowBelow(folder, controllers);
    const parent = folder;
    folder = join(folder, part);
    makeFolder(folder);
    if (hierarchy.version === 1 && hierarchy.name.split(',').includes('cpuset')) inheritCpuset(parent, folder);
  }
  for (const controller of controllers) writeLimits(folder, limitFiles(limits, controller, hierarchy.version));
}

/** Of limits that bound each other (version 1: memory, and memory with swap) the order depends on which way they go. */
function writeLimits(folder: string, files: readonly LimitFile[]): void {
  try {
    for (const file of files) writeLimit(folder, file);
  } catch (error) {
    if (files.length < 2 || !isCode(error, 'runtime/limit-refused')) throw error;
    for (const file of files.toReversed()) writeLimit(folder, file);
    for (const file of files) writeLimit(folder, file);
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return;
    if (systemCode(error) === 'ENOENT') throw error;
    throw limitRefused('Cannot make a cgroup', error);
  }
}

/** Version 2: a cgroup's children have the controllers that it hands on. */
function allowBelow(folder: string, controllers: readonly Controller[]): void {
  const file = join(folder, 'cgroup.subtree_control');
  const allowed = readFileSync(file, 'utf8').trim().split(' ');
  for (const controller of controllers.map((each) => controllerName(each, 2)).filter((each) => !allowed.includes(each))) {
    try {
      writeFileSync(file, `+${controller}`);
    } catch (error) {
      throw limitRefused(`Cannot use the cgroup controller "${controller}"`, error);
    }
  }
}

/** Version 1: nobody can stand in a cpuset without processors and memory. */
function inheritCpuset(parent: string, folder: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (readFileSync(join(folder, file), 'utf8').trim() === '') writeFileSync(join(folder, file), readFileSync(join(parent, file)));
  }
}

function writeLimit(folder: string, { file: name, instead, value, optional }: LimitFile): void {
  const file = instead !== undefined && !existsSync(join(folder, name)) ? instead : name;
  try {
    writeFileSync(join(folder, file), value, { flag: 'r+' });
  } catch (error) {
    if (systemCode(error) === 'ENOENT' && optional) return;
    if (systemCode(error) === 'ENOENT') throw unsupported(`The kernel has no "${file}"`);
    if (file.startsWith('cpuset.')) throw limitRefused(`Cannot use "${value}" for "${file}": there is ${available(folder, file)}`, error);
    throw limitRefused(`The kernel does not take "${value}" for "${file}"`, error);
  }
}

/** What the cgroup above has of `cpuset.cpus` or `cpuset.mems`. */
function available(folder: string, file: string): string {
  const files = [`${file}.effective`, file].map((name) => join(dirname(folder), name));
  const texts = files.map((each) => (existsSync(each) ? readFileSync(each, 'utf8').trim() : ''));
  return texts.find((text) => text !== '') ?? 'none';
}

/** Version 1 looks as if this were the whole tree; the process is in a cgroup namespace and sees itself at `/`. */
function mountsOf(leaves: readonly { readonly hierarchy: CgroupHierarchy; readonly folder: string }[]): readonly ProcessMount[] {
  const [first] = leaves;
  if (first !== undefined && first.hierarchy.version === 2 && leaves.length === 1) return [bind(first.folder, '/sys/fs/cgroup')];
  return [
    { kind: 'tmpfs', target: '/sys/fs/cgroup', size: 65_536, mode: 0o755 },
    ...leaves.map(({ hierarchy, folder }) => bind(folder, `/sys/fs/cgroup/${hierarchy.name}`)),
  ];
}

function bind(source: string, target: string): ProcessMount {
  return { kind: 'bind', source, target, readOnly: true };
}

/** A runtime that makes a cgroup of its own below takes the count of kills of version 1 away with it: then the limit was met, and the end was SIGKILL. */
function sawKill(folder: string, version: 1 | 2, { killed }: { readonly killed: boolean }): boolean {
  if (version === 2) return readCount(join(folder, 'memory.events'), 'oom_kill') > 0;
  return readCount(join(folder, 'memory.oom_control'), 'oom_kill') > 0 || (killed && readNumber(join(folder, 'memory.failcnt')) > 0);
}

function readNumber(file: string): number {
  return Number(readFileSync(file, 'utf8'));
}

type Record = { remove(): void };

/** The file gets its name once it is locked and complete, so that nobody takes it for a dead one's. */
function writeRecord(folder: string, id: string, made: readonly Made[]): Record {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const [early, path] = [join(folder, `.${id}`), join(folder, id)];
  const lock = tryLockFile(early, exclusive);
  if (!lock) throw new JettisonError('runtime/cgroup-exists', `Cgroup "${id}" is somebody else's`, { fault: 'bug' });
  writeFileSync(early, JSON.stringify(made));
  renameSync(early, path);
  return {
    remove() {
      rmSync(path, { force: true });
      lock[Symbol.dispose]();
    },
  };
}

const recordSchema = v.array(v.object({ version: v.picklist([1, 2]), name: v.string(), path: v.string(), isLeaf: v.boolean() }));

function sweepRecords({ records }: CgroupPlaces, rootOf: Tools['rootOf']): void {
  for (const name of namesIn(records)) {
    const path = join(records, name);
    using lock: FileLock | undefined = tryLockFile(path, exclusive);
    if (lock === undefined) continue;
    const read = v.safeParse(v.pipe(v.string(), v.parseJson(), recordSchema), readFileSync(path, 'utf8'));
    const made = read.success ? read.output : [];
    try {
      if (made.toReversed().every((each) => removeMade(each, rootOf(each)))) rmSync(path, { force: true });
    } catch (error) {
      log('cannot remove what "%s" names: %o', path, error);
    }
  }
}

/** A parent that was missing goes with the last that stands in it, whoever that is. */
function removeMade({ path, isLeaf }: Made, root: string): boolean {
  if (isLeaf) return removeCgroup(join(root, path));
  try {
    rmdirSync(join(root, path));
  } catch (error) {
    if (!['EBUSY', 'ENOTEMPTY', 'ENOENT'].includes(systemCode(error) ?? '')) throw error;
  }
  return true;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => !name.startsWith('.'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function unsupported(message: string): JettisonError {
  return new JettisonError('runtime/limit-unsupported', message, {
    fault: 'environment',
    hint: 'Leave the limit out, or turn the controller on in the kernel',
  });
}
