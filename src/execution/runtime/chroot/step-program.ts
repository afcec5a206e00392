/**
 * What stands between the worker and a step without namespaces, as lists of system calls. The *keeper* stays outside of the step's root. It is the subreaper
 * (prctl(2)) of all that the step starts: whoever loses its parent becomes the keeper's child. When the step's process has ended, when the worker asks for it by
 * SIGTERM, and when the worker has died, it kills its children until it has none, and ends. The step's process changes its root, gives up rights and becomes the
 * program.
 */
import { isElfArchitecture, type ElfArchitecture } from '../elf.ts';
import { callProgram, type Call, type Piece } from '../call-program.ts';

export type StepPlan = {
  readonly architecture: ElfArchitecture;
  /** Id of this process: without it as a parent nothing begins. */
  readonly parent: number;
  /** Absolute path of the folder that becomes the root. */
  readonly root: string;
  /** In the root. */
  readonly workingDirectory: string;
  /** Paths in the root that the program may have: the first that can be executed is. */
  readonly programs: readonly string[];
  readonly arguments: readonly string[];
  readonly environment: readonly string[];
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
  /** Numbers of capabilities: root in there has these, and nobody can ever have those. */
  readonly capabilities: { readonly kept: readonly number[]; readonly dropped: readonly number[] };
  /** Of setrlimit(2); -1 is no limit. */
  readonly limits: readonly { readonly resource: number; readonly soft: number; readonly hard: number }[];
};

/** What the program tells at its open file 3, in words of 64 bits: the id of the step's process, which is more than 0, and these with what follows them. */
export const told = {
  /** The status of the step's process, as wait(2) puts it. */
  ended: -2n,
  /** The results of the calls that had to succeed, as many as `demands`; it could not begin. */
  failed: -3n,
} as const;

export type StepProgram = {
  readonly bytes: Uint8Array;
  /** The calls that the step's process makes before it becomes the program; at the end one `execve` for each of the plan's programs. */
  readonly demands: readonly string[];
};

export { isElfArchitecture as isStepArchitecture };

const [tellingFile, childrenFile] = [3, 4];
const signals = { kill: 9, terminate: 15, child: 17 } as const;
const prctl = { deathSignal: 1, dropCapability: 24, subreaper: 36 } as const;
const [atCurrentFolder, closeOnExec] = [-100, 0o2000000];
const [setFileFlags, fileCloseOnExec] = [2, 1];
const [blockSignals, setSignals] = [0, 2];
/** wait4(2): do not wait; children of every kind. */
const waiting = 1 | 0x40000000;
const childrenLimit = 4096;
const signalSetSize = 8;
const usualUmask = 0o022;
const capabilityVersion = 0x20080522;

export function stepProgram(plan: StepPlan): StepProgram {
  const { calls, demands } = stepCalls(plan);
  return { bytes: callProgram(plan.architecture, [...keeperCalls(plan.parent), ...calls]), demands };
}

function keeperCalls(parent: number): readonly Call[] {
  const status = numbersOf([told.ended, 0]);
  const awaited = numbersOf([(1n << BigInt(signals.child - 1)) | (1n << BigInt(signals.terminate - 1))]);
  const children: Piece = { bytes: new Uint8Array(childrenLimit) };
  const everything = numbersOf([-1]);
  const step = { call: 'reaped', word: 'expected' } as const;
  return [
    { call: 'prctl', with: [prctl.deathSignal, signals.terminate], failed: 'end' },
    // Had it died before, there would be no signal.
    { call: 'getppid', when: [parent, 'hold'], next: 'end' },
    { name: 'hold', call: 'prctl', with: [prctl.subreaper, 1], failed: 'end' },
    { call: 'rt_sigprocmask', with: [blockSignals, everything, 0, signalSetSize], failed: 'end' },
    { call: 'clone', with: [signals.child], result: step, when: [0, 'step'], failed: 'end' },
    { call: 'write', with: [tellingFile, step, 8] },
    { name: 'sleep', call: 'rt_sigtimedwait', with: [awaited, 0, 0, signalSetSize], when: [signals.terminate, 'sweep'], failed: 'sleep' },
    {
      name: 'reap',
      call: 'wait4',
      with: [-1, { piece: status, offset: 8 }, waiting, 0],
      result: { call: 'reaped', word: 0 },
      when: [0, 'sleep'],
      failed: 'sweep',
    },
    { name: 'reaped', call: 'value', when: [-1, 'over'], next: 'reap' },
    { name: 'over', call: 'write', with: [tellingFile, status, 16] },
    { name: 'sweep', call: 'wait4', with: [-1, 0, waiting, 0], when: [0, 'look'], failed: 'end', next: 'sweep' },
    { name: 'look', call: 'openat', with: [atCurrentFolder, textOf('/proc/thread-self/children'), closeOnExec, 0], failed: 'end' },
    { call: 'read', with: [childrenFile, children, childrenLimit], result: { call: 'kill', word: 1 }, failed: 'end' },
    { name: 'kill', call: 'kill-all', with: [children, 0] },
    { call: 'close', with: [childrenFile] },
    { call: 'nanosleep', with: [numbersOf([0, 200_000]), 0], next: 'sweep' },
    { name: 'end', call: 'exit_group', with: [0], next: 'end' },
  ];
}

function stepCalls(plan: StepPlan): { readonly calls: readonly Call[]; readonly demands: readonly string[] } {
  const { uid, gid, additionalGids } = plan.user;
  const { kept, dropped } = plan.capabilities;
  const demanded: readonly Call[] = [
    { call: 'rt_sigprocmask', with: [setSignals, numbersOf([0]), 0, signalSetSize] },
    { call: 'setsid' },
    { call: 'fcntl', with: [tellingFile, setFileFlags, fileCloseOnExec] },
    ...plan.limits.map(({ resource, soft, hard }): Call => ({ call: 'prlimit64', with: [0, resource, numbersOf([soft, hard]), 0] })),
    { call: 'chroot', with: [textOf(plan.root)] },
    { call: 'chdir', with: [textOf(plan.workingDirectory)] },
    ...dropped.map((number): Call => ({ call: 'prctl', with: [prctl.dropCapability, number, 0, 0, 0] })),
    { call: 'setgroups', with: [additionalGids.length, { bytes: new Uint8Array(Uint32Array.from(additionalGids).buffer) }] },
    { call: 'setresgid', with: [gid, gid, gid] },
    { call: 'setresuid', with: [uid, uid, uid] },
    { call: 'capset', with: [shortNumbersOf([capabilityVersion, 0]), capabilitySets(uid === 0 ? kept : [])] },
    // A change of ids would take it back. What the keeper's end does not reach, the worker does.
    { call: 'prctl', with: [prctl.deathSignal, signals.kill, 0, 0, 0] },
    { call: 'umask', with: [usualUmask] },
  ];
  const [words, environment] = [pointersTo(plan.arguments), pointersTo(plan.environment)];
  const attempts = plan.programs.map((path): Call => ({ call: 'execve', with: [textOf(path), words, environment] }));
  const all = [...demanded, ...attempts];
  const results: Piece = { bytes: new Uint8Array(numbersOf([told.failed, ...all.map(() => 0)]).bytes) };
  const noted = all.map((call, index): Call => {
    const isAttempt = index >= demanded.length;
    return { ...call, result: { piece: results, offset: 8 + index * 8 }, ...(isAttempt ? {} : { failed: 'cannot' }) };
  });
  const [first, ...others] = noted;
  return {
    demands: all.map(({ call }) => call),
    calls: [
      ...(first === undefined ? [] : [{ ...first, name: 'step' }]),
      ...others,
      { name: 'cannot', call: 'write', with: [tellingFile, results, results.bytes.length] },
      { name: 'leave', call: 'exit_group', with: [127], next: 'leave' },
    ],
  };
}

function numbersOf(values: readonly (number | bigint)[]): { readonly bytes: Uint8Array } {
  return { bytes: new Uint8Array(BigInt64Array.from(values, (value) => BigInt.asIntN(64, BigInt(value))).buffer) };
}

function shortNumbersOf(values: readonly number[]): Piece {
  return { bytes: new Uint8Array(Uint32Array.from(values).buffer) };
}

/** capset(2): effective, permitted and inheritable for capabilities 0 to 31, then for the others. Nothing is ever inherited. */
function capabilitySets(numbers: readonly number[]): Piece {
  const half = (from: number): number =>
    numbers.reduce((set, number) => (number >= from && number < from + 32 ? set | (1 << (number - from)) : set), 0);
  return shortNumbersOf([0, 32].flatMap((from) => [half(from), half(from), 0]));
}

function textOf(text: string): Piece {
  return { bytes: new TextEncoder().encode(`${text}\0`) };
}

function pointersTo(texts: readonly string[]): Piece {
  return { pointers: [...texts.map(textOf), null] };
}
