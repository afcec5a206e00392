/** What `RUN --mount` asks for, opened for one run and given back after it. */
import { chmodSync, chownSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mount } from '#formats/graph/op.ts';
import type { Report } from '#formats/progress/event.ts';
import { toText } from '#ground/base/byte-string.ts';
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import { mountFileSystem, mountFlags, unmount } from '#ground/linux/syscall.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import { openRootTree } from '#execution/runtime/root.ts';
import { runFile, type FileTools, type TreeSource } from '../file.ts';
import { openCache } from './cache-mount.ts';
import type { RootMount } from './process.ts';

export type MountTools = FileTools & {
  /** Absolute path of the folder of all cache mounts; made when missing. */
  readonly cacheMounts: string;
  /** An existing folder private to this process: secrets get a tmpfs in it, caches their mounts. */
  readonly scratch: string;
};

export type MountRequest = {
  readonly id: string;
  readonly mounts: readonly Mount[];
  readonly inputs: readonly (TreeSource | undefined)[];
  readonly secrets: ReadonlyMap<string, Uint8Array>;
};

export type OpenMounts = AsyncDisposable & {
  readonly mounts: readonly RootMount[];
  /** Secrets asked for as variables. */
  readonly environment: readonly string[];
};

/** Throws `ops/missing-source`, `ops/missing-secret`, `ops/not-built`. */
export async function openMounts(request: MountRequest, tools: MountTools, report: Report, signal: AbortSignal): Promise<OpenMounts> {
  await using stack = new AsyncDisposableStack();
  const mounts: RootMount[] = [];
  const environment: string[] = [];
  const secrets = secretFolder(join(tools.scratch, `secrets-${request.id}`), stack);
  for (const mount of request.mounts) {
    switch (mount.kind) {
      case 'tmpfs':
        mounts.push({ mount: { kind: 'tmpfs', target: mount.target, size: mount.size, mode: 0o1777 }, point: 'folder' });
        break;
      case 'cache': {
        const { source } = stack.use(
          await openCache(
            mount,
            { cacheMounts: tools.cacheMounts, mountAt: join(tools.scratch, `cache-${request.id}-${mounts.length}`) },
            signal,
          ),
        );
        mounts.push({ mount: { kind: 'bind', source, target: mount.target, readOnly: mount.readOnly }, point: 'folder' });
        break;
      }
      case 'bind':
        mounts.push(await openBind(mount, request.inputs, { tools, stack, report, signal }));
        break;
      case 'secret': {
        const value = findSecret(mount, request.secrets);
        if (value === undefined) break;
        if (mount.variable !== null) environment.push(`${mount.variable}=${new TextDecoder().decode(value)}`);
        if (mount.target !== null) {
          const bind = { kind: 'bind', source: secrets(mount, value), target: mount.target, readOnly: true } as const;
          mounts.push({ mount: bind, point: 'file' });
        }
        break;
      }
      case 'ssh':
        throw new JettisonError('ops/not-built', 'RUN --mount=type=ssh is not built yet', { hint: 'Pass a key as a secret' });
      default:
        return unreachable(mount, 'mount');
    }
  }
  const opened = stack.move();
  return { mounts, environment, [Symbol.asyncDispose]: async () => await opened.disposeAsync() };
}

type SecretMount = Extract<Mount, { kind: 'secret' }>;

function findSecret(mount: SecretMount, secrets: ReadonlyMap<string, Uint8Array>): Uint8Array | undefined {
  const value = secrets.get(mount.id);
  if (value !== undefined || !mount.required) return value;
  throw new JettisonError('ops/missing-secret', `Secret "${mount.id}" is required, but was not given`, {
    hint: `Give it: --secret id=${mount.id},src=FILE`,
  });
}

/** Writes secrets to files on a tmpfs, which is mounted for the first of them. */
function secretFolder(folder: string, stack: AsyncDisposableStack): (mount: SecretMount, value: Uint8Array) => string {
  let count = 0;
  return (mount, value) => {
    if (count === 0) {
      mkdirSync(folder, { mode: 0o700 });
      stack.defer(() => rmdirSync(folder));
      const flags = mountFlags.noSuid | mountFlags.noDevice | mountFlags.noExec;
      mountFileSystem({ source: 'tmpfs', target: folder, type: 'tmpfs', flags, options: 'mode=0700' });
      stack.defer(() => unmount(folder));
    }
    const file = join(folder, String(count++));
    writeFileSync(file, value, { mode: 0o600, flag: 'wx' });
    chownSync(file, mount.uid, mount.gid);
    chmodSync(file, mount.mode);
    return file;
  };
}

type BindMount = Extract<Mount, { kind: 'bind' }>;
type Opening = { readonly tools: MountTools; readonly stack: AsyncDisposableStack; readonly report: Report; readonly signal: AbortSignal };

/** The source is looked up inside its own tree. What a writable one is written goes with it: no stage ever sees it. */
async function openBind(mount: BindMount, inputs: readonly (TreeSource | undefined)[], opening: Opening): Promise<RootMount> {
  const input = mount.input === null ? undefined : inputs[mount.input];
  const { snapshot, path } = await snapshotOf(input, mount.source, opening);
  const root = await mountTree(snapshot, mount.readOnly, opening);
  using tree = openRootTree(root);
  const found = tree.resolve(path);
  if (!found.entry) {
    throw new JettisonError('ops/missing-source', `Cannot mount "${mount.source}": there is no such file or folder`);
  }
  const source = `${root}/${toText(found.path)}`;
  const point = found.entry.kind === 'folder' ? 'folder' : 'file';
  return { mount: { kind: 'bind', source, target: mount.target, readOnly: mount.readOnly }, point };
}

/** A folder of the client is copied, what is mounted of it alone: its ignored files must not show, and it must not change under the process. */
async function snapshotOf(
  input: TreeSource | undefined,
  source: string,
  { tools, stack, report, signal }: Opening,
): Promise<{ readonly snapshot: SnapshotId | undefined; readonly path: string }> {
  if (input?.kind !== 'folder') return { snapshot: input?.snapshot, path: source };
  const action = {
    kind: 'copy',
    input: 0,
    sources: [source],
    wildcards: false,
    destination: '/mounted',
    destinationIsFolder: false,
    owner: null,
    mode: null,
    unpack: false,
    exclude: [],
    parents: false,
  } as const;
  const snapshot = await runFile({ op: { kind: 'file', base: null, actions: [action] }, inputs: [input] }, tools, report, signal);
  stack.defer(() => tools.snapshots.remove([snapshot]));
  return { snapshot, path: '/mounted' };
}

async function mountTree(snapshot: SnapshotId | undefined, readOnly: boolean, { tools, stack, signal }: Opening): Promise<string> {
  if (readOnly) return stack.use(await tools.snapshots.view(snapshot, signal)).path;
  const active = stack.use(await tools.snapshots.prepare(snapshot, signal));
  return stack.use(await active.mount(signal)).path;
}
