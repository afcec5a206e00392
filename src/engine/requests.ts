/** What the faces ask of the engine, as values. One type a use case; the functions stand in the file named after the use case (`pull.ts`: `pull(engine, request, report, signal)`). */
import type { ResourceLimits } from '#execution/worker/contract.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { Outline } from '#languages/dockerfile/outline.ts';
import type { CacheFilters, LabelFilter } from './space-filters.ts';
import type { Target } from '#languages/dockerfile/targets.ts';
import type { Diagnostic } from '#languages/frontend/diagnostics.ts';
import type { LogPiece } from '#execution/builds/logs.ts';
import type { BuildStep, Why } from '#execution/builds/past-build.ts';

export type { BuildStep, Change as WhyChange, PastBuild, PastBuildDetails, Why, WhyRoot, WhyStep } from '#execution/builds/past-build.ts';
export type { Diagnostic } from '#languages/frontend/diagnostics.ts';

export type { ResourceLimits } from '#execution/worker/contract.ts';

/** By Docker's names; -1: without a limit. */
export type Ulimit = { readonly name: string; readonly soft: number; readonly hard: number };

/**
 * `missing`: what is not here; `always`: the registry is asked each time; `newer`: it is asked, but what is here will do when it does not
 * answer; `never`: what is not here is an error.
 */
export type PullPolicy = 'missing' | 'always' | 'never' | 'newer';

/** For the manifest, or for what names it in an archive. `platform`: only for an image of this one. */
export type AnnotationRequest = {
  readonly place: 'manifest' | 'manifest-descriptor';
  readonly platform: string | undefined;
  readonly key: string;
  readonly value: string;
};

export type BuildRequest = {
  readonly context: ContextSource;
  /** The Dockerfile itself, when it came on standard input. */
  readonly text: string | undefined;
  /** Path of the Dockerfile as typed, relative to the current folder, or its address on the web; undefined: `Dockerfile` in the context. */
  readonly file: string | undefined;
  readonly tags: readonly string[];
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  readonly platform: string | undefined;
  readonly noCache: boolean;
  readonly pull: PullPolicy;
  readonly network: 'default' | 'none' | 'host';
  readonly extraHosts: readonly string[];
  /** Size of /dev/shm in bytes. */
  readonly shmSize: number | undefined;
  /** Of RUN; sorted by name. */
  readonly ulimits: readonly Ulimit[];
  /** Of the processes of RUN; undefined for none. */
  readonly limits: ResourceLimits | undefined;
  readonly cgroupParent: string | undefined;
  /** `--no-cache-filter`: stages that run again. */
  readonly noCacheStages: readonly string[];
  /** `--build-context`, by name as typed. */
  readonly contexts: ReadonlyMap<string, ContextRequest>;
  /** `--secret`, by id. */
  readonly secrets: ReadonlyMap<string, SecretRequest>;
  /** `--ssh`: by id the socket of an agent or key files, absolute paths; none: the user's own agent. */
  readonly ssh: ReadonlyMap<string, readonly string[]>;
  /** `--allow`: what its steps may be given beyond the usual. */
  readonly allow: readonly Entitlement[];
  readonly outputs: readonly OutputRequest[];
  /** `--cache-from`, the first that knows a step counts. */
  readonly cacheFrom: readonly CacheSource[];
  /** `--cache-to`. */
  readonly cacheTo: readonly CacheTarget[];
  readonly annotations: readonly AnnotationRequest[];
  /** Of the manifest, wherever it is written. */
  readonly format: 'oci' | 'docker';
  /** How many steps at once; undefined: as many as the machine has cores, at least 4. */
  readonly jobs: number | undefined;
};

/** Where results of other builds may be found. `reference` as typed: a cache, or an image with one in it. `path` absolute; `tag` of its index. */
export type CacheSource =
  | { readonly kind: 'registry'; readonly reference: string }
  | { readonly kind: 'folder'; readonly path: string; readonly tag: string; readonly digest: string | undefined }
  | ActionsCachePlace
  | S3CachePlace;

/** Where the results of this build go. `inline`: into the image itself. */
export type CacheTarget =
  | { readonly kind: 'inline'; readonly isTelling: boolean }
  | (CacheForm & { readonly kind: 'registry'; readonly reference: string })
  | (CacheForm & { readonly kind: 'folder'; readonly path: string; readonly tag: string })
  | (CacheForm &
      ActionsCachePlace & {
        /** GitHub's API is asked what is there already: the root of it, the repository (`owner/name`), and a token for it. */
        readonly listing: { readonly api: string; readonly repository: string; readonly token: () => string } | undefined;
      })
  | (CacheForm &
      S3CachePlace & {
        /** A layer that is there already is made new when it is older than so many milliseconds. */
        readonly touchRefresh: number;
        /** Layers at once. */
        readonly parallel: number;
      });

/** The cache of GitHub Actions. Tokens are functions, so that nothing prints them. */
export type ActionsCachePlace = {
  readonly kind: 'actions';
  /** What tells the caches of a repository apart. */
  readonly scope: string;
  /** undefined: this is no job of GitHub Actions, and nobody said what else to use. */
  readonly service: ActionsCacheService | undefined;
};

/** A bucket of S3. The first of the names is read, all are written. */
export type S3CachePlace = {
  readonly kind: 's3';
  readonly bucket: string;
  readonly region: string;
  readonly names: readonly [string, ...string[]];
  /** What stands before all keys, and then before those of blobs and of lists of records. */
  readonly prefix: string;
  readonly blobsPrefix: string;
  readonly manifestsPrefix: string;
  /** undefined: Amazon's own. */
  readonly endpoint: string | undefined;
  /** The bucket is part of the path, not of the host. */
  readonly usePathStyle: boolean;
  /** undefined: nobody gave any. Secrets are functions, so that nothing prints them. */
  readonly credentials:
    | { readonly keyId: string; readonly secretKey: () => string; readonly sessionToken: () => string | undefined }
    | undefined;
};

/** `timeout`: milliseconds that one request may take with all its tries, and an import in all; undefined: nobody said. */
export type ActionsCacheService = {
  readonly url: string;
  readonly version: 1 | 2;
  readonly token: () => string;
  readonly timeout: number | undefined;
};

export type OutwardTarget = Exclude<CacheTarget, { readonly kind: 'inline' }>;

export type CacheForm = {
  /** `min`: only what the image is made of; `max`: the results of all steps. */
  readonly mode: 'min' | 'max';
  readonly imageManifest: boolean;
  readonly ociTypes: boolean;
  readonly compression: 'tar' | 'gzip' | 'zstd';
  /** It also says what its steps were made of, names of files included, so that others can say why a step runs. */
  readonly isTelling: boolean;
  /** A cache that cannot be written is a warning. */
  readonly ignoreError: boolean;
};

/**
 * A stream holds a tar archive, or a Dockerfile that needs no context. The path is absolute. `remote`: an address of a Git repository, or of
 * a tar archive or a Dockerfile on the web.
 */
export type ContextSource =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Uint8Array> }
  | { readonly kind: 'remote'; readonly address: string };

/** What stands in the place of an image, a stage, or a name after `--from`. Paths are absolute. */
export type ContextRequest =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'image'; readonly reference: string }
  /** A Git repository; or a file on the web, which is called `context`. */
  | { readonly kind: 'remote'; readonly address: string }
  /** An OCI image layout; without tag and digest its `latest` or only image. */
  | { readonly kind: 'layout'; readonly path: string; readonly tag: string | undefined; readonly digest: string | undefined };

/** BuildKit's names: the host's network, and no sandbox. */
export type Entitlement = 'network.host' | 'security.insecure';

/** An absolute path, or the value itself. */
export type SecretRequest = { readonly kind: 'file'; readonly path: string } | { readonly kind: 'value'; readonly value: Uint8Array };

/** `-o type=oci,dest=F`: beside these, the image always lands in the store when it has a tag or there is no output. */
export type OutputRequest = {
  readonly kind: 'oci' | 'docker';
  readonly destination: string;
  readonly compression: 'tar' | 'gzip' | 'zstd' | undefined;
};

export type BuildOutcome = {
  /** Digest of the image config, as `docker images` shows it. */
  readonly imageId: Digest;
  readonly tags: readonly string[];
  /** Milliseconds since the epoch: what the image says of itself. */
  readonly created: number;
  /** The manifest in the first archive that was written. */
  readonly manifest: Descriptor | undefined;
  readonly steps: { readonly total: number; readonly cached: number };
} & BuildEnd;

/** What is kept of a build, however it ended. */
export type BuildEnd = {
  /** Id of the build, for `jettison builds`, `why`. */
  readonly id: string;
  readonly timing: BuildTiming;
  /** Why steps ran again; undefined when none did, or when nothing like this was built before. */
  readonly why: Why | undefined;
};

export type BuildTiming = {
  /** Milliseconds from the request to the image. */
  readonly wall: number;
  /** The longest chain of steps that had to run one after the other: its milliseconds, and the steps' texts. */
  readonly chain: { readonly duration: number; readonly steps: readonly string[] };
  /** Bytes of the context that were read, and that were downloaded. */
  readonly readBytes: number;
  readonly pulledBytes: number;
};

/** What a build would do. Milliseconds, as long as the steps took before; `atMost` counts those of which it is not known whether they run. */
export type BuildPlan = {
  /** The Dockerfile's name. */
  readonly file: string;
  readonly steps: readonly PlannedStep[];
  readonly expected: number;
  readonly atMost: number;
  /** Bytes. */
  readonly pull: number;
  /** Of caches elsewhere that could not be read, and the like. */
  readonly warnings: readonly string[];
};

/** `expected` is null for a step that may run and never did. `unknown`: it depends on what comes of a step before it. */
export type PlannedStep = {
  readonly text: string;
  readonly stage: string | null;
  readonly step: number | null;
  readonly steps: number | null;
  readonly line: number | null;
  readonly state: 'cached' | 'skipped' | 'run' | 'unknown';
  readonly expected: number | null;
};

/** A past build: by its id or the beginning of it, or by its place, the newest being 1. */
export type BuildChoice = { readonly kind: 'id'; readonly id: string } | { readonly kind: 'place'; readonly place: number };

/** A step with what it wrote. `duration` in milliseconds. */
export type BuildLogStep = BuildStep & { readonly duration: number; readonly read: () => AsyncIterable<LogPiece> };

/** `text` is what was looked at, under the name `file`; findings come in the order of its lines. */
export type CheckOutcome = { readonly file: string; readonly text: string; readonly findings: readonly Diagnostic[] };

export type OutlineResult = { readonly text: string; readonly outline: Outline };

export type TargetList = { readonly file: string; readonly text: string; readonly targets: readonly Target[] };

export type RunRequest = {
  readonly image: string;
  readonly arguments: readonly string[];
  readonly remove: boolean;
  readonly name: string | undefined;
  readonly environment: readonly string[];
  readonly workingDirectory: string | undefined;
  readonly user: string | undefined;
  /** undefined: the image's; '' clears it. */
  readonly entrypoint: string | undefined;
  readonly hostname: string | undefined;
  readonly network: 'host' | 'none';
  readonly terminal: boolean;
  readonly pull: 'missing' | 'always' | 'never';
  readonly platform: string | undefined;
};

export type ImageRow = {
  /** `<none>` parts for an image without a name. */
  readonly repository: string;
  readonly tag: string;
  /** Manifest digest as a registry knows it, if it came from or went to one. */
  readonly digest: Digest | undefined;
  readonly id: Digest;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Bytes of all layers, uncompressed. */
  readonly size: number;
};

export type HistoryRow = {
  /** Image ID of the step where it is known, else `<missing>`. */
  readonly id: string;
  readonly created: number;
  readonly createdBy: string;
  readonly size: number;
  readonly comment: string;
};

export type ContainerRow = {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly command: string;
  readonly created: number;
  readonly status: string;
};

export type SystemInfo = {
  readonly version: string;
  readonly store: string;
  readonly images: number;
  readonly containers: number;
  readonly runtime: string;
  readonly rootless: boolean;
  readonly kernel: string;
  readonly architecture: string;
  readonly cpus: number;
  readonly memory: number;
};

export type PullRequest = { readonly reference: string; readonly platform: string | undefined };

/** `reference` in full, with tag or digest; `digest` of what that reference names (an index or a manifest); `upToDate`: it was here already. */
export type PulledImage = { readonly id: Digest; readonly digest: Digest; readonly reference: string; readonly upToDate: boolean };

export type PushRequest = {
  readonly reference: string;
  /** Of layers that were made here; gzip when not said. */
  readonly compression: 'tar' | 'gzip' | 'zstd' | undefined;
  /** gzip 1 to 9, zstd 1 to 19. */
  readonly level?: number;
};

/** The manifest that the registry has now: its digest, and its size in bytes. */
export type PushedImage = { readonly digest: Digest; readonly size: number };

export type RemovedImage = { readonly kind: 'untagged'; readonly name: string } | { readonly kind: 'deleted'; readonly id: Digest };

export type SaveRequest = {
  readonly names: readonly string[];
  readonly format: 'docker' | 'oci';
  readonly destination:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'stream'; readonly write: (chunk: Uint8Array) => Promise<void> };
};

export type LoadRequest = {
  readonly source:
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'stream'; readonly chunks: AsyncIterable<Uint8Array> };
};

/** An image out of an archive; without names it can be found by its id. Names are as people know them: `busybox:latest`. */
export type LoadedImage = { readonly id: Digest; readonly names: readonly string[] };

export type InspectKind = 'image' | 'container';

export type VersionInfo = {
  readonly version: string;
  readonly node: string;
  /** As in image platforms: `linux`, `amd64`. */
  readonly os: string;
  readonly architecture: string;
};

/** One thing of the build cache. Times are milliseconds since the epoch. */
export type CacheUse = {
  readonly id: string;
  /** `regular`, `exec.cachemount`, `source.http`, `source.git.checkout`, `internal`. */
  readonly type: string;
  readonly description: string;
  readonly parent: string | undefined;
  readonly bytes: number;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly uses: number;
  readonly isMutable: boolean;
  /** Part of an image or a container, too. */
  readonly isShared: boolean;
  /** Somebody needs it: it cannot be removed. */
  readonly inUse: boolean;
};

export type CachePruneRequest = {
  /** Also what registries said, and the memory of steps that images are made of. */
  readonly all: boolean;
  readonly filters: CacheFilters;
  /** Bytes that may stay in any case, that may stay at most, and that should be free on the disk. */
  readonly reserved: number | undefined;
  readonly maxUsed: number | undefined;
  readonly minFree: number | undefined;
};

/** `bytes`: how much is free now. */
export type PrunedCache = { readonly items: readonly CacheUse[]; readonly bytes: number };

export type ImagePruneRequest = {
  readonly all: boolean;
  readonly labels: readonly LabelFilter[];
  /** Only images made before this time. */
  readonly until: number | undefined;
};

export type PrunedImages = { readonly removed: readonly RemovedImage[]; readonly bytes: number };

export type ContainerPruneRequest = { readonly until: number | undefined };
export type PrunedContainers = { readonly ids: readonly string[]; readonly bytes: number };

/** `bytes` without what is shared with others; `cache`: what is no image's and no container's. */
export type DiskUse = {
  readonly images: readonly (ImageRow & { readonly sharedBytes: number; readonly uniqueBytes: number; readonly containers: number })[];
  /** What all images take up together, and what would be free without those that no container uses. */
  readonly imageBytes: number;
  readonly reclaimableImageBytes: number;
  readonly containers: readonly (ContainerRow & { readonly isRunning: boolean; readonly bytes: number })[];
  readonly cache: readonly CacheUse[];
};
