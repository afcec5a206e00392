/** What the faces ask of the engine, as values. One type a use case; the functions stand in the file named after the use case (`build.ts`: `build(engine, request, report, signal)`). */
import type { Digest } from '#ground/base/digest.ts';

export type BuildRequest = {
  /** Folder of the build context. */
  readonly context: string;
  /** Path of the Dockerfile as typed, relative to the current folder; undefined: `Dockerfile` in the context. */
  readonly file: string | undefined;
  readonly tags: readonly string[];
  readonly target: string | undefined;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  readonly platform: string | undefined;
  readonly noCache: boolean;
  readonly pull: boolean;
  readonly network: 'default' | 'none' | 'host';
  readonly extraHosts: readonly string[];
  readonly outputs: readonly OutputRequest[];
  /** How many steps at once; undefined: as many as the machine has cores, at least 4. */
  readonly jobs: number | undefined;
};

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
  readonly steps: { readonly total: number; readonly cached: number };
};

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
