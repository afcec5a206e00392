/** Keeps what a build was: for `builds`, for `why`, and for whoever waits for it. */
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import type { CacheKey } from '#execution/cache/key.ts';
import { buildKeeper } from '#execution/builds/keep.ts';
import { createRecorder, type BuildEnding, type Recorder } from '#execution/builds/recorder.ts';
import { timingOf } from '#execution/builds/timing.ts';
import type { BuildStep } from '#execution/builds/past-build.ts';
import type { SolveObserver } from '#execution/solver/contract.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { clean, JettisonError, messageOf } from '#ground/base/errors.ts';
import type { FileList } from '#stores/context/file-list.ts';
import type { StatCache } from '#stores/context/stat-cache.ts';
import { rememberedWords } from './asked.ts';
import type { BuildCaches } from './build-caches.ts';
import type { BuildContexts } from './build-contexts.ts';
import type { BuildSource } from './build-source.ts';
import type { OpenContext } from './open-context.ts';
import type { Engine } from './open.ts';
import type { BuildEnd, BuildRequest } from './build-requests.ts';
import { isRemote } from './results.ts';

export type Recording = {
  /** Id of the build. */
  readonly id: string;
  readonly project: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly report: Report;
  readonly observer: SolveObserver;
  readonly onRead: (key: CacheKey, digests: readonly Digest[]) => void;
  /** What the build reads files of the client with. */
  open(contexts: BuildContexts, statCache: StatCache): void;
  /** What an exported cache may tell of this build; see `execution/builds/tell.ts`. */
  readonly memory: Recorder['memory'];
  finish(end: Omit<BuildEnding, 'readBytes'>): Promise<BuildEnd>;
  /** Name of the log of a step, once the build is over; undefined when it wrote nothing. */
  logOf(vertex: Digest): string | undefined;
};

export type Recorded = {
  readonly request: BuildRequest;
  readonly context: OpenContext;
  readonly source: BuildSource;
  readonly tags: readonly string[];
  /** What the caches say that the build asked. */
  readonly told: BuildCaches['told'];
  /** What may be shown of a text. */
  readonly mask: (text: string) => string;
};

export function recordBuild(engine: Engine, recorded: Recorded, report: Report): Recording {
  const { request, source, tags, told, mask } = recorded;
  const digests = new Map<CacheKey, readonly Digest[]>();
  let opened: { readonly contexts: BuildContexts; readonly statCache: StatCache } | undefined;
  const startedAt = engine.now();
  const buildId = randomUUID().replaceAll('-', '').slice(0, 12);
  const project = projectOf(engine, recorded);
  let finished: readonly BuildStep[] = [];
  const recorder = createRecorder(
    {
      id: buildId,
      project,
      startedAt,
      facts: {
        names: [...tags],
        dockerfile: source.name,
        context: shownContext(request),
        target: request.targets?.map(({ target }) => target).join(',') ?? request.target ?? null,
        platform: request.platforms.length === 0 ? null : request.platforms.join(','),
      },
      asked: () => {
        const typed = rememberedWords(request, mask);
        return typed === undefined ? null : { words: [...typed.words], folder: typed.folder };
      },
      forcedBy: request.noCache ? '--no-cache' : '--no-cache-filter',
      folder: engine.buildFolder,
      keep: buildKeeper(engine.database),
      store: async () => await engine.builds(),
      evicted: (key) => engine.records.evicted(key),
      filesOf: (content) => listed(digests.get(content), (digest) => opened?.contexts.filesOf(digest)),
      listFiles: (content) => listed(digests.get(content), (digest) => opened?.contexts.listFiles(digest)),
      caches: { isElsewhere: (id) => isRemote({ id }), told },
      mask,
      now: engine.now,
    },
    report,
  );
  return {
    id: buildId,
    project,
    startedAt,
    report: recorder.report,
    observer: recorder.observer,
    memory: recorder.memory,
    onRead: (key, read) => void digests.set(key, read),
    open: (contexts, statCache) => {
      opened = { contexts, statCache };
    },
    logOf: (vertex) => finished.find((step) => step.vertex === vertex)?.log,
    async finish(end) {
      const readBytes = opened?.statCache.readBytes() ?? 0;
      const build = await recorder.finish({ ...end, readBytes });
      finished = build.steps;
      const { wall, chain } = timingOf(build.steps, build.finishedAt - startedAt);
      const timing = {
        wall,
        chain: { duration: chain.duration, steps: chain.steps.map((step) => step.text) },
        readBytes,
        pulledBytes: build.pulledBytes,
      };
      const unreached = build.steps
        .filter((step) => step.state === 'waiting' && step.isPart !== true && step.step !== null && !/^from\s/iu.test(step.text))
        .map(({ text, stage, line }) => ({ text, stage, line }));
      return { id: build.id, timing, why: build.why, ...(unreached.length === 0 ? {} : { unreached }) };
    },
  };
}

/** The files behind all of these digests; undefined where those behind one are not known. */
function listed(digests: readonly Digest[] | undefined, filesOf: (digest: Digest) => FileList | undefined): FileList | undefined {
  const files = digests?.map(filesOf);
  return files?.every((list) => list !== undefined) === true ? files.flat() : undefined;
}

function shownContext({ context }: BuildRequest): string {
  if (context.kind === 'folder') return context.path;
  return context.kind === 'remote' ? clean(context.address) : '-';
}

/** The names of an image in full. */
export function fullNames(tags: readonly string[]): readonly string[] {
  return tags.map((tag) => printReference(withDefaultTag(parseReference(tag))));
}

/** What makes two builds those of one thing: where Dockerfile and context lie; where one of them came on standard input, the names that the image is given, too. */
export function projectOf(engine: Engine, { request, context, tags }: Pick<Recorded, 'request' | 'context' | 'tags'>): string {
  const { context: given } = request;
  if (given.kind === 'remote') return `${clean(given.address)} ${request.file ?? 'Dockerfile'}`;
  if (given.kind === 'stream') return `- ${tags.join(' ')}`;
  if (request.text !== undefined) return [`${context.path} -`, ...tags].join(' ');
  return `${context.path} ${request.file === undefined ? 'Dockerfile' : resolve(engine.currentFolder, request.file)}`;
}

export function errorOf(error: unknown): BuildEnding['error'] {
  return { code: error instanceof JettisonError ? error.code : 'unknown', message: messageOf(error) };
}
