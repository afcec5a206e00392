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
import { spawn, type ChildProcess, type Serializable } from 'node:child_process';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { noIsolation, type Isolation } from './isolation.ts';
import { requireOwnIds, userNamespaceOptions } from './user-namespace.ts';

export type NamespaceOptions = {
  /** Undefined: as good as this machine gives. */
  readonly isolation?: Isolation;
  /** Absolute path of the script. */
  readonly entry: string;
  readonly arguments: readonly string[];
  /** Standard input, output and error of the program. */
  readonly stdio: readonly [NamespaceStream, NamespaceStream, NamespaceStream];
  /** Its whole environment; PATH is needed to find setpriv and unshare. */
  readonly environment: Readonly<Record<string, string>>;
};

export type NamespaceStream = 'ignore' | 'inherit' | number;

export type NamespaceProcess = AsyncDisposable & {
  /** Sends a value over the IPC channel as structured clone does (Map, Uint8Array, bigint); the program gets it by `process.on('message')`. Throws `linux/channel-closed`. */
  send(message: Serializable): void;
  /** Calls `receiver` for each `process.send()` of the program. */
  onMessage(receiver: (message: unknown) => void): void;
  /** Settles when it has ended, and with it all that ran in its namespaces. It ends with 1 before any message when the namespaces were refused. */
  readonly exit: Promise<{ readonly code: number | undefined; readonly signal: NodeJS.Signals | undefined }>;
};

const stopDelay = 5000;
/** A small young generation: what is made in a worker dies at once, and the default lets it grow to 50 MB before it is looked at. */
const nodeFlags = ['--max-semi-space-size=1'] as const;

/**
 * Starts `entry` with this very Node in new mount and PID namespaces, and where this is not root as root of a user namespace with this user's ids (ready after about 25 ms), its current folder being `/`. Aborting the signal kills
 * it. Disposing closes the channel, which a program should take as the wish to end (`process.on('disconnect')`), and kills it after 5 seconds.
 * Throws `linux/no-such-command` where util-linux is missing, and `linux/no-ids`.
 */
export async function startInNamespaces(options: NamespaceOptions, signal: AbortSignal): Promise<NamespaceProcess> {
  signal.throwIfAborted();
  refuseUnbuilt(options.isolation);
  requireOwnIds(options.environment['PATH'] ?? '');
  const [command, ...wrapping] = namespaceCommand();
  const child = spawn(command, [...wrapping, process.execPath, ...nodeFlags, options.entry, ...options.arguments], {
    stdio: [...options.stdio, 'ipc'],
    serialization: 'advanced',
    env: { ...options.environment },
    cwd: '/',
  });
  const exit = watchExit(child, signal);
  await started(child, command);
  return {
    send(message) {
      if (!child.connected)
        throw new JettisonError('linux/channel-closed', 'The process has ended or closed its channel', { fault: 'environment' });
      // What goes wrong from here on is the far side's end, and `exit` tells of that.
      child.send(message, () => {});
    },
    onMessage: (receiver) => void child.on('message', receiver),
    exit,
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill('SIGKILL'), stopDelay);
      await exit;
      clearTimeout(timer);
    },
  };
}

/** Rungs that can be asked for before they are built. */
function refuseUnbuilt(isolation: Isolation | undefined): void {
  if (isolation === undefined || isolation === (process.getuid?.() === 0 ? 'oci' : 'rootless')) return;
  throw noIsolation(isolation, 'it is not built yet', 'Leave "--isolation" out');
}

/** The program that makes the namespaces; for a normal user one in which it is root, around the others. */
function namespaceCommand(): readonly [string, ...string[]] {
  const unshare = [
    'unshare',
    ...userNamespaceOptions(),
    '--mount',
    '--propagation',
    'private',
    '--pid',
    '--fork',
    '--kill-child=SIGKILL',
    '--mount-proc',
  ];
  return ['setpriv', '--pdeathsig', 'KILL', ...unshare];
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
