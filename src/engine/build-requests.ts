/** What the faces ask of the engine about builds, as values, and what comes of it; `*-requests.ts` beside this file: the same of other things. The functions stand in the file named after the use case. */
import type { ResourceLimits } from '#execution/worker/contract.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { Outline } from '#languages/dockerfile/outline.ts';
import type { Target } from '#languages/dockerfile/targets.ts';
import type { Diagnostic } from '#languages/frontend/diagnostics.ts';
import type { Why } from '#execution/builds/past-build.ts';
import type { CacheSource, CacheTarget } from './cache-requests.ts';

export type { Diagnostic } from '#languages/frontend/diagnostics.ts';
export type { ResourceLimits } from '#execution/worker/contract.ts';

/** By Docker's names; -1: without a limit. */
export type Ulimit = { readonly name: string; readonly soft: number; readonly hard: number };

/**
 * `missing`: what is not here; `always`: the registry is asked each time; `newer`: it is asked, but what is here will do when it does not
 * answer; `never`: what is not here is an error.
 */
export type PullPolicy = 'missing' | 'always' | 'never' | 'newer';

/** For the manifest or the index of several, or for what names these in an index or an archive. `platform`: only for an image of this one. */
export type AnnotationRequest = {
  readonly place: 'manifest' | 'manifest-descriptor' | 'index' | 'index-descriptor';
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
  /** As typed; none: this machine's. */
  readonly platforms: readonly string[];
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
  /** `--allow-secret-in-image`: ids of secrets whose values layers and config may hold. */
  readonly allowedSecrets: readonly string[];
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
  /** As the builder before BuildKit: its history, and an image for each step. */
  readonly isClassic?: boolean;
  /** How many steps at once; undefined: as many as the machine has cores, at least 4. */
  readonly jobs: number | undefined;
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
  /** The images that were made, one for each platform; `imageId` is that of this machine's, else of the first. */
  readonly images: readonly { readonly platform: string; readonly imageId: Digest }[];
  readonly tags: readonly string[];
  /** Milliseconds since the epoch: what the image says of itself. */
  readonly created: number;
  /** The manifest in the first archive that was written; the index where it was built for several platforms. */
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

/** `text` is what was looked at, under the name `file`; findings come in the order of its lines. */
export type CheckOutcome = { readonly file: string; readonly text: string; readonly findings: readonly Diagnostic[] };

export type OutlineResult = { readonly text: string; readonly outline: Outline };

export type TargetList = { readonly file: string; readonly text: string; readonly targets: readonly Target[] };
