/** What `RUN --mount` asks for, opened for one run and given back after it. */
import { chmodSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { copyAs } from '#formats/graph/copy.ts';
import type { Mount } from '#formats/graph/op.ts';
import type { Report } from '#formats/progress/event.ts';
import { toText } from '#ground/base/byte-string.ts';
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import { serveFrames } from '#ground/linux/frame-socket.ts';
import { mountFileSystem, mountFlags, unmount } from '#ground/linux/mount.ts';
import { removeTree } from '#ground/linux/remove-tree.ts';
import { setOwnerOutside } from '#ground/linux/owner.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import type { Runtime } from '#execution/runtime/contract.ts';
import { openRootTree } from '#execution/runtime/root.ts';
import { runFile, type FileTools, type TreeSource } from '../file.ts';
import { openCaches } from './cache-mount.ts';
import type { RootMount } from './process.ts';

export type MountTools = FileTools & {
  /** Absolute path of the folder of all cache mounts; made when missing. */
  readonly cacheMounts: string;
  /** Where what is mounted stands, and how it gets to its place. */
  readonly runtime: Pick<Runtime, 'scratch' | 'bindsBy'>;
  /** Id of the process that the user started: what others who wait for a cache are told. */
  readonly engine: number;
};

/** Answers one request of the ssh-agent protocol, both without their length. */
export type AnswerSsh = (request: Uint8Array) => Promise<Uint8Array>;

export type MountRequest = {
  readonly id: string;
  readonly mounts: readonly Mount[];
  /** What runs cannot write to what is mounted read-only: not so where it has every capability. */
  readonly isConfined: boolean;
  readonly inputs: readonly (TreeSource | undefined)[];
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  readonly agents: ReadonlyMap<string, AnswerSsh>;
};

export type OpenMounts = AsyncDisposable & {
  readonly mounts: readonly RootMount[];
  /** Secrets asked for as variables. */
  readonly environment: readonly string[];
};

/** Throws `ops/missing-source`, `ops/missing-secret`, `ops/missing-ssh`, and what opening caches says. */
export async function openMounts(request: MountRequest, tools: MountTools, report: Report, signal: AbortSignal): Promise<OpenMounts> {
  await using stack = new AsyncDisposableStack();
  const mounts: RootMount[] = [];
  const environment: string[] = [];
  const { scratch, bindsBy } = tools.runtime;
  const nextPath = privatePaths(join(scratch, `private-${request.id}`), bindsBy, stack);
  const asked = bindsBy === 'moving' ? request.mounts.map(forOneAlone) : request.mounts;
  const caches = stack.use(
    await openCaches(
      asked.filter((mount) => mount.kind === 'cache'),
      request.inputs,
      {
        ...tools,
        mountPoint: bindsBy === 'moving' ? undefined : (index) => join(scratch, `cache-${request.id}-${index}`),
        onWait: (text) => report({ kind: 'note', text }),
      },
      signal,
    ),
  );
  for (const mount of asked) {
    switch (mount.kind) {
      case 'tmpfs':
        mounts.push({
          mount: { kind: 'tmpfs', target: mount.target, size: mount.size, mode: 0o1777, readOnly: mount.readOnly ?? false },
          point: 'folder',
        });
        break;
      case 'cache': {
        const bind = { kind: 'bind', source: caches.sourceOf(mount), target: mount.target, readOnly: mount.readOnly } as const;
        mounts.push({ mount: bind, point: 'folder' });
        break;
      }
      case 'bind':
        mounts.push(await openBind(mount, request, { tools, stack, report, signal }));
        break;
      case 'secret': {
        const value = findSecret(mount, request.secrets);
        if (value === undefined) break;
        if (mount.variable !== null) environment.push(`${mount.variable}=${new TextDecoder().decode(value)}`);
        if (mount.target !== null) {
          const source = writeSecret(nextPath(), mount, value);
          mounts.push({ mount: { kind: 'bind', source, target: mount.target, readOnly: true }, point: 'file' });
        }
        break;
      }
      case 'ssh': {
        const answer = findAgent(mount, request.agents);
        if (answer === undefined) break;
        const source = stack.use(await openAgentSocket(nextPath(), mount, answer)).path;
        mounts.push({ mount: { kind: 'bind', source, target: mount.target, readOnly: false }, point: 'file' });
        break;
      }
      default:
        return unreachable(mount, 'mount');
    }
  }
  const opened = stack.move();
  return { mounts, environment, [Symbol.asyncDispose]: async () => await opened.disposeAsync() };
}

/** What is moved can be in one place only. */
function forOneAlone(mount: Mount): Mount {
  if (mount.kind !== 'cache') return mount;
  if (mount.readOnly) {
    throw new JettisonError('ops/not-without-mounts', `Cannot mount the cache "${mount.id}" read-only where nothing can be mounted`, {
      fault: 'environment',
      hint: 'Leave "readonly" out, or build where another "--isolation" than "chroot" works',
    });
  }
  return mount.sharing === 'shared' ? { ...mount, sharing: 'locked' } : mount;
}

type SecretMount = Extract<Mount, { kind: 'secret' }>;

function findSecret(mount: SecretMount, secrets: ReadonlyMap<string, Uint8Array>): Uint8Array | undefined {
  const value = secrets.get(mount.id);
  if (value !== undefined || !mount.required) return value;
  throw new JettisonError('ops/missing-secret', `Secret "${mount.id}" is required, but was not handed on`, { fault: 'bug' });
}

type SshMount = Extract<Mount, { kind: 'ssh' }>;

function findAgent(mount: SshMount, agents: ReadonlyMap<string, AnswerSsh>): AnswerSsh | undefined {
  const answer = agents.get(mount.id);
  if (answer !== undefined || !mount.required) return answer;
  throw new JettisonError('ops/missing-ssh', `An SSH agent or key "${mount.id}" is required, but was not handed on`, { fault: 'bug' });
}

/** Gives paths where nothing is yet, that only this process can reach; on a tmpfs, where one can be mounted, which is done for the first of them. */
function privatePaths(folder: string, bindsBy: Runtime['bindsBy'], stack: AsyncDisposableStack): () => string {
  let count = 0;
  const open = (): void => {
    mkdirSync(folder, { mode: 0o700 });
    if (bindsBy === 'moving') return stack.defer(() => removeTree(folder));
    stack.defer(() => rmdirSync(folder));
    const flags = mountFlags.noSuid | mountFlags.noDevice | mountFlags.noExec;
    mountFileSystem({ source: 'tmpfs', target: folder, type: 'tmpfs', flags, options: 'mode=0700' });
    stack.defer(() => unmount(folder));
  };
  return () => {
    if (count === 0) open();
    return join(folder, String(count++));
  };
}

function writeSecret(file: string, mount: SecretMount, value: Uint8Array): string {
  writeFileSync(file, value, { mode: 0o600, flag: 'wx' });
  dress(file, mount);
  return file;
}

async function openAgentSocket(path: string, mount: SshMount, answer: AnswerSsh): Promise<AsyncDisposable & { readonly path: string }> {
  const server = await serveFrames({ folder: dirname(path), name: basename(path) }, answer);
  dress(path, mount);
  return { path, [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose]() };
}

function dress(path: string, { mode, uid, gid }: { readonly mode: number; readonly uid: number; readonly gid: number }): void {
  setOwnerOutside(path, uid, gid);
  chmodSync(path, mode);
}

type BindMount = Extract<Mount, { kind: 'bind' }>;
type Opening = { readonly tools: MountTools; readonly stack: AsyncDisposableStack; readonly report: Report; readonly signal: AbortSignal };

/** The source is looked up inside its own tree. What a writable one is written goes with it: no stage ever sees it. */
async function openBind(mount: BindMount, { inputs, isConfined }: MountRequest, opening: Opening): Promise<RootMount> {
  const input = mount.input === null ? undefined : inputs[mount.input];
  const { snapshot, path } = await snapshotOf(input, mount.source, opening);
  const root = await mountTree(snapshot, { readOnly: mount.readOnly, isConfined }, opening);
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
  const snapshot = await runFile(
    { op: { kind: 'file', base: null, actions: [copyAs(source, '/mounted')] }, inputs: [input] },
    tools,
    report,
    signal,
  );
  stack.defer(() => tools.snapshots.remove([snapshot]));
  return { snapshot, path: '/mounted' };
}

/** What is moved to its place may be written to, whether it should or not. */
async function mountTree(
  snapshot: SnapshotId | undefined,
  how: { readonly readOnly: boolean; readonly isConfined: boolean },
  { tools: { snapshots, runtime }, stack, signal }: Opening,
): Promise<string> {
  if (runtime.bindsBy === 'moving' || (how.readOnly && !how.isConfined))
    return stack.use(await snapshots.privateView(snapshot, signal)).path;
  if (how.readOnly) return stack.use(await snapshots.view(snapshot, signal)).path;
  const active = stack.use(await snapshots.prepare(snapshot, signal));
  return stack.use(await active.mount(signal)).path;
}
