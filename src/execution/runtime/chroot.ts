/**
 * Runs processes where there are no namespaces and no mounts: root of a container with Docker's default rights. The process gets the root by chroot(2), loses the right to
 * leave it, and all that it starts is held by a keeper (chroot/step-program.ts). It shares the container's processes, network and host name, has the container's own seccomp
 * filter, and no /proc but a few facts of the machine: what else is asked for is refused by name.
 */
import { chmodSync, closeSync, constants, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { toText } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode, unreachable } from '#ground/base/errors.ts';
import { drain, sendSignal, signalName } from '#ground/linux/child.ts';
import { noIsolation } from '#ground/linux/isolation.ts';
import { hasExecuted } from '#ground/linux/container-processes.ts';
import { requireRung } from '#ground/linux/ladder.ts';
import { removeTree } from '#ground/linux/remove-tree.ts';
import { capabilityNumbers, readCapabilities } from './capabilities.ts';
import { openOwnFolder, removeLeftFolders } from './own-folders.ts';
import { coverTargets, type Cover } from './chroot/covers.ts';
import { isStepArchitecture, type StepPlan } from './chroot/step-program.ts';
import { startStep, type RunningStep, type StepEnd } from './chroot/step.ts';
import { makeSystemFolders, type SystemFolders } from './chroot/system-folders.ts';
import { checkBefore, numberOf } from './check.ts';
import { programPaths } from './command.ts';
import type { Confinement, ExitStatus, ProcessMount, ProcessRequest, ProcessStreams, Runtime, StartedProcess } from './contract.ts';
import { inOrder } from './own-mounts.ts';
import { openRootTree, type RootTree } from './root.ts';
import { dockerCapabilities } from './rights.ts';
import { limitNumber } from './ulimits.ts';

/** Milliseconds for a process to end by itself after its stop signal, and for its keeper to end all others. */
const grace = 3000;
/** Whoever has the first can leave its root, and by the second reach what lies on the machine's disks. */
const withheld: readonly string[] = ['CAP_SYS_CHROOT', 'CAP_MKNOD'];

/** `bundles` is for what stands in roots for a time: on the file system of the roots, shared with other processes. Disposing removes what is this process's of it. Throws `linux/no-isolation`. */
export function openChrootRuntime(bundles: string): Runtime & Disposable {
  requireRung('chroot', '');
  const { arch } = process;
  if (!isStepArchitecture(arch)) throw noIsolation('chroot', `it is not built for ${arch}`, 'Use x86-64 or arm64');
  removeLeftFolders(bundles);
  const own = openOwnFolder(bundles);
  const folder = own.path;
  const scratch = join(folder, 'scratch');
  mkdirSync(scratch);
  const running = new Map<string, RunningStep>();
  return {
    name: 'chroot',
    version: '',
    bindsBy: 'moving',
    scratch,
    async run(request, streams, signal) {
      signal.throwIfAborted();
      refuse(request);
      const stopSignal = checkBefore(request);
      const place = join(folder, request.id);
      mkdirSync(place, { mode: 0o700 });
      try {
        return await runIn(place, request, { architecture: arch, streams, stopSignal, running }, signal);
      } finally {
        removeTree(place);
      }
    },
    signal(id, name) {
      const number = numberOf(name);
      const pid = running.get(id)?.process();
      if (pid !== undefined) sendSignal(pid, number);
    },
    exec: () => {
      throw notInChroot('be joined by another ("exec")');
    },
    pause: refusePause,
    resume: refusePause,
    usage: () => {
      throw notInChroot('be measured ("stats")');
    },
    limit: () => {
      throw notInChroot('have limits of memory and processors');
    },
    resized: () => undefined,
    relays: () => [],
    [Symbol.dispose]: () => own[Symbol.dispose](),
  };
}

function refusePause(): never {
  throw notInChroot('be paused');
}

/** Throws `runtime/not-in-chroot`. */
function refuse(request: ProcessRequest): void {
  const refused = [
    [request.network === 'none', 'a network of its own ("network: none")'],
    [request.security === 'insecure', 'more rights ("security: insecure")'],
    [request.terminal, 'a terminal of its own (-t)'],
    [request.limits !== undefined, 'limits of memory and processors'],
    ...askedOf(request.confinement ?? {}),
  ] as const;
  for (const [isAsked, what] of refused) {
    if (!isAsked) continue;
    throw notInChroot(`have ${what}`);
  }
}

function askedOf(confinement: Confinement): readonly (readonly [boolean, string])[] {
  return [
    [confinement.capabilities !== undefined, 'other capabilities ("--cap-add", "--cap-drop")'],
    [confinement.noNewPrivileges === true, '"--security-opt no-new-privileges"'],
    [confinement.seccomp !== undefined, 'another seccomp profile'],
    [confinement.opensSystemPaths === true, '"--security-opt systempaths=unconfined"'],
    [confinement.hasReadOnlyRoot === true, 'a root that is read-only ("--read-only")'],
    [confinement.sysctls !== undefined, 'settings of the kernel ("--sysctl")'],
    [confinement.oomScore !== undefined, '"--oom-score-adj"'],
    [confinement.shares !== undefined || confinement.lacksShm === true, 'a choice of namespaces ("--ipc", "--uts")'],
    [confinement.hasInit === true, '"--init"'],
  ];
}

function notInChroot(what: string): JettisonError {
  return new JettisonError('runtime/not-in-chroot', `Without namespaces a process cannot ${what}`, {
    fault: 'environment',
    hint: 'Leave it out, or build where another "--isolation" than "chroot" works',
  });
}

type Running = {
  readonly architecture: StepPlan['architecture'];
  readonly streams: ProcessStreams;
  readonly stopSignal: number;
  readonly running: Map<string, RunningStep>;
};

async function runIn(
  own: string,
  request: ProcessRequest,
  { architecture, streams, stopSignal, running }: Running,
  signal: AbortSignal,
): Promise<ExitStatus> {
  const [made, away] = [join(own, 'made'), join(own, 'away')];
  for (const path of [made, away]) mkdirSync(path);
  const folders = makeSystemFolders(made, streams.kind === 'capture');
  using outputs = openOutputs(folders, streams);
  const covering = coverTargets(request.rootfs, coversOf(request, made, folders), away);
  let end: StepEnd | undefined;
  try {
    const step = startStep(planOf(request, architecture), { file: join(own, 'step'), streams: outputs.streams });
    running.set(request.id, step);
    if (request.onStart !== undefined) void tellStart(step, request.onStart);
    end = await endOf(step, stopSignal, signal);
    outputs.close();
    await outputs.drained;
  } finally {
    running.delete(request.id);
    uncover(() => covering.uncover(), end?.kind !== 'ended' || end.status !== 0);
  }
  signal.throwIfAborted();
  return statusOf(end, request);
}

/** Where a process failed, its error counts more. */
function uncover(action: () => void, hasFailed: boolean): void {
  try {
    action();
  } catch (error) {
    if (!hasFailed) throw error;
  }
}

/** Outermost first, in the order in which a runtime mounts. */
function coversOf(request: ProcessRequest, made: string, folders: SystemFolders): readonly Cover[] {
  using tree = openRootTree(request.rootfs);
  const file = (name: string, text: string): Cover => {
    const source = join(made, name);
    writeFileSync(source, text, { mode: 0o644 });
    return { source, target: realPath(tree, `/etc/${name}`) };
  };
  const { hosts, hostname, resolvConf } = request.names;
  return [
    { source: folders.proc, target: '/proc' },
    { source: folders.dev, target: '/dev' },
    { source: folders.sys, target: '/sys' },
    file('hosts', hosts),
    ...(hostname === null ? [] : [file('hostname', hostname)]),
    file('resolv.conf', resolvConf),
    ...inOrder(request.mounts).map((mount, index) => coverOf(mount, join(made, `mount-${index}`))),
  ];
}

function realPath(tree: RootTree, path: string): string {
  return `/${toText(tree.resolve(path).path)}`;
}

function coverOf(mount: ProcessMount, fresh: string): Cover {
  if (mount.kind === 'bind') return { source: mount.source, target: mount.target };
  mkdirSync(fresh);
  chmodSync(fresh, mount.mode);
  return { source: fresh, target: mount.target };
}

function planOf(request: ProcessRequest, architecture: StepPlan['architecture']): StepPlan {
  const all = readCapabilities(readFileSync('/proc/self/status', 'utf8'));
  return {
    architecture,
    parent: process.pid,
    root: request.rootfs,
    workingDirectory: request.workingDirectory,
    programs: programPaths(request),
    arguments: request.arguments,
    environment: request.environment,
    user: request.user,
    capabilities: { kept: capabilityNumbers(all.filter(isKept)), dropped: capabilityNumbers(all.filter((name) => !isKept(name))) },
    limits: (request.ulimits ?? []).map(({ name, soft, hard }) => ({ resource: limitNumber(name), soft, hard })),
  };
}

function isKept(capability: string): boolean {
  return dockerCapabilities.includes(capability) && !withheld.includes(capability);
}

type Outputs = Disposable & {
  readonly streams: readonly [number | 'nothing', number | 'nothing', number | 'nothing'];
  /** Call when nobody is left to write. */
  close(): void;
  readonly drained: Promise<unknown>;
};

/**
 * The process's output goes through named pipes, so that it can open /dev/stdout and /dev/stderr by name. One whose streams are this process's own has these, and what is
 * written to the names is passed on.
 */
function openOutputs({ outputs }: SystemFolders, streams: ProcessStreams): Outputs {
  const takers =
    streams.kind === 'capture'
      ? [streams.stdout, streams.stderr]
      : ownFiles(streams).map((file) => (bytes: Uint8Array) => writeAll(file, bytes));
  const readEnds = outputs.map((path) => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  const writeEnds = outputs.map((path) => openSync(path, constants.O_WRONLY));
  const drained = readEnds.map(async (file, index) => await drain(file, takers[index]));
  const [stdout = -1, stderr = -1] = writeEnds;
  let isOpen = true;
  const close = (): void => {
    if (isOpen) for (const file of writeEnds) closeSync(file);
    isOpen = false;
  };
  return {
    streams: streams.kind === 'capture' ? ['nothing', stdout, stderr] : streams.kind === 'files' ? streams.files : [0, 1, 2],
    close,
    drained: Promise.all(drained),
    [Symbol.dispose]() {
      close();
      if (streams.kind === 'files') streams.release();
    },
  };
}

/** What takes what the process writes to the names of its outputs. */
function ownFiles(streams: Exclude<ProcessStreams, { kind: 'capture' }>): readonly number[] {
  return streams.kind === 'inherit' ? [1, 2] : streams.files.slice(1).map((file) => (file === 'nothing' ? -1 : file));
}

/** Nobody reads it any more: then it is lost, as it is for the process. */
function writeAll(file: number, bytes: Uint8Array): void {
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
  } catch (error) {
    if (systemCode(error) !== 'EPIPE' && systemCode(error) !== 'EBADF') throw error;
  }
}

async function tellStart(step: RunningStep, tell: (started: StartedProcess) => void): Promise<void> {
  let ended = false;
  void step.ended.finally(() => {
    ended = true;
  });
  for (let wait = 2; !ended; wait = Math.min(wait + 1, 50)) {
    const passed = Promise.withResolvers<void>();
    setTimeout(passed.resolve, wait);
    await Promise.race([step.ended, passed.promise]);
    const pid = ended ? undefined : step.process();
    if (pid === undefined || !hasExecuted(pid)) continue;
    tell({ pid, program: [] });
    return;
  }
}

/** Waits for the end, or brings it about when the signal aborts. */
async function endOf(step: RunningStep, stopSignal: number, signal: AbortSignal): Promise<StepEnd> {
  const timers: NodeJS.Timeout[] = [];
  // What it writes may be heard before its keeper has said which process it is.
  const ask = (): void => {
    const pid = step.process();
    if (pid === undefined) timers.push(setTimeout(ask, 10));
    else sendSignal(pid, stopSignal);
  };
  const stop = (): void => {
    ask();
    timers.push(
      setTimeout(() => step.end(false), grace),
      setTimeout(() => step.end(true), 2 * grace),
    );
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  try {
    return await step.ended;
  } finally {
    signal.removeEventListener('abort', stop);
    for (const timer of timers) clearTimeout(timer);
  }
}

function statusOf(end: StepEnd, { arguments: [name = ''] }: ProcessRequest): ExitStatus {
  switch (end.kind) {
    case 'ended': {
      const number = end.status & 0x7f;
      if (number !== 0) return { code: 128 + number, signal: signalName(number) };
      const code = (end.status >> 8) & 0xff;
      return { code, signal: code > 128 ? signalName(code - 128) : undefined };
    }
    case 'failed':
      throw new JettisonError(
        'runtime/start-failed',
        `chroot cannot start the process: ${end.call === 'execve' ? `exec "${name}"` : end.call}: ${end.code}`,
        {
          fault: 'environment',
        },
      );
    case 'swept':
      throw new JettisonError('runtime/killed', 'The keeper of the process was killed', { fault: 'environment' });
    default:
      return unreachable(end, 'end');
  }
}
