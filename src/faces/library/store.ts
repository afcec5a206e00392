/**
 * What `jettison/store` of the npm package exports: the store's functions for other programs. Nothing of that program is touched: nothing is printed, no signal is
 * listened to, no folder is changed; each call opens what it needs and gives it back before it settles. docs/library.md shows its use.
 */
import { resolve } from 'node:path';
import type { ProgressEvent } from '#formats/progress/event.ts';
import type { BlameDocument, BlameGrouping } from '#faces/documents/blame.ts';
import type { CheckDocument } from '#faces/documents/check.ts';
import type { BuildRecordDocument } from '#faces/documents/build-record.ts';
import type { ContextDocument } from '#faces/documents/context.ts';
import type { DiffDocument } from '#faces/documents/diff.ts';
import type { FailedStepDocument } from '#faces/documents/failed-step.ts';
import type { LedgerDocument } from '#faces/documents/ledger.ts';
import type { PlanDocument } from '#faces/documents/plan.ts';
import type { WhyDocument } from '#faces/documents/why.ts';
import { openEngine, type Engine } from '#engine/open.ts';
import { findPaths } from '#engine/paths.ts';
import { cancelled } from '#ground/base/abort.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import type { BuildOptions } from './build-options.ts';
import type { BuildResult } from './build-result.ts';

export { JettisonError } from '#ground/base/errors.ts';
export type * from './build-options.ts';
export type * from './build-result.ts';
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

export type CallOptions = { readonly signal?: AbortSignal };

/** Vertices are steps: each is declared once before anything else is said of it. Times are milliseconds since the epoch. */
export type BuildEvent = ProgressEvent;

/** `path`: absolute, in the image; `by`: what the sums are of, `origin` if left out. */
export type BlameOptions = {
  readonly platform?: string;
  readonly path?: string;
  readonly by?: BlameGrouping;
  readonly files?: boolean;
  readonly all?: boolean;
};

export type ImageEntry = {
  readonly id: string;
  /** `<none>` for an image without a name. */
  readonly repository: string;
  readonly tag: string;
  /** As a registry knows it, if it came from or went to one. */
  readonly digest: string | null;
  /** RFC 3339 */
  readonly created: string;
  /** Bytes of all layers, uncompressed. */
  readonly size: number;
};

/** Each function throws a JettisonError: `code`, `hint`, and `at`, the places in the Dockerfile; `base/cancelled` when a signal aborted it, with the signal's reason as `cause`. */
export type Store = AsyncDisposable & {
  /** Absolute. */
  readonly folder: string;
  /** `onEvent` is called as things happen; what it throws ends the build. */
  build(build: BuildOptions, options?: CallOptions & { readonly onEvent?: (event: BuildEvent) => void }): Promise<BuildResult>;
  /** What a build would run. */
  plan(build: BuildOptions, options?: CallOptions): Promise<PlanDocument>;
  /** What is in the build context, by which rule, and which instruction takes it. */
  context(build: BuildOptions, options?: CallOptions): Promise<ContextDocument>;
  /** Would a container of the image start, and what does it lack? */
  check(image: string, options?: CallOptions & { readonly platform?: string }): Promise<CheckDocument>;
  /** Which line, file of the build context or image the files of an image came from: sums, and with `path` or `files` each file, those of base images alone with `path` or `all`. */
  blame(image: string, options?: CallOptions & BlameOptions): Promise<BlameDocument>;
  /** What each stage of an image's build made, and what of it is in the image, with the largest `files` of it (10 if left out). */
  ledger(image: string, options?: CallOptions & { readonly platform?: string; readonly files?: number }): Promise<LedgerDocument>;
  /** Why the steps of a build ran again: of the last one, or of the one with this id. */
  why(options?: CallOptions & { readonly build?: string }): Promise<WhyDocument>;
  /** What is known of a build and its steps. */
  buildRecord(options?: CallOptions & { readonly build?: string }): Promise<BuildRecordDocument>;
  /** The step that failed last, of the current folder's projects first; undefined where none is kept. */
  failedStep(options?: CallOptions): Promise<FailedStepDocument | undefined>;
  /** What it had written. */
  failedStepDiff(options?: CallOptions): Promise<DiffDocument>;
  /** A file as it left it, of at most `limit` bytes (64 MiB if left out). */
  readFailedFile(path: string, options?: CallOptions & { readonly limit?: number }): Promise<Uint8Array>;
  /** Newest first, an entry a name. */
  images(options?: CallOptions & { readonly reference?: string }): Promise<readonly ImageEntry[]>;
  /** In the shape of `docker image inspect`. */
  inspectImage(name: string, options?: CallOptions & { readonly platform?: string }): Promise<unknown>;
};

const usualLimit = 64 * 1024 * 1024;

/**
 * Opens a store; dispose it (`await using`): then what is running is cancelled, and waited for. Several may be open at once, of one folder or of many, beside the command. Throws what opening
 * its files throws.
 */
export async function openStore(options: StoreOptions = {}): Promise<Store> {
  const around = surroundingsOf(options);
  const closing = new AbortController();
  const running = new Set<Promise<unknown>>();
  const call = async <T>(given: CallOptions | undefined, task: (engine: Engine, signal: AbortSignal) => Promise<T>): Promise<T> => {
    const signal = ownSignal([closing.signal, options.signal, given?.signal]);
    const work = withEngine(around, task, signal);
    running.add(work);
    try {
      return await work;
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      running.delete(work);
    }
  };
  // What is wrong with the folder is said now.
  await call(undefined, async () => await Promise.resolve());
  return {
    folder: around.folder,
    build: async (build, given) => await call(given, async (engine, signal) => await runBuild(engine, build, given?.onEvent, signal)),
    plan: async (build, given) =>
      await call(given, async (engine, signal) => {
        const { buildRequest } = await import('./build-request.ts');
        const { planBuild } = await import('#engine/plan.ts');
        const { planDocument } = await import('#faces/documents/make-plan.ts');
        return planDocument(await planBuild(engine, buildRequest(build, engine), signal));
      }),
    context: async (build, given) =>
      await call(given, async (engine, signal) => {
        const { buildRequest } = await import('./build-request.ts');
        const { listContext } = await import('#engine/list-context.ts');
        const { contextDocument } = await import('#faces/documents/make-context.ts');
        return contextDocument(await listContext(engine, buildRequest(build, engine), signal));
      }),
    check: async (name, given) =>
      await call(given, async (engine, signal) => {
        const { checkImage } = await import('#engine/check-payload.ts');
        const { checkDocument } = await import('#faces/documents/make-check.ts');
        return checkDocument(await checkImage(engine, { name, platform: given?.platform }, () => undefined, signal));
      }),
    blame: async (image, given) => await call(given, async (engine, signal) => await blameOf(engine, image, given, signal)),
    ledger: async (name, given) =>
      await call(given, async (engine, signal) => {
        const { ledgerOf, usualFiles } = await import('#engine/ledger.ts');
        const { ledgerDocument } = await import('#faces/documents/make-ledger.ts');
        const wanted = { name, platform: given?.platform, largest: given?.files ?? usualFiles };
        return ledgerDocument(await ledgerOf(engine, wanted, () => undefined, signal));
      }),
    why: async (given) =>
      await call(given, async (engine) => {
        const { whyDocument } = await import('#faces/documents/make-why.ts');
        const build = await pastBuildOf(engine, given?.build);
        return whyDocument(build, build.why);
      }),
    buildRecord: async (given) =>
      await call(given, async (engine) => {
        const { buildRecordDocument } = await import('#faces/documents/make-build-record.ts');
        return buildRecordDocument(await pastBuildOf(engine, given?.build));
      }),
    failedStep: async (given) => await call(given, lastFailedStep),
    failedStepDiff: async (given) =>
      await call(given, async (engine, signal) => {
        const { diffContainer } = await import('#engine/container-diff.ts');
        const { failedName } = await import('#engine/step-place.ts');
        const { diffDocument } = await import('#faces/documents/make-diff.ts');
        return diffDocument(await diffContainer(engine, failedName, () => undefined, signal));
      }),
    readFailedFile: async (path, given) =>
      await call(given, async (engine, signal) => {
        const { readFailedFile } = await import('./failed-file.ts');
        return await readFailedFile(engine, { path, limit: given?.limit ?? usualLimit }, signal);
      }),
    images: async (given) => await call(given, async (engine) => await imageEntries(engine, given?.reference)),
    inspectImage: async (name, given) =>
      await call(given, async (engine) => {
        const { inspect, inspectForPlatform } = await import('#engine/inspect.ts');
        return given?.platform === undefined ? await inspect(engine, name, 'image') : inspectForPlatform(engine, name, given.platform);
      }),
    [Symbol.asyncDispose]: async () => {
      closing.abort(new JettisonError('library/closed', 'The store was closed'));
      await Promise.allSettled(running);
    },
  };
}

type Around = {
  readonly folder: string;
  readonly currentFolder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly note: (text: string) => void;
};

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

async function withEngine<T>(
  { environment, currentFolder, note }: Around,
  task: (engine: Engine, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const report = (event: ProgressEvent): void => void (event.kind === 'note' && note(event.text));
  await using engine = await openEngine({ environment, currentFolder, report });
  return await task(engine, signal);
}

/** Aborts with the first of them, and with an error of ours, which travels to workers whole. */
function ownSignal(given: readonly (AbortSignal | undefined)[]): AbortSignal {
  const any = AbortSignal.any(given.filter((one) => one !== undefined));
  const own = new AbortController();
  const follow = (): void => {
    const reason: unknown = any.reason;
    own.abort(reason instanceof JettisonError ? reason : cancelled('Cancelled by its AbortSignal', reason));
  };
  if (any.aborted) follow();
  else any.addEventListener('abort', follow, { once: true });
  return own.signal;
}

async function runBuild(
  engine: Engine,
  options: BuildOptions,
  onEvent: ((event: BuildEvent) => void) | undefined,
  signal: AbortSignal,
): Promise<BuildResult> {
  const { buildRequest } = await import('./build-request.ts');
  const { build } = await import('#engine/build.ts');
  const { buildResult } = await import('./make-build-result.ts');
  const own = new AbortController();
  let thrown: { readonly error: unknown } | undefined;
  const report = (event: ProgressEvent): void => {
    if (thrown !== undefined) return;
    try {
      onEvent?.(event);
    } catch (error) {
      thrown = { error };
      own.abort(cancelled('"onEvent" threw'));
    }
  };
  const request = buildRequest(options, engine);
  const made = await build(engine, request, { report }, AbortSignal.any([signal, own.signal])).catch((error: unknown) => {
    throw thrown === undefined ? error : thrown.error;
  });
  if (thrown !== undefined) throw thrown.error;
  return buildResult(made);
}

async function blameOf(engine: Engine, image: string, options: BlameOptions = {}, signal: AbortSignal): Promise<BlameDocument> {
  const { blameImage } = await import('#engine/blame.ts');
  const { blameDocument } = await import('#faces/documents/make-blame.ts');
  const { platform, path, by = 'origin', files = false, all = false } = options;
  const request = { image, platform, paths: path === undefined ? [] : [path], listsBase: all || path !== undefined, asksRegistry: false };
  const blame = await blameImage(engine, request, () => undefined, signal);
  return blameDocument(blame, { by, listsFiles: files || all || path !== undefined });
}

async function pastBuildOf(engine: Engine, id: string | undefined) {
  const { pastBuild } = await import('#engine/past-builds.ts');
  return await pastBuild(engine, id === undefined ? { kind: 'place', place: 1 } : { kind: 'id', id });
}

async function lastFailedStep(engine: Engine): Promise<FailedStepDocument | undefined> {
  const { findFailedStep } = await import('#engine/step-place.ts');
  const { failedStepDocument } = await import('#faces/documents/make-failed-step.ts');
  try {
    return failedStepDocument(await findFailedStep(engine));
  } catch (error) {
    if (isCode(error, 'engine/no-failed-step')) return undefined;
    throw error;
  }
}

async function imageEntries(engine: Engine, reference: string | undefined): Promise<readonly ImageEntry[]> {
  const { listImages } = await import('#engine/images.ts');
  const references = reference === undefined ? [] : [reference];
  const all = { references, labels: [], dangling: undefined, all: false, before: [], since: [], until: undefined };
  return listImages(engine, all).map(({ id, repository, tag, digest, created, size }) => ({
    id,
    repository,
    tag,
    digest: digest ?? null,
    created: new Date(created).toISOString(),
    size,
  }));
}
