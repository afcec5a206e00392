/** `jettison debug`: a process where a build stopped, or in a stage of it. What it writes goes with it; what was kept stays as it is. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import type { Report } from '#formats/progress/event.ts';
import type { ContainerMount, ContainerRequest, SessionRequest, TreeSource, Worker } from '#execution/worker/contract.ts';
import type { Engine } from './open.ts';
import type { StepPlace } from './step-place.ts';
import { hostShell, shellFolder } from './host-shell.ts';

export type DebugWish = {
  /** None: a shell. */
  readonly arguments: readonly string[];
  /** `NAME=value`, beside those of the place. */
  readonly environment: readonly string[];
  readonly user: string | undefined;
  readonly workingDirectory: string | undefined;
  /** Who passes on what goes there and comes from there, once the folder of its control socket is there; undefined: it has this process's streams. */
  readonly attached: AttachedStreams | undefined;
};

/** `size`: of its terminal, where it has one. */
export type AttachedStreams = {
  readonly isTerminal: boolean;
  readonly size: SessionRequest['size'];
  /** Whoever aborts has it killed at once; else it gets SIGTERM, and is waited for. */
  readonly endsAtOnce: boolean;
  attach(folder: string): Promise<unknown>;
};

/** Gives its exit code. `opened` is told what runs, before it does. Throws `engine/no-shell`, `engine/place-gone`, and what keeps a container from starting. */
export async function debugPlace(
  engine: Engine,
  place: StepPlace,
  wish: DebugWish,
  opened: (words: readonly string[]) => void,
  signal: AbortSignal,
): Promise<number> {
  engine.hold();
  const folder = mkdtempSync(join(tmpdir(), 'jettison-debug-'));
  await using _ = { [Symbol.asyncDispose]: async () => await Promise.resolve(rmSync(folder, { recursive: true, force: true })) };
  await using worker = await engine.containerWorker(wish.attached === undefined ? 'inherit' : 'none', { kind: 'as-is' }, signal);
  await checkThere(worker, place, signal);
  const { words, mounts } =
    wish.arguments.length > 0 ? { words: wish.arguments, mounts: [] } : await findShell(worker, { place, folder }, engine, signal);
  opened(words);
  const request = requestOf(place, wish, { words, mounts });
  const { attached } = wish;
  const passed = Promise.withResolvers<unknown>();
  // Waited for below, unless the process could not be run.
  passed.promise.catch(() => undefined);
  const session: SessionRequest = {
    folder,
    log: undefined,
    stdin: attached === undefined ? 'own' : 'clients',
    stdinOnce: true,
    own: { stdout: attached === undefined, stderr: attached === undefined },
    awaitsClient: attached !== undefined,
    ...(attached?.size === undefined ? {} : { size: attached.size }),
    onReady: () => passed.resolve(attached?.attach(folder)),
  };
  const endsAtOnce = attached?.endsAtOnce === true;
  const stop = (): void => void (endsAtOnce || worker.signalContainer(request.id, 'SIGTERM'));
  signal.addEventListener('abort', stop, { once: true });
  try {
    const outcome = await worker.runContainer(request, session, endsAtOnce ? signal : new AbortController().signal);
    await passed.promise;
    return outcome.code;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Runs the step once more, as the build did, over the files before it. Gives its exit code; nothing of it is kept. */
export async function repeatStep(engine: Engine, place: StepPlace, report: Report, signal: AbortSignal): Promise<number> {
  const { op, inputs } = place;
  if (op === undefined) throw new JettisonError('engine/nothing-to-repeat', `"${place.title}" is no RUN that could be run again`);
  engine.hold();
  const worker = await engine.worker(signal);
  await checkThere(worker, place, signal);
  let code = 0;
  const mounts = op.mounts.map((mount) => (mount.kind === 'secret' || mount.kind === 'ssh' ? { ...mount, required: false } : mount));
  const { digestOf } = await import('#ground/base/digest.ts');
  try {
    const made = await worker.run(
      {
        vertex: digestOf(place.title),
        op: { ...op, mounts, environment: place.environment },
        inputs,
        quietEnvironment: [],
        secrets: new Map(),
        agents: new Map(),
        onFailure: (kept) => {
          ({ code } = kept);
          if (kept.snapshot !== undefined) void worker.release([kept.snapshot], new AbortController().signal).catch(() => undefined);
        },
      },
      report,
      signal,
    );
    await worker.release([made], signal);
  } catch (error) {
    if (code === 0) throw error;
  }
  return code;
}

function requestOf(
  place: StepPlace,
  wish: DebugWish,
  { words, mounts }: { readonly words: readonly string[]; readonly mounts: readonly ContainerMount[] },
): ContainerRequest {
  const { op, inputs } = place;
  return {
    id: randomUUID(),
    image: place.snapshot,
    arguments: words,
    environment: [...place.environment, ...wish.environment],
    workingDirectory: wish.workingDirectory ?? place.workingDirectory,
    user: wish.user ?? place.user,
    hostname: op?.hostname ?? '',
    network: op?.network === 'none' ? 'none' : 'host',
    terminal: wish.attached?.isTerminal === true,
    stopSignal: 'SIGTERM',
    mounts,
    ...(op === undefined ? {} : { step: { mounts: op.mounts, inputs } }),
    held: {
      isPrivileged: op?.security === 'insecure',
      extraHosts: op?.extraHosts ?? [],
      ...(op?.shmSize == null ? {} : { shmSize: op.shmSize }),
      ...(op?.ulimits === undefined ? {} : { ulimits: op.ulimits }),
    },
    keep: false,
  };
}

/** Throws `engine/place-gone` where its files are no longer in the store. */
export async function checkThere(worker: Worker, { snapshot, inputs, title }: StepPlace, signal: AbortSignal): Promise<void> {
  const wanted = [...(snapshot === undefined ? [] : [snapshot]), ...inputs.flatMap(snapshotIn)];
  if (wanted.length === 0 || (await worker.missing(wanted, signal)).length === 0) return;
  throw new JettisonError('engine/place-gone', `The files of "${title}" are no longer in the store`, { hint: 'Build it again' });
}

function snapshotIn(source: TreeSource | undefined) {
  return source?.kind === 'snapshot' ? [source.snapshot] : [];
}

/** The first that is there: what SHELL says, bash, sh; else one of the machine, beside the files. */
async function findShell(
  worker: Worker,
  { place, folder }: { readonly place: StepPlace; readonly folder: string },
  engine: Engine,
  signal: AbortSignal,
): Promise<{ readonly words: readonly string[]; readonly mounts: readonly ContainerMount[] }> {
  const [own] = place.shell;
  const asked = own !== undefined && /(?:^|\/)(?:ba|da|k|z|a|fi)?sh$/u.test(own) && own !== '/bin/sh' ? [own] : [];
  for (const path of [...asked, '/bin/bash', '/usr/bin/bash', '/bin/sh', '/usr/bin/sh', '/busybox/sh']) {
    if (await isProgram(worker, place, path, signal)) return { words: [path], mounts: [] };
  }
  const found = worker.rung.isolation === 'chroot' ? undefined : hostShell(engine.environment['PATH'] ?? '');
  if (found !== undefined) {
    const { source, target, words } = shellFolder(found, folder);
    return { words, mounts: [{ kind: 'bind', source, target, readOnly: true, makesSource: false, isRecursive: true, isShallow: false }] };
  }
  throw new JettisonError('engine/no-shell', 'There is no shell in these files, and no static busybox on this machine to bring one', {
    hint: 'Name a program that is there behind "--", look at the files with "jettison cp @fail:/ - | tar -t", or install busybox-static on this machine',
  });
}

async function isProgram(worker: Worker, { snapshot }: StepPlace, path: string, signal: AbortSignal): Promise<boolean> {
  if (snapshot === undefined) return false;
  const look = await worker.lookAtFile({ place: { kind: 'snapshot', snapshot }, path, follow: true }, signal);
  return look?.kind === 'file' && (look.mode & 0o111) !== 0;
}

/** Exit codes as of `run` where it is not the program that failed. */
export function debugFailureCode(error: unknown): number {
  if (isCode(error, 'runtime/command-not-found')) return 127;
  return isCode(error, 'runtime/command-not-executable') ? 126 : 1;
}
