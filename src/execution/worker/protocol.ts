/**
 * What engine and worker say to each other over a Node IPC channel ("advanced" serialization: Maps and bytes survive).
 * Both ends are the same program of the same version, so a message is trusted for its shape; what it carries from outside is not.
 */
import { firstFailure, fullDiskHint, JettisonError, messageOf, refusedFile, type Fault } from '#ground/base/errors.ts';
import type { AlmostRung, TreeForm } from '#ground/linux/isolation.ts';
import type { SeenProcesses } from '#ground/linux/process-families.ts';
import type { Span } from '#ground/base/span.ts';
import type { ProgressEvent } from '#formats/progress/event.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import type {
  ContainerOutcome,
  ContainerRequest,
  EndedProcesses,
  FilesRead,
  KeptFailure,
  OpRequest,
  SessionRequest,
  UnpackRequest,
  Worker,
} from './contract.ts';

/** An op's request as it crosses: of its agents only the ids, and whether somebody wants to know what is read, and what is left of a failure. */
export type WireOpRequest = Omit<OpRequest, 'agents' | 'onRead' | 'onFailure' | 'onPassed'> & {
  readonly agents: readonly string[];
  readonly wantsDigests?: boolean;
  readonly keepsFailure?: boolean;
  readonly wantsPassed?: boolean;
};

/** A layer to unpack as it crosses: a parent that is not there yet is told later. */
export type WireUnpackRequest = Omit<UnpackRequest, 'parent'> & { readonly parent: SnapshotId | undefined | 'coming' };

/** A container's session as it crosses. */
export type WireSession = Omit<SessionRequest, 'onReady' | 'onStart'>;

/** The methods of a worker that are calls with an answer. */
export type Calls = {
  readonly runContainer: { readonly take: readonly [ContainerRequest, WireSession]; readonly give: ContainerOutcome };
  readonly run: { readonly take: readonly [WireOpRequest]; readonly give: Awaited<ReturnType<Worker['run']>> };
  readonly unpackLayer: { readonly take: readonly [WireUnpackRequest]; readonly give: SnapshotId };
} & {
  readonly [
    K in
      | 'examine'
      | 'contentDigest'
      | 'layerIdentities'
      | 'writeLayer'
      | 'exportTree'
      | 'prepareContainer'
      | 'findPackages'
      | 'findPayload'
      | 'listLibraries'
      | 'traceOrigins'
      | 'findHidden'
      | 'foldLayers'
      | 'weighSteps'
      | 'compareLayers'
      | 'lookAtFile'
      | 'readFiles'
      | 'listChanges'
      | 'writeFiles'
      | 'missing'
      | 'release'
  ]: {
    readonly take: CallArguments<Parameters<Worker[K]>>;
    readonly give: Awaited<ReturnType<Worker[K]>>;
  };
};

/** A call's arguments without `report` and `signal`, which cannot cross. */
type CallArguments<T extends readonly unknown[]> = T extends readonly [...infer Before, AbortSignal]
  ? Before extends readonly [...infer Head, (event: ProgressEvent) => void]
    ? Head
    : Before
  : never;

export type CallName = keyof Calls;

export type ToWorker =
  /** `engine`: the process as its user knows it; this process counts in another namespace. `now`: the time that the engine has. */
  | ({ readonly kind: 'open'; readonly store: string; readonly engine: number; readonly now: number } & AlmostRung)
  | { readonly kind: 'call'; readonly id: number; readonly name: CallName; readonly take: readonly unknown[] }
  /** What call `id` asked for as coming. */
  | { readonly kind: 'parent'; readonly id: number; readonly parent: SnapshotId }
  | { readonly kind: 'cancel'; readonly id: number; readonly reason: WireError }
  | { readonly kind: 'signal'; readonly container: string; readonly name: string }
  | { readonly kind: 'answer'; readonly number: number; readonly message: Uint8Array }
  /** What was asked about processes, under `number`. */
  | { readonly kind: 'witnessed'; readonly number: number; readonly follows: boolean; readonly seen?: SeenProcesses | undefined }
  | { readonly kind: 'close' };

export type FromWorker =
  /** `tree`: how it shows trees, where that was left open. */
  | { readonly kind: 'ready'; readonly tree: TreeForm }
  | { readonly kind: 'event'; readonly id: number; readonly event: ProgressEvent }
  | { readonly kind: 'note'; readonly text: string }
  /** What the file operation of call `id` has read. */
  | { readonly kind: 'read'; readonly id: number; readonly read: readonly FilesRead[] }
  /** What is left of the step of call `id`, which fails. */
  | { readonly kind: 'kept'; readonly id: number; readonly kept: KeptFailure }
  /** What the step of call `id`, which succeeds, had started. */
  | { readonly kind: 'passed'; readonly id: number; readonly ended: EndedProcesses }
  /** The container of call `id` can be reached; it runs. */
  | { readonly kind: 'reachable'; readonly id: number }
  | { readonly kind: 'started'; readonly id: number; readonly pid: number; readonly program: readonly string[] }
  /** A step of call `id` asks an SSH agent; answered under `number`. */
  | { readonly kind: 'ask'; readonly id: number; readonly number: number; readonly agent: string; readonly message: Uint8Array }
  /** What this process starts under a mark is to be watched (`ProcessWitness`); answered under `number`. */
  | { readonly kind: 'follow'; readonly number: number; readonly mark: string }
  | { readonly kind: 'ended'; readonly number: number; readonly mark: string; readonly code: number }
  | { readonly kind: 'leave'; readonly mark: string }
  | { readonly kind: 'done'; readonly id: number; readonly give: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: WireError };

/** An error as data. */
export type WireError = {
  readonly code: string;
  readonly message: string;
  readonly fault: Fault;
  readonly hint: string | undefined;
  readonly at: readonly Span[];
  readonly retryable: boolean;
  readonly notes: readonly string[];
  readonly stack: string | undefined;
};

/** `store`: the folder to name where the disk is the trouble. */
export function toWire(thrown: unknown, store = ''): WireError {
  const error = firstFailure(thrown);
  const known = error instanceof JettisonError ? error : explain(error, store);
  const { code, message, fault, hint, at, retryable, notes } = known;
  return { code, message, fault, hint, at, retryable, notes, stack: error instanceof Error ? error.stack : undefined };
}

export function fromWire(wire: WireError): JettisonError {
  const { code, message, hint, stack, ...rest } = wire;
  const error = new JettisonError(code, message, hint === undefined ? rest : { ...rest, hint });
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** A full disk or a read-only store is the machine's fault, a name that no file system takes the Dockerfile's or the image's; whatever else arrives here is ours. */
function explain(error: unknown, store: string): JettisonError {
  const text = messageOf(error);
  if (/\bENOSPC\b|\bEDQUOT\b/u.test(text)) {
    return new JettisonError('worker/no-space', `Cannot write to the store "${store}": ${text}`, {
      fault: 'environment',
      hint: fullDiskHint,
      cause: error,
    });
  }
  if (/\bEROFS\b/u.test(text))
    return new JettisonError('worker/read-only', `Cannot write to the store "${store}": ${text}`, { fault: 'environment', cause: error });
  const refused = refusedFile(error);
  if (refused !== undefined) {
    return new JettisonError('worker/refused-file', `A file of this step cannot be made or read: ${refused} (${text.slice(0, 300)})`, {
      fault: 'environment',
      hint: 'Look for long paths and odd names in the Dockerfile, the image it starts from, and the files that it copies',
      cause: error,
    });
  }
  if (/\b(?:EEXIST|ENOTDIR|EISDIR|ELOOP|EACCES|EIO)\b/u.test(text) && store !== '' && text.includes(store))
    return new JettisonError('worker/bad-store', `Cannot use the store "${store}": ${text}`, {
      fault: 'environment',
      hint: 'Something else wrote there, or the disk fails: move away what the message names, or name another folder in JETTISON_STORE',
      cause: error,
    });
  return new JettisonError('worker/failed', text, { fault: 'bug', cause: error });
}
