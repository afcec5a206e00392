/** What is kept of a build: for lists of builds, for their logs, and to say why a later one ran steps again. */
import * as v from 'valibot';
import { parseCacheKey } from '#execution/cache/key.ts';
import { parseDigest } from '#ground/base/digest.ts';

export const buildStatus = v.picklist(['running', 'done', 'failed', 'cancelled', 'interrupted']);

/** `interrupted`: its process is gone and had no time to say so. */
export type BuildStatus = v.InferOutput<typeof buildStatus>;

const cacheKey = v.pipe(v.string(), v.transform(parseCacheKey));
const digest = v.pipe(v.string(), v.transform(parseDigest));

const change = v.object({
  class: v.picklist([
    'file',
    'instruction',
    'argument',
    'environment',
    'shell',
    'user',
    'working-directory',
    'mount',
    'option',
    'base-image',
    'platform',
    'forced',
    'evicted',
    'cache',
    'failed',
    'never-seen',
    'unknown',
  ]),
  object: v.string(),
  change: v.string(),
  from: v.exactOptional(v.string()),
  before: v.exactOptional(v.string()),
  after: v.exactOptional(v.string()),
});

/** One thing in which a step differs from what is remembered of it. `object`: a path, the name of a variable, option or image, the place of a mount.
 * `change`: what happened to it. `from`, for a file: the name of the context, the URL, or `stage build`. */
export type Change = v.InferOutput<typeof change>;

const buildStep = v.object({
  vertex: digest,
  text: v.string(),
  written: v.nullable(v.string()),
  stage: v.nullable(v.string()),
  step: v.nullable(v.number()),
  steps: v.nullable(v.number()),
  /** Belongs to another step, which is shown for both. */
  isPart: v.exactOptional(v.boolean()),
  /** Where it stands in the Dockerfile. */
  line: v.nullable(v.number()),
  /** `waiting`: never reached. */
  state: v.picklist(['cached', 'skipped', 'ran', 'failed', 'cancelled', 'waiting']),
  /** undefined for what has no key: folders of the client, and what was never reached. */
  key: v.exactOptional(cacheKey),
  recordKey: v.exactOptional(cacheKey),
  /** Milliseconds since the epoch; 0 when it did not run. */
  startedAt: v.number(),
  finishedAt: v.number(),
  /** Places in the list of the steps that it reads. */
  inputs: v.array(v.number()),
  log: v.exactOptional(v.string()),
  message: v.exactOptional(v.string()),
});

export type BuildStep = v.InferOutput<typeof buildStep>;

const place = { text: v.string(), stage: v.nullable(v.string()), step: v.nullable(v.number()), line: v.nullable(v.number()) };
const root = v.object({
  ...place,
  /** It did not run itself, but is in another state than the build it is compared with. */
  wasKnown: v.boolean(),
  changes: v.array(change),
  /** How many more changes there are. */
  more: v.number(),
  /** The build it was compared with. */
  against: v.nullable(v.string()),
  /** Milliseconds that the step ran, and those behind it; how many stand behind it. */
  cost: v.number(),
  behind: v.number(),
  behindCost: v.number(),
});
const rerun = v.object({ ...place, cost: v.number(), causes: v.array(v.number()) });
const why = v.object({ roots: v.array(root), steps: v.array(rerun) });

/** Why steps ran: `causes` are places in `roots`. */
export type Why = v.InferOutput<typeof why>;
export type WhyRoot = v.InferOutput<typeof root>;
export type WhyStep = v.InferOutput<typeof rerun>;

const facts = v.object({
  names: v.array(v.string()),
  imageId: v.nullable(v.string()),
  dockerfile: v.string(),
  context: v.string(),
  target: v.nullable(v.string()),
  platform: v.nullable(v.string()),
  error: v.nullable(v.object({ code: v.string(), message: v.string() })),
  warnings: v.number(),
  /** Bytes of the context that were read, and that were downloaded. */
  readBytes: v.number(),
  pulledBytes: v.number(),
  /** The words behind `build`, and where they were typed; null where they are not written down. */
  asked: v.optional(v.nullable(v.object({ words: v.array(v.string()), folder: v.string() })), null),
});

export type BuildFacts = v.InferOutput<typeof facts>;

export type PastBuild = BuildFacts & {
  readonly id: string;
  /** What makes two builds those of one thing: the paths of Dockerfile and context. */
  readonly project: string;
  readonly status: BuildStatus;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** 0 while it runs. */
  readonly finishedAt: number;
  readonly total: number;
  readonly cached: number;
};

/** A build with everything that is kept of it. */
export type PastBuildDetails = PastBuild & { readonly steps: readonly BuildStep[]; readonly why: Why | undefined };

export function readFacts(text: string): BuildFacts {
  return v.parse(facts, JSON.parse(text));
}

export function readSteps(text: string): readonly BuildStep[] {
  return v.parse(v.array(buildStep), JSON.parse(text));
}

export function readWhy(text: string): Why {
  return v.parse(why, JSON.parse(text));
}
