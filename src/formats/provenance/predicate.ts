/** How an image came about, in SLSA's words as BuildKit has them: https://slsa.dev/spec/v1.1/provenance, https://slsa.dev/spec/v0.2/provenance; BuildKit, docs/attestations/slsa-definitions.md. */
import type { Json } from '#ground/base/canonical-json.ts';
import type { Build } from './steps.ts';

/** Of a file or a repository. */
export type Origin = { readonly uri: string; readonly digest: Readonly<Record<string, string>> };

/** `max`: with all arguments, secrets by their ids, the steps and the text they came from. */
export type ProvenanceMode = 'min' | 'max';

export type ProvenanceVersion = 'v1' | 'v0.2';

/** The types of the two predicates. */
export const provenanceTypes = {
  v1: 'https://slsa.dev/provenance/v1',
  'v0.2': 'https://slsa.dev/provenance/v0.2',
} as const satisfies Readonly<Record<ProvenanceVersion, string>>;

/** A secret or an SSH agent that a step may use. */
export type Lent = { readonly id: string; readonly isOptional: boolean };

/** All that is known of one build for one platform; `predicate` leaves out what its mode has not. */
export type BuildFacts = {
  /** A remote context; undefined for a folder of the client. */
  readonly context: (Pick<Origin, 'uri'> & Partial<Origin>) | undefined;
  /** Path of the Dockerfile in what it came from. */
  readonly file: string;
  /** By BuildKit's names of a frontend's options: `build-arg:NAME`, `label:NAME`, `target`. */
  readonly options: Readonly<Record<string, string>>;
  readonly secrets: readonly Lent[];
  readonly agents: readonly Lent[];
  /** Names of folders of the client that were read. */
  readonly folders: readonly string[];
  /** What came from elsewhere, each once. */
  readonly materials: readonly Origin[];
  /** A process had a network. */
  readonly hadNetwork: boolean;
  /** `os/architecture` of this machine. */
  readonly platform: string;
  readonly builderId: string;
  readonly buildId: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly finishedAt: number;
  /** Whoever asked says so. */
  readonly isReproducible: boolean;
  /** Where the folder of the context stands in version control: `source`, `revision`, `localdir:NAME`. */
  readonly vcs: Readonly<Record<string, string>>;
  /** Only looked at for `max`. */
  readonly build: Build | undefined;
};

/** The predicate as JSON. The same facts give the same bytes. */
export function predicate(facts: BuildFacts, mode: ProvenanceMode, version: ProvenanceVersion): Json {
  return version === 'v1' ? inVersion1(facts, mode) : inVersion02(facts, mode);
}

/** What `--metadata-file` has of it where no more is asked for: neither steps nor times. */
export function withoutDetails(facts: BuildFacts, version: ProvenanceVersion): Json {
  const whole = { ...facts, build: undefined };
  if (version === 'v1') {
    const { buildDefinition } = inVersion1(whole, 'max');
    return { buildDefinition, runDetails: { builder: { id: facts.builderId } } };
  }
  const { metadata: _, ...rest } = inVersion02(whole, 'max');
  return rest;
}

function inVersion1(facts: BuildFacts, mode: ProvenanceMode): { readonly [member: string]: Json } {
  const { request, isComplete, configSource } = externalOf(facts, mode);
  const { build, materials, platform, builderId, buildId, isReproducible } = facts;
  const hasAll = facts.folders.length === 0;
  return {
    buildDefinition: {
      buildType: 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md',
      externalParameters: { configSource: { ...configSource, path: facts.file }, request },
      internalParameters: {
        ...(mode === 'max' && build !== undefined ? { buildConfig: build.config } : {}),
        builderPlatform: platform,
      },
      ...(materials.length === 0 ? {} : { resolvedDependencies: materials }),
    },
    runDetails: {
      builder: { id: builderId },
      metadata: {
        invocationID: buildId,
        startedOn: timeOf(facts.startedAt),
        finishedOn: timeOf(facts.finishedAt),
        buildkit_metadata: moreOf(facts, mode),
        ...(isHermetic(facts) ? { buildkit_hermetic: true } : {}),
        buildkit_completeness: { request: isComplete, resolvedDependencies: hasAll },
        ...(isReproducible ? { buildkit_reproducible: true } : {}),
      },
    },
  };
}

const ownType = 'https://mobyproject.org/buildkit@v1';

function inVersion02(facts: BuildFacts, mode: ProvenanceMode): { readonly [member: string]: Json } {
  const { request, isComplete, configSource } = externalOf(facts, mode);
  const { build, materials, platform, builderId, buildId, isReproducible } = facts;
  return {
    builder: { id: builderId },
    buildType: ownType,
    ...(materials.length === 0 ? {} : { materials }),
    invocation: { configSource: { ...configSource, entryPoint: facts.file }, parameters: request, environment: { platform } },
    ...(mode === 'max' && build !== undefined ? { buildConfig: build.config } : {}),
    metadata: {
      buildInvocationID: buildId,
      buildStartedOn: timeOf(facts.startedAt),
      buildFinishedOn: timeOf(facts.finishedAt),
      completeness: { parameters: isComplete, environment: true, materials: facts.folders.length === 0 },
      reproducible: isReproducible,
      [`${ownType}#metadata`]: moreOf(facts, mode),
      ...(isHermetic(facts) ? { [`${ownType}#hermetic`]: true } : {}),
    },
  };
}

/** What was asked for. In `min` no argument and no label has a place: then it is not complete where there were some. */
function externalOf({ context, options, secrets, agents, folders }: BuildFacts, mode: ProvenanceMode) {
  const all = Object.entries(options).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const shown = mode === 'max' ? all : all.filter(([name]) => !/^(?:build-arg|label):/u.test(name));
  return {
    configSource: context === undefined ? {} : context,
    request: {
      frontend: 'dockerfile.v0',
      ...(shown.length === 0 ? {} : { args: Object.fromEntries(shown) }),
      ...(mode === 'max' && secrets.length > 0 ? { secrets: lentJson(secrets) } : {}),
      ...(mode === 'max' && agents.length > 0 ? { ssh: lentJson(agents) } : {}),
      ...(folders.length === 0 ? {} : { locals: folders.map((name) => ({ name })) }),
    },
    isComplete: shown.length === all.length,
  };
}

function lentJson(what: readonly Lent[]): Json {
  return what.map(({ id, isOptional }) => ({ id, ...(isOptional ? { optional: true } : {}) }));
}

function moreOf({ vcs, build }: BuildFacts, mode: ProvenanceMode): Json {
  const details = mode === 'max' && build !== undefined ? { source: build.source, layers: build.layers } : {};
  return { ...(Object.keys(vcs).length === 0 ? {} : { vcs }), ...details };
}

function isHermetic({ folders, hadNetwork }: BuildFacts): boolean {
  return folders.length === 0 && !hadNetwork;
}

function timeOf(time: number): string {
  return new Date(time).toISOString();
}
