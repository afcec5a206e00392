/** A frontend turns a source text into a graph. It is pure: facts from outside come through `Outside`. */
import type { Digest } from '#ground/base/digest.ts';
import type { Span } from '#ground/base/span.ts';
import type { ExecOp } from '#formats/graph/op.ts';
import type { Edge } from '#formats/graph/vertex.ts';
import type { ImageConfig } from '#formats/oci/image-config.ts';
import type { Platform } from '#formats/oci/platform.ts';
import type { Diagnostic } from './diagnostics.ts';
import type { NamedContext } from './named-context.ts';
import type { Admit } from './admit.ts';

export type FrontendOptions = {
  /** Name of the source text for messages and spans: `Dockerfile`. */
  readonly file: string;
  /** Stage name or number; undefined for the last stage. */
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  readonly platform: Platform;
  /** The build is for other platforms, too: labels say which one a step belongs to. */
  readonly isOneOfSeveral?: boolean;
  readonly buildPlatform: Platform;
  readonly noCache: boolean;
  /** Stages whose steps must run again. */
  readonly noCacheStages: readonly string[];
  readonly network: 'default' | 'none' | 'host';
  /** What steps may have beyond the usual, by BuildKit's names of entitlements: `network.host`, `security.insecure`; left out for nothing. */
  readonly allow?: readonly string[];
  readonly extraHosts: readonly string[];
  /** Size of /dev/shm in bytes; null or left out for Docker's default. */
  readonly shmSize?: number | null;
  /** Of RUN; sorted by name. */
  readonly ulimits?: ExecOp['ulimits'];
  readonly cgroupParent?: string;
  /** Lines of the ignore file of the build context, for warnings only; undefined for none. */
  readonly ignorePatterns?: readonly string[];
  /** By their names in the form of `contextName`. One takes the place of an image, and of a stage of its name. */
  readonly contexts?: ReadonlyMap<string, NamedContext>;
  /** What a source policy makes of files from the web and repositories (images are asked for by `Outside`, which knows it); left out where there is none. */
  readonly admit?: Admit;
  /** The history in the words of the builder before BuildKit, and an image for each step (`FrontendResult.steps`); left out for BuildKit's history. */
  readonly isClassic?: boolean;
};

/** A base image as the frontend needs it. */
export type ResolvedImage = {
  /** Canonical name without tag. */
  readonly name: string;
  /** What people see of it: `docker.io/library/busybox:latest`, with the digest where a registry gave one. */
  readonly shown: string;
  /** Manifest for the asked platform. */
  readonly manifest: Digest;
  readonly config: ImageConfig;
  /** Digest of its config document. */
  readonly imageId?: Digest;
};

export type Outside = {
  /** Looks an image up: in the local store, else in its registry. Throws with code `registry/...` or `image/...`. */
  resolveImage(reference: string, platform: Platform, signal: AbortSignal): Promise<ResolvedImage>;
};

export type FrontendResult = {
  /** undefined: an image without files (`FROM scratch` alone). */
  readonly goal: Edge | undefined;
  /** Config of the image to make, with history; `rootfs.diff_ids` are those of the base image only (the exporter adds the rest). */
  readonly imageConfig: ImageConfig;
  /** One for each non-empty history entry above the base image's: the vertex that made that layer, bottom first. */
  readonly layers: readonly Digest[];
  /** The base image of the target's own chain, if any. */
  readonly baseImage: ResolvedImage | undefined;
  readonly diagnostics: readonly Diagnostic[];
  /** Sentences for people that are no findings in the text. */
  readonly notes?: readonly string[];
  /** Of what else packages are to be listed, where somebody lists those of the result; sorted by name. */
  readonly scans?: readonly Scan[];
  /** When the image is to say that it was made, milliseconds since the epoch; undefined: when its layers were. */
  readonly epoch?: number | undefined;
  /** Every stage of the text, in its order, and whether the target needs it; left out by a language that has none. */
  readonly stages?: readonly StageUse[];
  /** Every instruction that was applied, in the order of the file; only where the options say `isClassic`. */
  readonly steps?: readonly DraftedStep[];
};

/** A stage as one target sees it. */
export type StageUse = {
  readonly index: number;
  /** In lower case; undefined for a stage without a name, which is called by its number. */
  readonly name: string | undefined;
  /** Its FROM. */
  readonly at: Span;
  readonly isNeeded: boolean;
  /** The text marks it as one that must succeed before what is built gets its name. */
  readonly isGate: boolean;
  /** It has a RUN. */
  readonly runs: boolean;
};

/** A stage beside the result, or the build context. */
export type Scan = {
  /** Of the stage, else `context`. */
  readonly name: string;
  /** Its files; undefined for none. */
  readonly goal: Edge | undefined;
};

/** One instruction, for faces that show the steps in the order of the file, and for the image that there is after it. */
export type DraftedStep = {
  readonly line?: number;
  /** As it was written, on one line; where it begins: for a trigger, the FROM that set it off. */
  readonly text: string;
  /** `global`: ARG above the first FROM; `run`: a process, or a folder that a container made; `settings`: only the config. */
  readonly kind: 'global' | 'from' | 'run' | 'copy' | 'settings';
  /** A trigger of the base image, which belongs to the FROM before it. */
  readonly isTrigger: boolean;
  /** What makes its layer; undefined for none. For FROM the files of its image. */
  readonly vertex: Digest | undefined;
  /** Images whose files it reads; for FROM that is its own. */
  readonly images: readonly Digest[];
  /** undefined for `global`. */
  readonly image: DraftedImage | undefined;
};

/** The image after a step: its config as in `FrontendResult`, its files (undefined for none), how many layers the steps so far have made. */
export type DraftedImage = {
  readonly stage: number;
  readonly config: ImageConfig;
  readonly files: Digest | undefined;
  readonly layers: number;
  readonly baseImage: ResolvedImage | undefined;
};

export type Frontend = (source: string, options: FrontendOptions, outside: Outside, signal: AbortSignal) => Promise<FrontendResult>;
