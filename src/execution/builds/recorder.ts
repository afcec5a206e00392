/** Follows one build; at its end what became of it is entered, and why its steps ran. A build in which nothing ran writes one row, and loads nothing for it. */
import { cacheKey, type CacheKey } from '#execution/cache/key.ts';
import type { Eviction } from '#execution/cache/records.ts';
import type { SolveObserver } from '#execution/solver/contract.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { messageOf } from '#ground/base/errors.ts';
import type { FileList } from '#stores/context/file-list.ts';
import { createFollower, type Followed } from './follow.ts';
import { hiderFor } from './hide.ts';
import type { KeepBuild } from './keep.ts';
import type { BuildFacts, BuildStatus, BuildStep, Change, PastBuildDetails, Why } from './past-build.ts';
import { thisProcess } from './process.ts';
import type { memoryLimits, StepMemory, ToldCache } from './memory.ts';
import type { Remembering } from './remember.ts';
import type { BuildStore } from './store.ts';

export type Recorder = {
  readonly report: Report;
  readonly observer: SolveObserver;
  /** What an exported cache of this build may tell, at most so many bytes; undefined when that is too much. */
  readonly memory: (mode: StepMemory['mode'], place: keyof typeof memoryLimits) => Promise<Uint8Array | undefined>;
  /** Enters the build, and gives what was entered. What cannot be kept is reported, not thrown. */
  finish(end: BuildEnding): Promise<PastBuildDetails>;
};

export type BuildEnding = Pick<BuildFacts, 'imageId' | 'error' | 'readBytes'> & {
  readonly status: Exclude<BuildStatus, 'running' | 'interrupted'>;
};

export type RecorderOptions = {
  readonly id: string;
  readonly project: string;
  readonly startedAt: number;
  readonly facts: Pick<BuildFacts, 'names' | 'dockerfile' | 'context' | 'target' | 'platform'>;
  /** How it was asked for, as far as may be written down: looked at whenever a row is written, since more secrets are known then than when the build began. */
  readonly asked: () => BuildFacts['asked'];
  /** The option that makes steps run although their results are known. */
  readonly forcedBy: string;
  /** This room's part of the store. */
  readonly folder: string;
  readonly keep: KeepBuild;
  readonly store: () => Promise<BuildStore>;
  readonly evicted: (key: CacheKey) => Eviction | undefined;
  /** The files behind a content digest of this build's contexts, where this build has read them. */
  readonly filesOf: (content: CacheKey) => FileList | undefined;
  /** The same where it only found them unchanged: costs a walk. */
  readonly listFiles: (content: CacheKey) => FileList | undefined;
  readonly caches: CachesElsewhere;
  /** What may be shown of a text; reasons are made of what keys are made of, which no report has passed on. */
  readonly mask: (text: string) => string;
  readonly now: () => number;
};

/** The caches elsewhere that a build looks into. */
export type CachesElsewhere = {
  /** Does the result lie in one of them, and not here? */
  readonly isElsewhere: (resultId: string) => boolean;
  /** What those say that were asked; it is downloaded now, once. Those that cannot be read say what is wrong. */
  readonly told: () => Promise<readonly ToldCache[]>;
};

/** How many builds are kept, and after how many more the oldest are removed. */
const [keptBuilds, sweepEvery] = [200, 32];

export function createRecorder(options: RecorderOptions, report: Report): Recorder {
  const describe = (end: BuildEnding | undefined, why: Why | undefined): PastBuildDetails => {
    const steps = stepsOf(follower.steps);
    const counted = steps.filter((step) => step.key !== undefined && step.isPart !== true);
    return {
      ...options.facts,
      asked: options.asked(),
      ...follower.totals,
      id: options.id,
      project: options.project,
      startedAt: options.startedAt,
      status: end?.status ?? 'running',
      finishedAt: end === undefined ? 0 : options.now(),
      imageId: end?.imageId ?? null,
      error: end?.error ?? null,
      readBytes: end?.readBytes ?? 0,
      total: counted.length,
      cached: counted.filter((step) => step.state === 'cached' || step.state === 'skipped').length,
      steps,
      why,
    };
  };
  const keep = (build: PastBuildDetails, process?: string): number | undefined => {
    try {
      return options.keep(build, process);
    } catch (error) {
      report({ kind: 'note', text: `This build is not kept among the past ones: ${messageOf(error)}` });
      return undefined;
    }
  };
  const sweep = async (): Promise<void> => {
    try {
      const store = await options.store();
      if (store.count() > keptBuilds + sweepEvery) store.sweep(keptBuilds, options.now());
    } catch (error) {
      report({ kind: 'note', text: `The builds of long ago stay: ${messageOf(error)}` });
    }
  };
  // What the end of a build in which something runs takes is loaded while it runs.
  let earlier: Promise<Remembering> | undefined;
  const loadEarlier = async (): Promise<Remembering> => {
    const [{ startRemembering }, store] = await Promise.all([import('./remember.ts'), options.store()]);
    return startRemembering(store, options);
  };
  const follower = createFollower({
    folder: options.folder,
    id: options.id,
    onFirstRun: () => {
      keep(describe(undefined, undefined), thisProcess());
      setImmediate(() => {
        earlier ??= loadEarlier();
        earlier.catch(() => undefined);
        void options.caches.told();
      });
    },
    onBrokenLog: (error) => report({ kind: 'note', text: `The logs of this build are not kept: ${messageOf(error)}` }),
  });
  return {
    report: (event) => {
      follower.take(event);
      report(event);
    },
    observer: follower.observer,
    memory: async (mode, place) => {
      const { memoryOf } = await import('./tell.ts');
      return await memoryOf(follower.steps, { mode, place }, options);
    },
    async finish(end) {
      const steps = [...follower.steps.values()];
      let why: Why | undefined;
      const hasRun = steps.some(({ missed }) => missed);
      // A result that was found by content has a definition key that was not known before; of one that lies elsewhere nothing is known here.
      const hasNews =
        hasRun ||
        steps.some(
          ({ lookedUpBy, solved }) =>
            lookedUpBy.length > 1 || (solved?.record !== undefined && options.caches.isElsewhere(solved.record.resultId)),
        );
      if (hasNews) {
        try {
          const caches = hasRun && end.status !== 'cancelled' ? await options.caches.told() : [];
          earlier ??= loadEarlier();
          const found = (await earlier).finish(follower.steps, caches);
          why = found && maskWhy(found, options.mask);
        } catch (error) {
          report({ kind: 'note', text: `What this build ran is not remembered: ${messageOf(error)}` });
        }
      }
      const build = describe(end, why);
      const number = keep(build);
      // Only now does the build name the keys that were saved for it. Where nothing ever runs, the list grows all the same.
      if (hasNews || (number !== undefined && number % sweepEvery === 0)) await sweep();
      return build;
    },
  };
}

function maskWhy({ roots, steps }: Why, mask: RecorderOptions['mask']): Why {
  return {
    roots: roots.map((root) => ({ ...root, text: mask(root.text), changes: root.changes.map((change) => maskChange(change, mask)) })),
    steps: steps.map((step) => ({ ...step, text: mask(step.text) })),
  };
}

function maskChange(change: Change, mask: RecorderOptions['mask']): Change {
  const { object, before, after } = change;
  return {
    ...change,
    object: mask(object),
    ...(before === undefined ? {} : { before: mask(before) }),
    ...(after === undefined ? {} : { after: mask(after) }),
  };
}

function stepsOf(followed: ReadonlyMap<Digest, Followed>): readonly BuildStep[] {
  const places = new Map([...followed.keys()].map((digest, index) => [digest, index]));
  return [...followed.values()].map(({ declared, vertex, lookedUpBy, solved, ...rest }) => {
    const [parts] = lookedUpBy;
    const hide = vertex === undefined ? undefined : hiderFor(vertex.op, vertex.label.variables ?? {});
    return {
      vertex: declared.vertex,
      text: hide?.text(declared.text) ?? declared.text,
      written: vertex?.label.written ?? null,
      stage: declared.stage ?? null,
      step: declared.step ?? null,
      steps: declared.steps ?? null,
      ...(declared.isPart === true ? { isPart: true } : {}),
      line: vertex?.label.at?.[0]?.start.line ?? declared.line ?? null,
      state: rest.state,
      ...(parts === undefined ? {} : keysOf(cacheKey(parts), solved?.key)),
      startedAt: rest.startedAt,
      finishedAt: rest.finishedAt,
      inputs: (declared.inputs ?? []).flatMap((input) => places.get(input) ?? []),
      ...(rest.logName === undefined ? {} : { log: rest.logName }),
      ...(rest.message === undefined ? {} : { message: rest.message }),
    };
  });
}

/** What a step's result is known by is named only where it is not the definition key. */
function keysOf(key: CacheKey, recordKey: CacheKey | undefined): Pick<BuildStep, 'key' | 'recordKey'> {
  return recordKey === undefined || recordKey === key ? { key } : { key, recordKey };
}
