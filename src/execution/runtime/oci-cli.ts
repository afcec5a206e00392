/** Drives crun or runc by their common command line: one `run` in the foreground for each process, which ends when the process does. */
import { mkdirSync, readFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asByteString, bytesOf } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { createLog } from '#ground/base/log.ts';
import { readHierarchies } from '#ground/linux/cgroup.ts';
import { openProcessAccounts, type FollowedProcesses, type ProcessAccounts } from '#ground/linux/process-accounts.ts';
import { runProcess } from '#ground/linux/spawn.ts';
import type { ProcessWitness } from '#ground/linux/witnessed-processes.ts';
import { sendSignal, signalName, startChild, type Child, type ChildExit } from '#ground/linux/child.ts';
import { orphanedContainers } from '#ground/linux/orphans.ts';
import { hasExecuted, pauseContainer, processesOf, resumeContainer } from '#ground/linux/container-processes.ts';
import { openBundle, specText, type Bundle } from './bundle.ts';
import type { Cgroups, StepCgroup } from './cgroups.ts';
import { checkBefore, numberOf } from './check.ts';
import type {
  ExitStatus,
  ExtraCall,
  ExtraProcess,
  ProcessRequest,
  ProcessStreams,
  Runtime,
  StartedProcess,
  TerminalSize,
} from './contract.ts';
import { terminalRest } from './terminal-rest.ts';
import { forget, locateFirst, startTied, type Ties } from './tied-runs.ts';
import { measureRun } from './usage.ts';
import { capabilitiesOf, type HostFacts } from './spec.ts';

export type Program = {
  readonly name: 'crun' | 'runc';
  readonly version: string;
  /** Absolute path of the binary. */
  readonly file: string;
  /** Before the command: how it has to be called on this machine. */
  readonly globalArguments: readonly string[];
};

/** How long a process may take to end by itself after its stop signal, in milliseconds. */
const grace = 3000;
const sweepLimit = 10_000;
const log = createLog('runtime');
/** All that the runtime itself sees of our environment. */
export const ownEnvironment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

type Running = {
  readonly child: Child;
  readonly bundle: Bundle;
  readonly stopSignal: number;
  /** Its own, or one that it was given while it ran. */
  readonly cgroup: { of: StepCgroup | undefined };
  /** Its first process, as this one counts; undefined before it is there. */
  readonly first: () => number | undefined;
  /** Of its terminal, where it has one. At once: what is typed after it is read in a terminal of that size. */
  readonly resize: ((size: TerminalSize) => void) | undefined;
};

export type RuntimeSetting = {
  readonly program: Program;
  /** For bundles and the runtime's own state: private to this process, best on a tmpfs. */
  readonly folder: string;
  readonly host: HostFacts;
  /** For processes with limits; asked for when the first comes. Without it they are refused. */
  readonly cgroups?: () => Promise<Cgroups>;
  /** This process has no PID namespace of its own: see `tied-runs.ts`. */
  readonly ties?: Ties;
  /** Who tells how processes ended where this one may not keep accounts of them. */
  readonly witness?: ProcessWitness | undefined;
};

export function createRuntime({ program, folder, host, cgroups, ties, witness }: RuntimeSetting): Runtime {
  const running = new Map<string, Running>();
  let accounts: Promise<Accounts> | undefined;
  const follow = async (request: ProcessRequest): Promise<FollowedProcesses | undefined> => {
    if (request.accounts === undefined || ties !== undefined) return undefined;
    accounts ??= openAccounts(folder, witness);
    const { of, isCostly } = await accounts;
    return isCostly && !mayStartSeveral(request.arguments) ? undefined : await of?.follow();
  };
  const state = join(folder, 'state');
  const bundles = join(folder, 'bundles');
  const scratch = join(folder, 'scratch');
  for (const each of [state, bundles, scratch]) mkdirSync(each, { recursive: true, mode: 0o700 });
  return {
    name: program.name,
    version: program.version,
    bindsBy: 'mounting',
    scratch,
    async run(request, streams, signal) {
      signal.throwIfAborted();
      const stopSignal = checkBefore(request);
      await using opened = await openLimits(request, cgroups);
      const cgroup = opened.of;
      using bundle = openBundle(bundles, { ...request, mounts: [...request.mounts, ...(cgroup?.mounts ?? [])] }, host);
      const words = [program.file, ...runArguments(program, state, { bundle, id: request.id })];
      const [file = '', ...rest] = cgroup === undefined ? words : entering(cgroup, words);
      const command = { file, arguments: rest, environment: ownEnvironment, folder: bundle.folder };
      using followed = await follow(request);
      const resizeTerminals = request.terminal ? (await import('#ground/linux/pseudo-terminal.ts')).resizeTerminalsOf : undefined;
      const around = followed === undefined ? {} : { around: followed.around };
      const child =
        ties === undefined ? await startChild({ ...command, ...around }, streams) : await startTied(command, bundle, streams, ties);
      const first = ties === undefined ? (): number | undefined => bundle.firstProcess() : locateFirst(child, bundle);
      const resize = resizeTerminals === undefined ? undefined : (size: TerminalSize): void => resizeTerminals(child.pid, size);
      const run: Running = { child, bundle, stopSignal, cgroup: opened, first, resize };
      running.set(request.id, run);
      if (request.onStart !== undefined) void tellStart(run, [program.file, ...callArguments(program, state, [])], request.onStart);
      try {
        const exit = await endOf(run, signal);
        if (ties !== undefined) forget(state, request.id);
        else if (exit.kind === 'killed' || signal.aborted) await sweep(program, state, { bundle, id: request.id });
        if (request.terminal && program.name === 'crun') passOnRest(bundle, streams);
        await child.exit;
        signal.throwIfAborted();
        const status = statusWithin(opened.of, exit, () => statusOf(program, exit, bundle));
        const isAsked = exit.kind === 'exited' && (status.code !== 0 || request.accounts === 'always');
        const of = { pid: bundle.firstProcess(), program: request.arguments[0] ?? '', code: status.code };
        const ended = isAsked ? await followed?.endedBelow(of) : undefined;
        return ended === undefined ? status : { ...status, ended };
      } finally {
        running.delete(request.id);
      }
    },
    signal(id, name) {
      const found = running.get(id);
      const number = numberOf(name);
      if (found) sendSignal(found.first() ?? found.child.pid, number);
    },
    exec(id, process) {
      const run = running.get(id);
      return run && execCall(run, { id, process }, { program, state, host });
    },
    pause(id) {
      const first = running.get(id)?.first();
      if (first !== undefined) pauseContainer(first);
    },
    resume(id) {
      const first = running.get(id)?.first();
      if (first !== undefined) resumeContainer(first);
    },
    usage(id) {
      const run = running.get(id);
      const first = run?.first();
      return run === undefined || first === undefined ? undefined : measureRun(first, run.cgroup.of?.folders() ?? []);
    },
    async limit(id, limits) {
      const run = running.get(id);
      const first = run?.first();
      if (run === undefined || first === undefined) return;
      const hierarchies = readHierarchies(readFileSync(`/proc/${first}/cgroup`, 'utf8'));
      const standing = { processes: () => processesOf(first), hierarchies };
      if (run.cgroup.of !== undefined) return run.cgroup.of.change(limits, standing);
      run.cgroup.of = (await needCgroups(cgroups)).open(id, limits, hierarchies);
      run.cgroup.of.take(standing);
    },
    resized(id, size) {
      const found = running.get(id);
      found?.resize?.(size);
      // Where the kernel does not let us do that, runc looks at its own terminal then; crun 1.8 hands the signal on, and leaves the size as it was.
      if (found !== undefined && program.name === 'runc') sendSignal(found.child.pid, windowChanged);
    },
    relays(id) {
      const found = running.get(id);
      return found === undefined ? [] : [found.child.pid];
    },
  };
}

const { SIGWINCH: windowChanged } = constants.signals;

/** `isCostly`: not for processes of which nothing could be said. */
type Accounts = { readonly of: ProcessAccounts | undefined; readonly isCostly: boolean };

async function openAccounts(folder: string, witness: ProcessWitness | undefined): Promise<Accounts> {
  const own = openProcessAccounts(folder);
  if (own !== undefined || witness === undefined) return { of: own, isCostly: false };
  const { witnessedAccounts } = await import('#ground/linux/witnessed-processes.ts');
  return { of: witnessedAccounts(witness), isCostly: true };
}

/** The text of a shell with something between two commands. */
function mayStartSeveral(words: readonly string[]): boolean {
  return words.length > 2 && /&&|[;|\n]/u.test(words.at(-1)?.trim() ?? '');
}

/** Looks until the program runs: there is a first process, and it is no copy of the runtime any more. */
async function tellStart({ child, first }: Running, program: readonly string[], tell: (started: StartedProcess) => void): Promise<void> {
  let ended = false;
  void child.ended.finally(() => {
    ended = true;
  });
  for (let wait = 2; !ended; wait = Math.min(wait + 1, 50)) {
    await Promise.race([child.ended, sleep(wait)]);
    const pid = ended ? undefined : first();
    if (pid === undefined || !hasExecuted(pid)) continue;
    tell({ pid, runtime: child.pid, program });
    return;
  }
}

/** Disposing removes what it has by then. */
async function openLimits(
  { id, limits }: ProcessRequest,
  cgroups: RuntimeSetting['cgroups'],
): Promise<Running['cgroup'] & AsyncDisposable> {
  const opened: Running['cgroup'] = { of: limits === undefined ? undefined : (await needCgroups(cgroups)).open(id, limits) };
  return Object.assign(opened, { [Symbol.asyncDispose]: async () => await opened.of?.[Symbol.asyncDispose]() });
}

async function needCgroups(cgroups: RuntimeSetting['cgroups']): Promise<Cgroups> {
  if (cgroups === undefined) throw new JettisonError('runtime/no-cgroups', 'This runtime takes no limits', { fault: 'bug' });
  return await cgroups();
}

/** A process goes into a cgroup by itself (0) before it becomes the runtime: nothing of it is ever outside. */
function entering({ entrances }: StepCgroup, words: readonly string[]): readonly string[] {
  const script = `while [ "$1" != -- ]; do echo 0 >"$1" || exit ${cannotEnter}; shift; done; shift; exec "$@"`;
  return ['/bin/sh', '-c', script, 'sh', ...entrances, '--', ...words];
}

const cannotEnter = 125;

/** Where memory ran out, even the runtime may have been killed. */
function statusWithin(cgroup: StepCgroup | undefined, exit: ChildExit, status: () => ExitStatus): ExitStatus {
  const killed = { code: 137, signal: 'SIGKILL', outOfMemory: true } as const;
  if (cgroup === undefined) return status();
  if (exit.kind === 'killed') return cgroup.ranOutOfMemory({ killed: true }) ? killed : status();
  const found = status();
  const ranOut = found.code !== 0 && cgroup.ranOutOfMemory({ killed: found.signal === 'SIGKILL' });
  return ranOut ? { ...found, outOfMemory: true } : found;
}

/** The global arguments and the words of one call. Also for `choose`, which has to `create`. */
export function callArguments(program: Program, state: string, words: readonly string[]): readonly string[] {
  return [...program.globalArguments, '--root', state, ...words];
}

function runArguments(program: Program, state: string, run: { readonly bundle: Bundle; readonly id: string }): readonly string[] {
  const logTo = program.name === 'crun' ? `file:${run.bundle.logFile}` : run.bundle.logFile;
  const logging = ['--log', logTo, '--log-format', 'json'];
  return [...callArguments(program, state, logging), 'run', '--bundle', run.bundle.folder, '--pid-file', run.bundle.pidFile, run.id];
}

type ExecTools = Pick<RuntimeSetting, 'program' | 'host'> & { readonly state: string };

/** All that is not asked for is as the first process has it: capabilities, limits, whether it may get more rights. */
function execCall(
  { bundle, cgroup }: Running,
  { id, process }: { readonly id: string; readonly process: ExtraProcess },
  { program, state, host }: ExecTools,
): ExtraCall {
  const { arguments: args, environment: env, workingDirectory: cwd, user, terminal, terminalSize } = process;
  const document = {
    ...bundle.process,
    args,
    env,
    cwd,
    terminal,
    user: host.hasOneId === true ? { ...user, additionalGids: [] } : user,
    consoleSize: terminalSize && { height: terminalSize.rows, width: terminalSize.columns },
    capabilities: capabilitiesOf(user, process.isPrivileged ? host.capabilities : bundle.process.capabilities.bounding),
  };
  const logFile = '/proc/self/fd/4';
  const logging = ['--log', program.name === 'crun' ? `file:${logFile}` : logFile, '--log-format', 'json'];
  const words = [program.file, ...callArguments(program, state, logging), 'exec', '--process', '/proc/self/fd/3', id];
  return { words: cgroup.of === undefined ? words : entering(cgroup.of, words), document: specText(document) };
}

/** Waits for the end, or brings it about when the signal aborts. */
async function endOf(running: Running, signal: AbortSignal): Promise<ChildExit> {
  const stop = (): void => void stopProcess(running).catch((error: unknown) => log('cannot stop: %o', error));
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  try {
    return await running.child.ended;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** The stop signal where the first process handles it (the first of a pid namespace gets no other), SIGKILL at once or after the grace. With it all others of its namespace end. */
async function stopProcess({ child, first, stopSignal }: Running): Promise<void> {
  let ended = false;
  void child.ended.finally(() => {
    ended = true;
  });
  const until = Date.now() + grace;
  let asked = false;
  while (!ended) {
    const pid = first();
    if (pid === undefined && Date.now() > until) child.kill('SIGKILL');
    if (pid !== undefined && !asked && catches(pid, stopSignal)) sendSignal(pid, stopSignal);
    else if (pid !== undefined && (!asked || Date.now() > until)) sendSignal(pid, 9);
    asked ||= pid !== undefined;
    await Promise.race([child.ended, sleep(50)]);
  }
}

/** proc(5), SigCgt and SigBlk: masks of the signals that are caught, or wait until they are asked for. */
function catches(pid: number, signal: number): boolean {
  try {
    const masks = readFileSync(`/proc/${pid}/status`, 'utf8').matchAll(/^Sig(?:Cgt|Blk):\s*([0-9a-f]+)$/gmu);
    return [...masks].some(([, mask = '0']) => (BigInt(`0x${mask}`) & (1n << BigInt(signal - 1))) !== 0n);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ESRCH') return false;
    throw error;
  }
}

/** After a runtime that did not end by itself: its container and what it keeps of it. */
async function sweep(program: Program, state: string, run: { readonly bundle: Bundle; readonly id: string }): Promise<void> {
  const pid = run.bundle.firstProcess();
  if (pid !== undefined) sendSignal(pid, 9);
  const command = {
    command: program.file,
    arguments: callArguments(program, state, ['delete', '--force', run.id]),
    environment: ownEnvironment,
  };
  const { code, stderr } = await runProcess(command, AbortSignal.timeout(sweepLimit));
  if (code !== 0) log('delete of %s: %s', run.id, new TextDecoder().decode(stderr));
  // It may have been killed before it wrote down what it had started; that would go on, and hold the output open.
  if (pid === undefined || code !== 0) for (const orphan of orphanedContainers()) sendSignal(orphan, 9);
}

/** See `terminalRest`. */
function passOnRest(bundle: Bundle, streams: ProcessStreams): void {
  const bytes = bytesOf(asByteString(terminalRest(bundle.log())));
  if (bytes.length === 0) return;
  if (streams.kind === 'files') streams.onRest?.(bytes);
  else if (streams.kind === 'inherit') writeSync(1, bytes);
}

function statusOf(program: Program, exit: ChildExit, bundle: Bundle): ExitStatus {
  if (exit.kind === 'killed') {
    throw new JettisonError('runtime/killed', `${program.name} was killed by signal ${exit.signal}`, { fault: 'environment' });
  }
  if (exit.code === 0) return { code: 0, signal: undefined };
  const complaint = bundle.complaint();
  if (complaint !== undefined)
    throw new JettisonError('runtime/start-failed', `${program.name} cannot start the process: ${complaint}`, { fault: 'environment' });
  return { code: exit.code, signal: exit.code > 128 ? signalName(exit.code - 128) : undefined };
}
