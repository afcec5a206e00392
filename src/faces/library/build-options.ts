/** What a program asks of a build, as plain values. Paths are relative to the current folder that the store was opened with. */

export type BuildOptions = {
  /** A folder, or an address of a Git repository, or of a tar archive or a Dockerfile on the web. */
  readonly context: string;
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
  /** How many steps at once. */
  readonly jobs?: number;
};

/** Left out: no names, and into the store. */
export type BuildTarget = { readonly target: string; readonly tags?: readonly string[]; readonly outputs?: readonly BuildOutput[] };

/** `image`: into the store; `registry`: pushed under its names; `local`: the files as a folder; `tar`: as an archive of them; `oci`, `docker`: an archive of the image; `none`: nowhere. */
export type BuildOutput =
  | { readonly type: 'image' | 'registry' | 'none' }
  | { readonly type: 'local' | 'tar' | 'oci' | 'docker'; readonly dest: string };

export type CacheOrigin = { readonly type: 'registry'; readonly ref: string } | { readonly type: 'local'; readonly src: string };

/** `mode`: `min`, if left out: only what the image is made of; `max`: the results of all steps. `inline`: into the image itself. */
export type CacheDestination =
  | { readonly type: 'registry'; readonly ref: string; readonly mode?: 'min' | 'max' }
  | { readonly type: 'local'; readonly dest: string; readonly mode?: 'min' | 'max' }
  | { readonly type: 'inline' };
