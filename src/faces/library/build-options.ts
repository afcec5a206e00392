/** What a program asks of a build, as plain values. Paths are relative to the current folder that the store was opened with. */

export type BuildOptions = {
  /** A folder, or an address of a Git repository, or of a tar archive or a Dockerfile on the web; or a tar archive (packed or not), or a Dockerfile that needs no context, as bytes that come: a stream of Node is that, too. */
  readonly context: string | AsyncIterable<Uint8Array>;
  /** Path or web address of the Dockerfile; left out: `Dockerfile` in the context. */
  readonly file?: string;
  /** The Dockerfile itself, in the place of `file`. */
  readonly dockerfile?: string;
  /** Names of the image. */
  readonly tags?: readonly string[];
  readonly target?: string;
  /** Several stages of one graph, each an image with its own names and outputs; in the place of `target`, `tags` and `outputs`. */
  readonly targets?: readonly BuildTarget[];
  /** SOURCE_DATE_EPOCH comes from the environment where it is not among them. */
  readonly buildArgs?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** Of the manifest, wherever it is written. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** What is said beside the image: how it came about, and which packages it has; `attestations` of the store reads it. */
  readonly attestations?: BuildAttestations;
  /** `linux/arm64`; left out: this machine's. */
  readonly platforms?: readonly string[];
  /** True, or the stages that run again. */
  readonly noCache?: boolean | readonly string[];
  /** `newer`: the registry is asked, but what is here will do when it does not answer. Left out: `missing`. */
  readonly pull?: 'missing' | 'always' | 'never' | 'newer';
  /** Of RUN. */
  readonly network?: 'default' | 'none' | 'host';
  /** `--add-host`, `name:address`. */
  readonly extraHosts?: readonly string[];
  /** Named contexts: what stands in the place of an image, a stage, or a name after `--from`. */
  readonly contexts?: Readonly<Record<string, { readonly folder: string } | { readonly image: string } | { readonly address: string }>>;
  /** By id: the path of a file, or the value itself. */
  readonly secrets?: Readonly<Record<string, { readonly file: string } | { readonly value: string | Uint8Array }>>;
  /** By id: the socket of an agent, or key files; none of them: the user's own agent. */
  readonly ssh?: Readonly<Record<string, readonly string[]>>;
  /** What its steps may be given beyond the usual. */
  readonly allow?: readonly ('network.host' | 'security.insecure')[];
  /** Left out: the image lands in the store. */
  readonly outputs?: readonly BuildOutput[];
  readonly cacheFrom?: readonly CacheOrigin[];
  readonly cacheTo?: readonly CacheDestination[];
  /** Stages that must succeed, too, before anything is named or written; those that the Dockerfile marks are among them anyway. */
  readonly gates?: readonly string[];
  /** Files of a stage that are written to a folder, whether the build succeeds or fails. */
  readonly reports?: readonly { readonly stage: string; readonly path: string; readonly folder: string }[];
  /** What becomes of an image that would not start: `error` fails the build, `warn` (if left out) tells it as a finding, `off` does not look. */
  readonly check?: 'error' | 'warn' | 'off';
  /** `auto`: the image goes without what later layers of the same build overwrite or delete. */
  readonly fold?: 'auto' | 'off';
  /** `final<=20MB`, `layer<=10MB`, `layers<=12`, `growth<=5%`, `file<=8MB`: an image that is more stays without its name, and the build fails; those of the Dockerfile count, too. */
  readonly budgets?: readonly string[];
  /** Cached steps say once more what they said when they ran: their `output` is among the events. */
  readonly replay?: boolean;
  /** How many steps at once. */
  readonly jobs?: number;
};

/** Left out: no names, and into the store. */
export type BuildTarget = { readonly target: string; readonly tags?: readonly string[]; readonly outputs?: readonly BuildOutput[] };

/** SLSA's provenance (`true`: in full, version 1), and a list of packages as SPDX. */
export type BuildAttestations = {
  readonly provenance?:
    | boolean
    | {
        /** `min`: without the steps, the Dockerfile and the values of arguments. */
        readonly mode?: 'min' | 'max';
        readonly version?: 'v1' | 'v0.2';
        /** A URI. */
        readonly builderId?: string;
        readonly reproducible?: boolean;
      };
  readonly sbom?: boolean;
};

/** Left out: `gzip`, and `uncompressed` in an archive for docker. */
export type LayerCompression = 'gzip' | 'zstd' | 'estargz' | 'uncompressed';

/** `image`: into the store; `registry`: pushed under its names; `local`: the files as a folder; `tar`: as an archive of them; `oci`, `docker`: an archive of the image; `none`: nowhere. Who gives `write` in the place of `dest` gets the archive as it is made, and holds it up by its promise; the bytes are its own only until that settles. */
export type BuildOutput =
  | { readonly type: 'none' }
  | { readonly type: 'image' | 'registry'; readonly compression?: LayerCompression }
  | { readonly type: 'local'; readonly dest: string }
  | ({ readonly type: 'tar' } & Destination)
  | ({ readonly type: 'oci' | 'docker'; readonly compression?: LayerCompression } & Destination);

/** A file, or whoever takes the bytes. */
export type Destination = { readonly dest: string } | { readonly write: (chunk: Uint8Array) => Promise<void> };

/** The cache of GitHub Actions: what is left out comes from the variables that a job has (ACTIONS_RESULTS_URL, ACTIONS_RUNTIME_TOKEN ...). */
export type ActionsCache = {
  readonly type: 'gha';
  /** What tells the caches of a repository apart; `buildkit` if left out. */
  readonly scope?: string;
  readonly url?: string;
  readonly token?: string;
  /** Of the protocol. */
  readonly version?: 1 | 2;
  /** Milliseconds for one request with all its tries. */
  readonly timeout?: number;
};

/** A bucket: what is left out comes from AWS's variables (AWS_BUCKET, AWS_REGION, AWS_ACCESS_KEY_ID ...). */
export type S3Cache = {
  readonly type: 's3';
  readonly bucket?: string;
  readonly region?: string;
  /** Of the cache; `buildkit` if left out. */
  readonly name?: string;
  /** Before all keys. */
  readonly prefix?: string;
  /** Of a service other than Amazon's. */
  readonly endpoint?: string;
  readonly usePathStyle?: boolean;
  readonly credentials?: { readonly keyId: string; readonly secretKey: string; readonly sessionToken?: string };
};

export type CacheOrigin =
  | { readonly type: 'registry'; readonly ref: string }
  | { readonly type: 'local'; readonly src: string }
  | ActionsCache
  | S3Cache;

/** `mode`: `min`, if left out: only what the image is made of; `max`: the results of all steps. `inline`: into the image itself. */
export type CacheDestination =
  | ({ readonly type: 'registry'; readonly ref: string } & CacheMode)
  | ({ readonly type: 'local'; readonly dest: string } & CacheMode)
  | (ActionsCache & CacheMode)
  | (S3Cache & CacheMode)
  | { readonly type: 'inline' };

export type CacheMode = { readonly mode?: 'min' | 'max' };
