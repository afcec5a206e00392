/**
 * Starts a Node program in namespaces of its own, so that its mounts are invisible to the host and nothing it starts outlives it.
 *
 * A running Node cannot move itself (unshare(2) refuses processes with threads), so util-linux does it: `setpriv` asks the kernel to
 * kill the process when the thread that started it ends, `unshare` makes the namespaces and forks the program as process 1 of the new
 * PID namespace, with the same wish. Whichever of the three is killed, the others follow; when process 1 ends, the kernel kills everything
 * in its PID namespace, and with the last process goes the mount namespace with all that is mounted there.
 *
 * Process 1 has no default signal actions: only signals that it listens to reach it, SIGKILL from outside excepted.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { Duplex, type Readable, type Writable } from 'node:stream';
import { spawn, type ChildProcess, type SendHandle, type Serializable } from 'node:child_process';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import type { Isolation } from './isolation.ts';
import { userNamespaceOptions, whyNoUserNamespaces } from './user-namespace.ts';

export type NamespaceOptions = {
  readonly isolation: Isolation;
  /** A process whose user namespace is taken instead of a new one, and whose PID namespace is that of this process: it can be looked at by its number. */
  readonly beside?: number | undefined;
  /** Absolute path of the script. */
  readonly entry: string;
  readonly arguments: readonly string[];
  /** Standard input, output and error of the program. */
  readonly stdio: readonly [NamespaceStream, NamespaceStream, NamespaceStream];
  /** Its whole environment; PATH is needed to find setpriv and unshare. */
  readonly environment: Readonly<Record<string, string>>;
  /** Left out: that of this process. */
  readonly network?: ProcessNetwork;
};

/**
 * The network that a process starts with. `within`: the start has to happen inside this call, which does what it takes (see network-namespace.ts); `file` is open on it. `own`: one of its own, with nothing but a
 * `lo` that is down; with the user namespace, where there is one. `joined`: that of another process of this user, or one that `file` is open on, in the user namespace of the process, to
 * which a network belongs.
 */
export type ProcessNetwork =
  | { readonly kind: 'as-is' }
  | { readonly kind: 'within'; readonly file: number; within<T>(start: () => T): T }
  | { readonly kind: 'own' }
  | { readonly kind: 'joined'; readonly process: number; readonly file?: string };

/** A socket of Node, as another process can be given it. */
export type PassedSocket = SendHandle;

export type NamespaceStream = 'ignore' | 'inherit' | 'pipe' | number;

export type NamespaceProcess = AsyncDisposable & {
  /** Of the program that holds the namespaces, which is not the first one in them, as this process sees it. */
  readonly pid: number | undefined;
  /** Sends a value over the IPC channel as structured clone does (Map, Uint8Array, bigint); the program gets it by `process.on('message')`. Throws `linux/channel-closed`. */
  send(message: Serializable): void;
  /** The same with a socket, which is both processes' then. */
  give(message: Serializable, socket: PassedSocket): void;
  /** Calls `receiver` for each `process.send()` of the program. */
  onMessage(receiver: (message: unknown) => void): void;
  /** Its standard input and output, where both are pipes. */
  readonly streams: { readonly input: Writable; readonly output: Readable } | undefined;
  /** Settles when it has ended, and with it all that ran in its namespaces. It ends with 1 before any message when the namespaces were refused. */
  readonly exit: Promise<{ readonly code: number | undefined; readonly signal: NodeJS.Signals | undefined }>;
};

const stopDelay = 5000;
/** A small young generation: what is made in a worker dies at once, and the default lets it grow to 50 MB before it is looked at. */
const nodeFlags = ['--max-semi-space-size=1'] as const;

/**
 * Starts `entry` with this very Node in the namespaces of an isolation (ready after about 25 ms), its current folder being `/`. Without namespaces it has to see to its end itself
 * (`tieToParent`). Aborting the signal kills
 * it. Disposing closes the channel, which a program should take as the wish to end (`process.on('disconnect')`), and kills it after 5 seconds.
 * Throws `linux/no-such-command` where util-linux is missing.
 */
export async function startInNamespaces(options: NamespaceOptions, signal: AbortSignal): Promise<NamespaceProcess> {
  signal.throwIfAborted();
  const { isolation, beside, network = { kind: 'as-is' } } = options;
  const isMapped = beside === undefined && network.kind !== 'joined' && isMappedFromOutside(isolation);
  const [command = '', ...words] = [
    ...(beside === undefined ? namespaceCommand(isolation, network) : commandBeside(beside, isolation, network)),
    process.execPath,
    ...nodeFlags,
    options.entry,
    ...options.arguments,
  ];
  const start = (): ChildProcess =>
    spawn(command, words, {
      stdio: [...options.stdio, 'ipc', ...(isMapped ? ['pipe' as const] : [])],
      serialization: 'advanced',
      env: { ...options.environment },
      cwd: '/',
    });
  const child = network.kind === 'within' ? network.within(start) : start();
  const exit = watchExit(child, signal);
  mapOwnIds(child);
  await started(child, command);
  const send = (message: Serializable, socket?: PassedSocket): void => {
    if (!child.connected)
      throw new JettisonError('linux/channel-closed', 'The process has ended or closed its channel', { fault: 'environment' });
    // What goes wrong from here on is the far side's end, and `exit` tells of that.
    child.send(message, socket, () => {});
  };
  return {
    pid: child.pid,
    send: (message) => send(message),
    give: send,
    onMessage: (receiver) => void child.on('message', receiver),
    streams: child.stdin && child.stdout ? { input: child.stdin, output: child.stdout } : undefined,
    exit,
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill('SIGKILL'), stopDelay);
      await exit;
      clearTimeout(timer);
    },
  };
}

/** The program that makes the namespaces, and what it runs behind them; for a normal user one in which it is root, around the others. Nothing where there are none. */
function namespaceCommand(isolation: Isolation, network: ProcessNetwork): readonly string[] {
  if (isolation === 'chroot') return [];
  const unshare = [
    '--mount',
    '--propagation',
    'private',
    '--pid',
    '--fork',
    '--kill-child=SIGKILL',
    '--mount-proc',
    ...(network.kind === 'own' ? ['--net'] : []),
  ];
  if (network.kind === 'joined')
    return ['setpriv', '--pdeathsig', 'KILL', ...entering(network.process), networkOf(network), 'unshare', ...unshare];
  const options = [...userNamespaceOptions(isolation), ...unshare];
  const inside = isMappedFromOutside(isolation) ? ['unshare', '--user', '/bin/sh', '-c', waitForIds, 'sh'] : [];
  return ['setpriv', '--pdeathsig', 'KILL', ...inside, 'unshare', ...options];
}

/** For the machine's root there is no user namespace to join. */
function commandBeside(process: number, isolation: Isolation, network: ProcessNetwork): readonly string[] {
  if (isolation === 'chroot') return [];
  const join = isolation === 'oci' ? [] : [...entering(process), ...(network.kind === 'joined' ? [networkOf(network)] : [])];
  return ['setpriv', '--pdeathsig', 'KILL', ...join, 'unshare', '--mount', '--propagation', 'private'];
}

function networkOf({ file }: Extract<ProcessNetwork, { kind: 'joined' }>): string {
  return file === undefined ? '--net' : `--net=${file}`;
}

function entering(process: number): readonly string[] {
  return ['nsenter', '--target', String(process), '--user', '--preserve-credentials'];
}

/** Root has no subordinate ids; it may map all ids that it has to themselves. */
function isMappedFromOutside(isolation: Isolation): boolean {
  return isolation === 'rootless' && process.getuid?.() === 0;
}

/** Where the program behind the namespaces and we talk about its ids; it is closed before that program starts. */
const idsFile = 4;
const waitForIds = `echo there >&${idsFile}; read -r _ <&${idsFile}; exec "$@" ${idsFile}<&-`;

/** Maps all ids of this process's namespace to themselves in that of the child, which says when it is there, and is told when it is done. */
function mapOwnIds(child: ChildProcess): void {
  const ids = child.stdio[idsFile];
  if (!(ids instanceof Duplex)) return;
  ids.on('error', () => {});
  ids.once('data', () => {
    try {
      for (const kind of ['uid', 'gid'])
        writeFileSync(`/proc/${child.pid}/${kind}_map`, identityMap(readFileSync(`/proc/self/${kind}_map`, 'latin1')));
    } catch (error) {
      if (systemCode(error) === undefined) throw error;
      // Without ids unshare is refused, and that is said.
    }
    ids.end('\n');
  });
}

/**
 * Of a map as the kernel shows it (inside, outside, count), what maps the inside to itself. All but one of the machine's ids: by the map of all of them, programs (crun among
 * them) know the machine's own namespace.
 */
function identityMap(map: string): string {
  return map
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/u))
    .map(([inside = '0', , count = '1']) => `${inside} ${inside} ${Math.min(Number(count), 4294967294)}\n`)
    .join('');
}

/** Makes the namespaces of an isolation for a program that ends at once; what was said when they were refused, or undefined. */
export async function whyNoNamespaces(isolation: Isolation, environment: Readonly<Record<string, string>>): Promise<string | undefined> {
  const [command, ...wrapping] = namespaceCommand(isolation, { kind: 'as-is' });
  if (command === undefined) return undefined;
  const child = spawn(command, [...wrapping, 'true'], {
    stdio: ['ignore', 'ignore', 'pipe', 'ignore', ...(isMappedFromOutside(isolation) ? ['pipe' as const] : [])],
    env: { ...environment },
    cwd: '/',
  });
  const said: string[] = [];
  child.stderr?.setEncoding('utf8').on('data', (text: string) => void said.push(text));
  const exit = watchExit(child, new AbortController().signal);
  mapOwnIds(child);
  await started(child, command);
  const { code, signal } = await exit;
  if (code === 0) return undefined;
  return said.join('').trim() || `${command} ended with ${signal ?? code ?? 1}`;
}

/** The error for what `whyNoNamespaces` says. */
export function namespacesRefused(isolation: Isolation, why: string): JettisonError {
  const seen = whyNoUserNamespaces();
  return new JettisonError('linux/namespaces-refused', `Cannot make the namespaces of isolation "${isolation}": ${why}`, {
    fault: 'environment',
    hint:
      seen === undefined
        ? 'A seccomp filter or a security module of the container may forbid them: see "jettison doctor"'
        : `${seen.hint} (${seen.problem})`,
  });
}

async function watchExit(child: ChildProcess, signal: AbortSignal): NamespaceProcess['exit'] {
  const done = Promise.withResolvers<Awaited<NamespaceProcess['exit']>>();
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  child.once('exit', (code, endedBy) => {
    signal.removeEventListener('abort', kill);
    done.resolve({ code: code ?? undefined, signal: endedBy ?? undefined });
  });
  return await done.promise;
}

async function started(child: ChildProcess, command: string): Promise<void> {
  const done = Promise.withResolvers<void>();
  child.once('spawn', done.resolve);
  child.on('error', (error) =>
    done.reject(
      systemCode(error) === 'ENOENT'
        ? new JettisonError('linux/no-such-command', `Cannot find the program "${command}"`, {
            fault: 'environment',
            cause: error,
            hint: 'Install util-linux',
          })
        : error,
    ),
  );
  await done.promise;
}
