/** Folders that outlive a build: `RUN --mount=type=cache`. Their ids are hashed, never paths; their content is as hostile as any image's. */
import { createHash, randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { copyFolder } from '#formats/graph/copy.ts';
import type { Mount } from '#formats/graph/op.ts';
import { fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { canonicalJson } from '#ground/base/canonical-json.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { sleep } from '#ground/base/retry.ts';
import { tryLockFile, type FileLock } from '#ground/linux/lock-file.ts';
import { removeTree } from '#ground/linux/remove-tree.ts';
import { folderNotFound, openRoot, type OpenFile, type Root } from '#ground/linux/rooted-path.ts';
import { mountFileSystem, mountFlags, unmount } from '#ground/linux/mount.ts';
import { setOwnerOutside } from '#ground/linux/owner.ts';
import { cacheMountHolder, noteCacheMountUse } from '../cache-mounts.ts';
import { dropUnsafeData, markUnsafe, mayHaveLostBytes } from '../cache-mount-safety.ts';
import { contentDigest, copyOut, type FileTools, type TreeSource } from '../file.ts';

export type CacheMount = Extract<Mount, { kind: 'cache' }>;
export type OpenCaches = Disposable & {
  /** Where a cache is mounted for as long as it is open: however its content changes, this stays the folder that was found. */
  sourceOf(mount: CacheMount): string;
};
export type CacheTools = FileTools & {
  /** The folder of all cache mounts. */
  readonly cacheMounts: string;
  /** Gives a path in a folder of this process's own, where nothing is yet; undefined where nothing is mounted: then a cache is given as it lies, for one mount alone. */
  readonly mountPoint: ((index: number) => string) | undefined;
  /** Id of the process that the user started. */
  readonly engine: number;
  /** Takes a sentence once a cache has been waited for so long that people want to know for whom. */
  readonly onWait: (text: string) => void;
};

type Sharing = CacheMount['sharing'];
/** A folder for caches of one name: `<cacheMounts>/<hash of the name>`, in which stand `0`, `1` ... */
type Place = { readonly path: string; readonly initial: TreeSource | undefined; readonly mounts: CacheMount[] };

const retryDelay = 100;
const patience = 1000;
const draftPrefix = 'new-';
const usual = { mode: 0o755, uid: 0, gid: 0 };
/** When one step mounts a cache twice, the strictest of what it asks for counts. */
const strictness: readonly Sharing[] = ['shared', 'private', 'locked'];

/**
 * Takes the folders of all cache mounts of a step; a new one is empty or begins with what `from` has. `shared`: with everybody; `locked`: waits until
 * nobody else has it; `private`: another folder when somebody has it. A step takes its folders in the order of their names, so that two
 * steps never wait for each other. Throws what reading the tree to begin with says.
 */
export async function openCaches(
  mounts: readonly CacheMount[],
  inputs: readonly (TreeSource | undefined)[],
  tools: CacheTools,
  signal: AbortSignal,
): Promise<OpenCaches> {
  using undo = new DisposableStack();
  const sources = new Map<CacheMount, string>();
  for (const place of await placesOf(mounts, inputs, tools, signal)) {
    const { folder, lock } = await takeInstance(place, tools, signal);
    undo.use(lock);
    const id = idOf(place);
    noteCacheMountUse(place.path, folder, { id, holder: sharingOf(place) === 'shared' ? undefined : tools.engine });
    undo.defer(() => noteCacheMountUse(place.path, folder, { id, holder: undefined }));
    await distrust(folder, signal);
    await makeData(place, folder, tools, signal);
    const data = join(folder, 'data');
    if (tools.mountPoint === undefined && place.mounts.length > 1) throw mountedTwice(id);
    for (const mount of place.mounts) {
      const point = tools.mountPoint?.(sources.size);
      if (point !== undefined) undo.use(mountInner(data, mount, point));
      sources.set(mount, point ?? innerPath(data, mount));
    }
  }
  const stack = undo.move();
  return { sourceOf: (mount) => sources.get(mount) ?? '', [Symbol.dispose]: () => stack.dispose() };
}

function mountedTwice(id: string): JettisonError {
  return new JettisonError('ops/not-without-mounts', `Cannot mount the cache "${id}" twice in one step where nothing can be mounted`, {
    fault: 'environment',
    hint: 'Mount it once, or build where another "--isolation" than "chroot" works',
  });
}

/** As with BuildKit, caches of one id are different ones when they begin with other files, or with another mode or owner of the folder. */
async function placesOf(
  mounts: readonly CacheMount[],
  inputs: readonly (TreeSource | undefined)[],
  tools: CacheTools,
  signal: AbortSignal,
): Promise<readonly Place[]> {
  const places = new Map<string, Place>();
  for (const mount of mounts) {
    const initial = mount.input === null ? undefined : inputs[mount.input];
    const content = initial && (await contentDigest(initial, copyFolder(mount.source), tools, signal));
    const { mode, uid, gid } = mount;
    const isUsual = content === undefined && mode === usual.mode && uid === usual.uid && gid === usual.gid;
    const name = isUsual ? mount.id : `${mount.id}\0${canonicalJson({ mode, uid, gid, content: content ?? null })}`;
    const path = join(tools.cacheMounts, createHash('sha256').update(name).digest('hex'));
    const place = places.get(path) ?? { path, initial, mounts: [] };
    place.mounts.push(mount);
    places.set(path, place);
  }
  return [...places.values()].toSorted((one, other) => (one.path < other.path ? -1 : 1));
}

function idOf({ mounts }: Place): string {
  return mounts[0]?.id ?? '';
}

function sharingOf({ mounts }: Place): Sharing {
  return strictness[Math.max(...mounts.map((mount) => strictness.indexOf(mount.sharing)))] ?? 'locked';
}

async function takeInstance(
  place: Place,
  tools: CacheTools,
  signal: AbortSignal,
): Promise<{ readonly folder: string; readonly lock: FileLock }> {
  const sharing = sharingOf(place);
  for (let number = 0; ; number++) {
    const folder = join(place.path, String(number));
    const path = join(folder, 'lock');
    if (sharing !== 'private') {
      const onWait = (): void => tools.onWait(`Waiting for ${whoHas(folder, tools.engine)} the cache mount "${idOf(place)}"`);
      return { folder, lock: await takeLock(path, { exclusive: sharing === 'locked', onWait }, signal) };
    }
    const lock = tryLock(path, true);
    if (lock) return { folder, lock };
  }
}

/** Ends with a verb: `another build (process 12) that has locked`. */
function whoHas(folder: string, engine: number): string {
  const holder = cacheMountHolder(folder);
  if (holder === undefined) return 'other steps that use';
  return holder === engine ? 'another step of this build that has locked' : `another build (process ${holder}) that has locked`;
}

/** What the machine may have lost when it stopped is not handed to a step. */
async function distrust(folder: string, signal: AbortSignal): Promise<void> {
  markUnsafe(folder);
  if (!mayHaveLostBytes(folder)) return;
  using _ = await takeLock(join(folder, 'making'), { exclusive: true }, signal);
  if (mayHaveLostBytes(folder)) dropUnsafeData(folder);
}

/** Makes `<folder>/data` where it is missing, in one go: who shares the cache finds all of it or nothing. */
async function makeData({ initial, mounts }: Place, folder: string, tools: CacheTools, signal: AbortSignal): Promise<void> {
  const data = join(folder, 'data');
  if (existsSync(data)) return;
  using undo = new DisposableStack();
  undo.use(await takeLock(join(folder, 'making'), { exclusive: true }, signal));
  if (existsSync(data)) return;
  // What is left of one who was killed while making it.
  for (const name of readdirSync(folder)) if (name.startsWith(draftPrefix)) removeTree(join(folder, name));
  const draft = join(folder, `${draftPrefix}${randomUUID()}`);
  mkdirSync(draft, { mode: 0o700 });
  try {
    const [mount] = mounts;
    const asked = mount === undefined ? usual : { mode: mount.mode, uid: mount.uid, gid: mount.gid };
    const found = initial && (await copyOut({ source: initial, path: mount?.source ?? '/' }, draft, tools, signal));
    const isAsked = asked.mode !== usual.mode || asked.uid !== usual.uid || asked.gid !== usual.gid;
    const look = isAsked ? asked : (found ?? asked);
    setOwnerOutside(draft, look.uid, look.gid);
    chmodSync(draft, look.mode);
    renameSync(draft, data);
  } catch (error) {
    removeTree(draft);
    throw error;
  }
}

/** `onWait` is called once, when it takes long. */
async function takeLock(
  path: string,
  { exclusive, onWait }: { readonly exclusive: boolean; readonly onWait?: () => void },
  signal: AbortSignal,
): Promise<FileLock> {
  for (let waited = 0; ; waited += retryDelay) {
    signal.throwIfAborted();
    const lock = tryLock(path, exclusive);
    if (lock) return lock;
    if (waited === patience) onWait?.();
    await sleep(retryDelay, signal);
  }
}

/** The folder is made when it is missing; a prune may take it away at any moment before it is locked. */
function tryLock(path: string, exclusive: boolean): FileLock | undefined {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  try {
    return tryLockFile(path, { exclusive, wait: false });
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Nobody else has the cache: the path stays what it was found to be. */
function innerPath(data: string, mount: CacheMount): string {
  using root = openRoot(data);
  const { path, opened } = openInner(root, mount);
  opened[Symbol.dispose]();
  return path === '' ? data : `${data}/${toText(path)}`;
}

/** A folder inside a cache that begins empty is made when it is missing; what begins as a copy is a copy of the folder that was asked for. */
function openInner(root: Root, mount: CacheMount): { readonly path: ByteString; readonly opened: OpenFile } {
  const path = mount.input === null ? fromText(mount.source.replaceAll(/^\/+|\/+$/gu, '')) : fromText('');
  const look = { mode: mount.mode, uid: mount.uid, gid: mount.gid };
  return { path, opened: root.openFolder(path, () => look) };
}

function mountInner(data: string, mount: CacheMount, point: string): Disposable {
  using undo = new DisposableStack();
  const root = undo.use(openRoot(data));
  const { path, opened } = openInner(root, mount);
  undo.use(opened);
  mkdirSync(point);
  undo.defer(() => rmdirSync(point));
  try {
    mountFileSystem({ source: `/proc/self/fd/${opened.file}`, target: point, type: '', flags: mountFlags.bind, options: '' });
  } catch (error) {
    // Another step that shares the cache has removed it since.
    if (systemCode(error) === 'ENOENT') throw folderNotFound(path, error);
    throw error;
  }
  undo.defer(() => unmount(point));
  return undo.move();
}
