/** What a vertex does: a closed union, so that a new kind is a compile error wherever it is not handled. Every field is hashed into the vertex. */
import type { Digest } from '#ground/base/digest.ts';

export type Op = SourceImageOp | SourceLocalOp | SourceHttpOp | SourceGitOp | ExecOp | FileOp | MergeOp;

/** The files of an image, pinned to one manifest. No inputs. */
export type SourceImageOp = {
  readonly kind: 'source-image';
  /** Canonical name without tag: `docker.io/library/busybox`. */
  readonly name: string;
  /** Manifest of one platform (never an index). */
  readonly manifest: Digest;
};

/** A folder of the client: the build context or a named one, ignore patterns applied. No inputs. */
export type SourceLocalOp = { readonly kind: 'source-local'; readonly name: string };

/** A tree that holds one file from the web as `/name`: mode 600, root's, modified when the server says. No inputs. */
export type SourceHttpOp = { readonly kind: 'source-http'; readonly url: string; readonly name: string; readonly checksum: Digest | null };

/** The files of one commit of a Git repository, root's, modes 644 and 755. No inputs. */
export type SourceGitOp = {
  readonly kind: 'source-git';
  /** As git takes it: `https://host/r.git`, `git@host:r.git`; may hold a user and a password. */
  readonly remote: string;
  /** A branch, a tag, a name that begins with `refs/`, or a whole commit hash; '' for the default branch. */
  readonly ref: string;
  /** Relative and clean; '' for all of the repository. */
  readonly subfolder: string;
  /** In lower case: how the hash of the commit, or of the annotated tag, must begin; '' for any. */
  readonly checksum: string;
  /** `.git` stays, unless there is a subfolder. */
  readonly keepGitFolder: boolean;
  readonly submodules: boolean;
  /** When files were modified: at the time of the commit, or when they were written here. */
  readonly times: 'commit' | 'checkout';
};

/** One process in a container over input 0; absent inputs mean an empty root. */
export type ExecOp = {
  readonly kind: 'exec';
  /** Index into the vertex's inputs of the root file system; null for `scratch`. */
  readonly root: number | null;
  readonly arguments: readonly string[];
  /** `NAME=value`, in order; what the process sees. */
  readonly environment: readonly string[];
  /** Absolute path inside the root; made when missing. */
  readonly workingDirectory: string;
  /** As written after USER: `''`, `name`, `uid`, `name:group`. */
  readonly user: string;
  readonly network: 'default' | 'none' | 'host';
  readonly security: 'sandbox' | 'insecure';
  readonly mounts: readonly Mount[];
  /** Lines for /etc/hosts, `name:address`. */
  readonly extraHosts: readonly string[];
  readonly hostname: string;
  /** Size of /dev/shm in bytes; null for Docker's default of 64 MiB. */
  readonly shmSize: number | null;
  /** By Docker's names, sorted; -1: without a limit. Left out when there are none. */
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  /** The cgroup to stand in; left out for the usual one. */
  readonly cgroupParent?: string;
};

export type Mount =
  | { readonly kind: 'bind'; readonly input: number | null; readonly source: string; readonly target: string; readonly readOnly: boolean }
  | {
      readonly kind: 'cache';
      readonly id: string;
      readonly input: number | null;
      readonly source: string;
      readonly target: string;
      readonly sharing: 'shared' | 'private' | 'locked';
      readonly readOnly: boolean;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    }
  /** `size` in bytes; `readOnly` is absent where it is not asked for. */
  | { readonly kind: 'tmpfs'; readonly target: string; readonly size: number | null; readonly readOnly?: true }
  | {
      readonly kind: 'secret';
      readonly id: string;
      /** null: only as the variable. */
      readonly target: string | null;
      readonly variable: string | null;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      readonly required: boolean;
    }
  | {
      readonly kind: 'ssh';
      readonly id: string;
      readonly target: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
      readonly required: boolean;
    };

/** Changes to files of input `base`, in order; all of them make one layer. */
export type FileOp = {
  readonly kind: 'file';
  /** Index into the vertex's inputs; null for `scratch`. */
  readonly base: number | null;
  readonly actions: readonly FileAction[];
};

/**
 * The layers of all inputs over each other, input 0 at the bottom; two inputs at least. Those above it are FileOps over nothing: such a layer stands
 * alone, so it is the same over every base. Where two have the same path, the upper one counts; folders of both are one, as the upper one has it.
 */
export type MergeOp = { readonly kind: 'merge' };

export type FileAction = CopyAction | MakeFolderAction | WriteFileAction;

/** Who will own what is made: a spec as written (`user`, `user:group`, ids or names of the base's /etc/passwd); null keeps BuildKit's default for the action. */
export type Owner = string | null;

export type CopyAction = {
  readonly kind: 'copy';
  /** Index into the vertex's inputs of the tree to copy from; null for an empty one. */
  readonly input: number | null;
  /** Cleaned absolute paths inside that tree (`/src/*.c`); wildcards as Go's filepath.Match where `wildcards`. With `parents`, `/./` stays: what is kept begins there. */
  readonly sources: readonly string[];
  readonly wildcards: boolean;
  /** Absolute path inside the base. */
  readonly destination: string;
  /** The destination was written with a trailing slash or is `.`: it is a folder. */
  readonly destinationIsFolder: boolean;
  /** null: root for what comes from a folder of the client, as in the source for what comes from a stage or image. Folders made on the way are root's. */
  readonly owner: Owner;
  /** Octal mode as a number, a symbolic mode (`u+x,go-w`) as text, null to keep. */
  readonly mode: number | string | null;
  /** ADD: local tar archives are unpacked. */
  readonly unpack: boolean;
  readonly exclude: readonly string[];
  /** Sources keep their folders below the destination; a source may hold one `/./`, then those behind it. */
  readonly parents: boolean;
  /** What the copied programs need of their tree and the base lacks comes along. Left out when it does not. */
  readonly libs?: CopyLibs;
};

/** How whatever is copied is started, as far as the image says so where it is copied. */
export type CopyLibs = {
  /** `NAME=value`, of the variables by which programs and libraries are found. */
  readonly environment: readonly string[];
  readonly workingDirectory: string;
};

/** WORKDIR: makes the folder and missing parents; an existing folder is left as it is. */
export type MakeFolderAction = { readonly kind: 'make-folder'; readonly path: string; readonly mode: number; readonly owner: Owner };

/** A here-document as COPY source. */
export type WriteFileAction = {
  readonly kind: 'write-file';
  readonly path: string;
  /** The file's name where `path` is a folder. */
  readonly name: string;
  readonly destinationIsFolder: boolean;
  /** UTF-8 text. */
  readonly text: string;
  readonly mode: number | string | null;
  readonly owner: Owner;
};
