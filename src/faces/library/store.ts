/** `jettison/store`: what the command does, as functions with types. */
import { resolve } from 'node:path';
import { findPaths } from '#engine/paths.ts';
import type { BuildFunctions } from './build-functions.ts';
import { openCalls, type Around } from './calls.ts';
import type { ContainerFunctions } from './container-functions.ts';
import type { FailedStepFunctions } from './failed-step-functions.ts';
import type { ImageFunctions } from './image-functions.ts';
import { buildFunctions } from './make-build-functions.ts';
import { containerFunctions } from './make-container-functions.ts';
import { failedStepFunctions } from './make-failed-step-functions.ts';
import { imageFunctions } from './make-image-functions.ts';
import { spaceFunctions } from './make-space-functions.ts';
import { recordFunctions } from './make-record-functions.ts';
import type { SpaceFunctions } from './space-functions.ts';
import type { RecordFunctions } from './record-functions.ts';

export { JettisonError } from '#ground/base/errors.ts';
export type * from './build-functions.ts';
export type * from './build-options.ts';
export type * from './build-result.ts';
export type * from './call-options.ts';
export type * from './container-functions.ts';
export type * from './debug-process.ts';
export type * from './space-functions.ts';
export type * from './streamed-process.ts';
export type * from './failed-step-functions.ts';
export type * from './image-functions.ts';
export type * from './record-functions.ts';
export type * from '#faces/documents/blame.ts';
export type * from '#faces/documents/build-record.ts';
export type * from '#faces/documents/check.ts';
export type * from '#faces/documents/context.ts';
export type * from '#faces/documents/diff.ts';
export type * from '#faces/documents/failed-step.ts';
export type * from '#faces/documents/ledger.ts';
export type * from '#faces/documents/plan.ts';
export type * from '#faces/documents/why.ts';

export type StoreOptions = {
  /** The store's folder, made when missing; left out: that of the command (JETTISON_STORE, XDG_DATA_HOME). */
  readonly folder?: string;
  /** What paths are relative to, and where `failedStep` looks first; left out: the process's own when the store is opened. */
  readonly currentFolder?: string;
  /** Variables that the command reads (JETTISON_CONFIG, DOCKER_CONFIG, proxies, PATH); left out: the process's own when the store is opened. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Aborting it ends what is running, and nothing more begins. */
  readonly signal?: AbortSignal;
  /** Told what a person should know: a damaged database that was put aside, say. */
  readonly onNote?: (text: string) => void;
};

/** Each function throws a JettisonError: `code`, `hint`, and `at`, the places in the Dockerfile; `base/cancelled` when a signal aborted it, with the signal's reason as `cause`. */
export type Store = AsyncDisposable & {
  /** Absolute. */
  readonly folder: string;
  readonly containers: ContainerFunctions;
} & BuildFunctions &
  RecordFunctions &
  FailedStepFunctions &
  SpaceFunctions &
  ImageFunctions;

/**
 * Opens a store; dispose it (`await using`): then what is running is cancelled, and waited for. Several may be open at once, of one folder or of many, beside the command. Throws what opening
 * its files throws.
 */
export async function openStore(options: StoreOptions = {}): Promise<Store> {
  const around = surroundingsOf(options);
  const calls = openCalls(around, options.signal);
  // What is wrong with the folder is said now.
  await calls.call(undefined, async () => await Promise.resolve());
  return {
    folder: around.folder,
    ...buildFunctions(calls),
    ...recordFunctions(calls),
    ...failedStepFunctions(calls),
    ...imageFunctions(calls),
    ...spaceFunctions(calls),
    containers: containerFunctions(calls),
    [Symbol.asyncDispose]: async () => await calls[Symbol.asyncDispose](),
  };
}

function surroundingsOf({ folder, currentFolder, environment, onNote }: StoreOptions): Around {
  const here = resolve(currentFolder ?? process.cwd());
  const { NODE_DEBUG: debug, ...given } = environment ?? process.env;
  const store = resolve(here, folder ?? findPaths(given).store);
  // What Node says of itself in a worker would end up on this program's standard error.
  const shown = debug?.includes('jettison') === true ? { NODE_DEBUG: debug } : {};
  return {
    folder: store,
    currentFolder: here,
    environment: { ...given, ...shown, JETTISON_STORE: store },
    note: onNote ?? (() => undefined),
  };
}
