/** What the faces ask of the engine about builds, as values, and what comes of it; `*-requests.ts` beside this file: the same of other things. The functions stand in the file named after the use case. */
import type { LayerFormat, ResourceLimits } from '#execution/worker/contract.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { ProvenanceMode, ProvenanceVersion } from '#formats/provenance/predicate.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { Outline } from '#languages/dockerfile/outline.ts';
import type { Target } from '#languages/dockerfile/targets.ts';
import type { Diagnostic } from '#languages/frontend/diagnostics.ts';
import type { Admit } from '#languages/frontend/admit.ts';
import type { FailedStep } from '#execution/builds/failed-step.ts';
import type { Why } from '#execution/builds/past-build.ts';
import type { HiddenReport } from './fold-requests.ts';
import type { Ledger } from './ledger-requests.ts';
import type { CheckMode, PayloadCheck } from './payload-requests.ts';
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

/** What is said about an image, beside it. */
export type AttestationsRequest = {
  readonly provenance: ProvenanceRequest | undefined;
  /** Which packages it has. */
  readonly sbom: boolean;
};

export type ProvenanceRequest = {
  readonly mode: ProvenanceMode;
  readonly version: ProvenanceVersion;
  /** A URI, or ''. */
  readonly builderId: string;
  readonly isReproducible: boolean;
  /** Only beside images, not among files. */
  readonly isInlineOnly: boolean;
  /** Of the file beside those of `type=local` and `type=tar`. */
  readonly fileName: string;
};

export type BuildRequest = {
  readonly context: ContextSource;
  /** The Dockerfile itself, when it came on standard input. */
  readonly text: string | undefined;
  /** Path of the Dockerfile as typed, relative to the current folder, or its address on the web; undefined: `Dockerfile` in the context. */
  readonly file: string | undefined;
  readonly tags: readonly string[];
  readonly target: string | undefined;
  /** Several stages of one graph, each an image with its own names and outputs (`tags` and `outputs` are those of all, `target` is undefined); left out for one. */
  readonly targets?: readonly TargetRequest[];
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
  /** How long a cache may take to say what it has, in milliseconds, where it has no limit of its own; undefined: as long as is worth it. */
  readonly cachePatience?: number;
  /** `--cache-to`. */
  readonly cacheTo: readonly CacheTarget[];
  readonly annotations: readonly AnnotationRequest[];
  /** Which sources may be used, and what stands for others; left out where all may. */
  readonly admit?: Admit;
  /** `--attest`; left out for nothing. */
  readonly attestations?: AttestationsRequest;
  /** How much of its provenance the outcome tells; left out for nothing. */
  readonly told?: ProvenanceMode;
  /** Of the manifest, wherever it is written. */
  readonly format: 'oci' | 'docker';
  /** As the builder before BuildKit: its history, and an image for each step. */
  readonly isClassic?: boolean;
  /** Cached steps say once more what they said when they ran. */
  readonly replays?: boolean;
  /** `--gate`: stages that must succeed, too, before anything is delivered; those that the Dockerfile marks are among them, unless `none` is named. */
  readonly gates?: readonly string[];
  /** `--report`. */
  readonly reports?: readonly ReportRequest[];
  /** Another command in the place of the RUN that begins on this line of the Dockerfile; `source`: the digest that its text has to have. */
  readonly edit?: { readonly line: number; readonly command: string; readonly source: string };
  /** How it was typed: the words behind `build`, and where; undefined where nobody typed it. So a build that failed can be asked for again. */
  readonly asked?: { readonly words: readonly string[]; readonly folder: string };
  /** What becomes of an image that would not start; left out for `off`. */
  readonly check?: CheckMode;
  /** `--fold`: whether the image goes without what its later layers hide; left out: as environment and configuration say. */
  readonly fold?: 'auto' | 'off';
  /** Somebody reads what a build says of what is hidden. */
  readonly tellsHidden?: boolean;
  /** `--budget`: limits as they were typed; those of the Dockerfile count, too. */
  readonly budgets?: readonly string[];
  /** How many steps at once; undefined: as many as the machine has cores, at least 4. */
  readonly jobs: number | undefined;
};

/** One of several stages that become images. */
export type TargetRequest = { readonly target: string; readonly tags: readonly string[]; readonly outputs: readonly OutputRequest[] };

/** `path` of a stage, a folder's content or one file, goes to `folder`, an absolute path of this machine. */
export type ReportRequest = { readonly stage: string; readonly path: string; readonly folder: string };

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

/** An absolute path. */
export type OutputDestination =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'stream'; readonly write: (chunk: Uint8Array) => Promise<void> };

/** How manifest and layers of an image are made for one output. */
export type ImageForm = {
  /** undefined: as the kind of output has it. */
  readonly compression: LayerFormat | undefined;
  readonly level: number | undefined;
  /** Layers that came from elsewhere are made anew where they are compressed in another way. */
  readonly isForced: boolean;
  /** undefined: as `--format` says. */
  readonly mediaTypes: 'oci' | 'docker' | undefined;
  /** Files in layers of this build are never younger than SOURCE_DATE_EPOCH. */
  readonly clampsTimes: boolean;
  /** Beside those of the request. */
  readonly annotations: readonly AnnotationRequest[];
};

/**
 * `-o`. Without any output, and with one that says so (`image`, `isStored`), the image lands in the store. With others it does only when it has a tag (`-t`); a name
 * of an output goes where the output goes. `source`: path in the result, links followed: the content of a folder, or one file. `isSplit`: each platform has a folder of
 * its own; so it is for several when nothing is said.
 */
export type OutputRequest =
  | {
      readonly kind: 'local';
      readonly destination: Extract<OutputDestination, { kind: 'folder' }>;
      readonly source: string;
      readonly isSplit: boolean | undefined;
    }
  | {
      readonly kind: 'tar';
      readonly destination: Exclude<OutputDestination, { kind: 'folder' }>;
      readonly source: string;
      readonly isSplit: boolean | undefined;
    }
  | (ImageOutput & { readonly kind: 'oci' | 'docker'; readonly destination: OutputDestination })
  | (ImageOutput & {
      readonly kind: 'image';
      readonly isStored: boolean;
      readonly isPushed: boolean;
      /** Pushed without a tag; names have none either. */
      readonly byDigest: boolean;
      /** Names are also kept as `name@digest`, and this one instead of a name that is not given. */
      readonly isCanonical: boolean;
      readonly danglingPrefix: string | undefined;
    })
  | { readonly kind: 'none' };

/** `names`: of this output, as typed; those of the build where it has none. */
export type ImageOutput = { readonly names: readonly string[] | undefined; readonly form: ImageForm };

export type BuildOutcome = {
  /** undefined where only files were wanted. */
  readonly image: BuiltImage | undefined;
  /** Names of it in the store and in registries, in full. */
  readonly names: readonly string[];
  readonly steps: { readonly total: number; readonly cached: number };
  /** By platform, in SLSA's words; none where it was not asked for. */
  readonly provenance: readonly { readonly platform: string; readonly predicate: Json }[];
  /** Of images that are new in the store, where they were looked at. */
  readonly payloads: readonly PayloadCheck[];
  /** What came of each target where there were several; the rest is then that of the first, with the names, the payloads and what is hidden of all. Left out for one. */
  readonly targets?: readonly TargetOutcome[];
  /** Of images that are new in the store: what their later layers hide. */
  readonly hidden: readonly HiddenReport[];
  /** Stages of the Dockerfile that had no part in this build, in its order. */
  readonly unbuilt: readonly UnbuiltStage[];
  /** Of images that are new in the store, where they were weighed. */
  readonly ledgers: readonly Ledger[];
} & BuildEnd;

/** `stage`: its name, or its number; `reason`: why nobody asked for it; `runs`: it has a RUN. */
export type UnbuiltStage = {
  readonly stage: string;
  readonly file: string;
  readonly line: number;
  readonly runs: boolean;
  readonly reason: string;
};

export type TargetOutcome = { readonly target: string } & Pick<BuildOutcome, 'image' | 'names' | 'provenance'>;

export type BuiltImage = {
  /** Digest of the image config, as `docker images` shows it. */
  readonly id: Digest;
  /** The images that were made, one for each platform; `id` is that of this machine's, else of the first. */
  readonly all: readonly { readonly platform: string; readonly id: Digest }[];
  /** Milliseconds since the epoch: what the image says of itself. */
  readonly created: number;
  /** It is in the store. */
  readonly isKept: boolean;
  /** The first manifest that was made of it, the index where it was built for several platforms; undefined where it is only in the store. */
  readonly manifest: Descriptor | undefined;
};

/** What is kept of a build, however it ended. */
export type BuildEnd = {
  /** Id of the build, for `jettison builds`, `why`. */
  readonly id: string;
  readonly timing: BuildTiming;
  /** Why steps ran again; undefined when none did, or when nothing like this was built before. */
  readonly why: Why | undefined;
  /** Steps that it would have come to, had none failed; in the order of the graph. */
  readonly unreached?: readonly UnreachedStep[];
  /** The step that failed it, where its state is kept. */
  readonly failed?: FailedStep | undefined;
};

export type UnreachedStep = { readonly text: string; readonly stage: string | null; readonly line: number | null };

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
  /** Stages that would have no part in it. */
  readonly unbuilt: readonly UnbuiltStage[];
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
