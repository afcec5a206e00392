/** What a container has mounted: folders and files of the host, volumes, memory. */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fromText, nodePath } from '#ground/base/byte-string.ts';
import { JettisonError, messageOf, systemCode, unreachable } from '#ground/base/errors.ts';
import { openRoot, type OpenFile } from '#ground/linux/rooted-path.ts';
import { openFlags } from '#ground/linux/syscall.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import type { Runtime, TmpfsMount } from '#execution/runtime/contract.ts';
import { mountDevice } from '#execution/runtime/host-devices.ts';
import { openVolume } from './container/volume.ts';
import type { RootMount } from './exec/process.ts';

export type ContainerMount =
  | {
      readonly kind: 'bind';
      /** Absolute path of the host. */
      readonly source: string;
      readonly target: string;
      readonly readOnly: boolean;
      /** A source that is missing is made, as a folder. */
      readonly makesSource: boolean;
      readonly isRecursive: boolean;
      readonly isShallow: boolean;
    }
  | {
      readonly kind: 'volume';
      /** Absolute path of the volume's folder in the store. */
      readonly folder: string;
      readonly target: string;
      readonly readOnly: boolean;
      /** While it is empty, it gets what the image has at `target`. */
      readonly fills: boolean;
      /** A folder or file in it. */
      readonly subpath?: string;
    }
  | {
      readonly kind: 'image';
      /** undefined: one without layers. */
      readonly snapshot: SnapshotId | undefined;
      readonly target: string;
      /** A folder or file in it. */
      readonly subpath?: string;
    }
  | { readonly kind: 'device'; readonly source: string; readonly target: string }
  | TmpfsMount;

/** An image's tree is shown by then: `path` is where. */
type ShownMount =
  | Exclude<ContainerMount, { kind: 'image' }>
  | (Omit<Extract<ContainerMount, { kind: 'image' }>, 'snapshot'> & { readonly path: string });

export type ShownMounts = AsyncDisposable & { readonly mounts: readonly ShownMount[] };

/**
 * Shows the trees of the images among them, to be given back when nobody has them mounted any more. `isConfined`: what has them mounted cannot write to what is mounted read-only. Throws
 * `ops/not-without-mounts`, `snapshot/not-found`.
 */
export async function showImages(
  asked: readonly ContainerMount[],
  {
    snapshots,
    runtime,
    isConfined,
  }: { readonly snapshots: SnapshotStore; readonly runtime: Pick<Runtime, 'bindsBy'>; readonly isConfined: boolean },
  signal: AbortSignal,
): Promise<ShownMounts> {
  refuseWithoutMounts(asked, runtime);
  await using undo = new AsyncDisposableStack();
  const mounts: ShownMount[] = [];
  for (const mount of asked) {
    if (mount.kind !== 'image') {
      mounts.push(mount);
      continue;
    }
    const { snapshot, ...rest } = mount;
    const tree = undo.use(await (isConfined ? snapshots.view(snapshot, signal) : snapshots.privateView(snapshot, signal)));
    mounts.push({ ...rest, path: tree.path });
  }
  const opened = undo.move();
  return { mounts, [Symbol.asyncDispose]: async () => await opened.disposeAsync() };
}

export type OpenContainerMounts = Disposable & { readonly mounts: readonly RootMount[] };

/**
 * Makes ready what is to be mounted over the root `rootfs`, in which nothing runs yet. Throws `ops/missing-source`, `ops/not-without-mounts`, `runtime/no-device`, and what
 * opening a volume says.
 */
export function openContainerMounts(
  asked: readonly ShownMount[],
  { rootfs, runtime }: { readonly rootfs: string; readonly runtime: Pick<Runtime, 'bindsBy'> },
  signal: AbortSignal,
): OpenContainerMounts {
  refuseWithoutMounts(asked, runtime);
  using undo = new DisposableStack();
  const mounts = asked.flatMap((mount): readonly RootMount[] => {
    switch (mount.kind) {
      case 'bind':
        return [bindOf(mount)];
      case 'volume': {
        const source = mount.fills ? { rootfs, target: mount.target } : undefined;
        const data = openVolume(mount.folder, source, signal);
        const { path, point } =
          mount.subpath === undefined
            ? { path: data, point: 'folder' as const }
            : subpathOf(data, { subpath: mount.subpath, of: 'volume' }, undo);
        return [{ mount: { kind: 'bind', source: path, target: mount.target, readOnly: mount.readOnly }, point }];
      }
      case 'image': {
        const { path, point } =
          mount.subpath === undefined
            ? { path: mount.path, point: 'folder' as const }
            : subpathOf(mount.path, { subpath: mount.subpath, of: 'image' }, undo);
        return [{ mount: { kind: 'bind', source: path, target: mount.target, readOnly: true }, point }];
      }
      case 'device':
        return mountDevice(mount.source, mount.target).map((device) => ({ mount: device, point: 'file' }));
      case 'tmpfs':
        return [{ mount, point: 'folder' }];
      default:
        return unreachable(mount, 'mount');
    }
  });
  const opened = undo.move();
  return { mounts, [Symbol.dispose]: () => opened.dispose() };
}

function refuseWithoutMounts(asked: readonly ShownMount[] | readonly ContainerMount[], runtime: Pick<Runtime, 'bindsBy'>): void {
  if (asked.length === 0 || runtime.bindsBy !== 'moving') return;
  throw new JettisonError('ops/not-without-mounts', 'Cannot mount volumes, folders, images and devices where nothing can be mounted', {
    fault: 'environment',
    hint: 'Leave them out, or use another "--isolation" than "chroot"',
  });
}

function bindOf(mount: Extract<ContainerMount, { kind: 'bind' }>): RootMount {
  const { source, target, readOnly, isRecursive, isShallow } = mount;
  const stats = lookAtSource(source) ?? (mount.makesSource ? makeSource(source) : undefined);
  if (stats === undefined) {
    throw new JettisonError('ops/missing-source', `invalid mount config for type "bind": bind source path does not exist: ${source}`, {
      hint: 'Make it first; "-v" makes a folder where nothing is',
    });
  }
  return { mount: { kind: 'bind', source, target, readOnly, isRecursive, isShallow }, point: stats.isDirectory() ? 'folder' : 'file' };
}

function lookAtSource(path: string) {
  try {
    return statSync(nodePath(fromText(path)), { throwIfNoEntry: false });
  } catch (error) {
    if (systemCode(error) !== 'ENOTDIR' && systemCode(error) !== 'EACCES') throw error;
    throw cannotMake(path, error);
  }
}

function makeSource(path: string) {
  try {
    mkdirSync(nodePath(fromText(path)), { recursive: true, mode: 0o755 });
  } catch (error) {
    throw cannotMake(path, error);
  }
  return lookAtSource(path);
}

function cannotMake(path: string, cause: unknown): JettisonError {
  return new JettisonError('ops/bad-source', `error while creating mount source path '${path}': ${messageOf(cause)}`, {
    fault: 'environment',
    cause,
  });
}

/** The kernel finds it inside the volume or image, whatever links are there, and it is what is mounted. */
function subpathOf(
  data: string,
  { subpath, of }: { readonly subpath: string; readonly of: 'volume' | 'image' },
  undo: DisposableStack,
): { readonly path: string; readonly point: 'file' | 'folder' } {
  using root = openRoot(data);
  let found: OpenFile;
  try {
    found = undo.use(root.openFollowing(fromText(subpath), openFlags.path));
  } catch (error) {
    throw new JettisonError('ops/missing-source', `cannot access path "${join('/', subpath)}" of the ${of}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const path = `/proc/self/fd/${found.file}`;
  return { path, point: statSync(path).isDirectory() ? 'folder' : 'file' };
}
