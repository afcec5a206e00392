/** What `RUN --mount` asks for, opened for one run and given back after it. */
import { chmodSync, chownSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Mount } from '#formats/graph/op.ts';
import type { Report } from '#formats/progress/event.ts';
import { toText } from '#ground/base/byte-string.ts';
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import { serveFrames } from '#ground/linux/frame-socket.ts';
import { mountFileSystem, mountFlags, unmount } from '#ground/linux/mount.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import { openRootTree } from '#execution/runtime/root.ts';
import { runFile, type FileTools, type TreeSource } from '../file.ts';
import { openCaches } from './cache-mount.ts';
import type { RootMount } from './process.ts';

export type MountTools = FileTools & {
  /** Absolute path of the folder of all cache mounts; made when missing. */
  readonly cacheMounts: string;
  /** An existing folder private to this process: secrets and sockets get a tmpfs in it, caches their mounts. */
  readonly scratch: string;
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
  const nextPath = privatePaths(join(tools.scratch, `private-${request.id}`), stack);
  const caches = stack.use(
    await openCaches(
      request.mounts.filter((mount) => mount.kind === 'cache'),
      request.inputs,
      {
        ...tools,
        mountPoint: (index) => join(tools.scratch, `cache-${request.id}-${index}`),
        onWait: (text) => report({ kind: 'note', text }),
      },
      signal,
    ),
  );
  for (const mount of request.mounts) {
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

/** Gives paths where nothing is yet, on a tmpfs that only this process can reach; it is mounted for the first of them. */
function privatePaths(folder: string, stack: AsyncDisposableStack): () => string {
  let count = 0;
  return () => {
    if (count === 0) {
      mkdirSync(folder, { mode: 0o700 });
      stack.defer(() => rmdirSync(folder));
      const flags = mountFlags.noSuid | mountFlags.noDevice | mountFlags.noExec;
      mountFileSystem({ source: 'tmpfs', target: folder, type: 'tmpfs', flags, options: 'mode=0700' });
      stack.defer(() => unmount(folder));
    }
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
  chownSync(path, uid, gid);
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

async function mountTree(
  snapshot: SnapshotId | undefined,
  how: { readonly readOnly: boolean; readonly isConfined: boolean },
  { tools: { snapshots }, stack, signal }: Opening,
): Promise<string> {
  if (how.readOnly)
    return stack.use(await (how.isConfined ? snapshots.view(snapshot, signal) : snapshots.privateView(snapshot, signal))).path;
  const active = stack.use(await snapshots.prepare(snapshot, signal));
  return stack.use(await active.mount(signal)).path;
}
