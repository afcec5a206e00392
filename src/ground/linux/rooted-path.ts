/**
 * Paths inside a root that somebody else may have filled: the kernel resolves them beneath an open folder (openat2(2)), so no link in there
 * leads out, however it is changed meanwhile. Strings are never joined to reach into a root.
 */
import { fstatSync, readFileSync } from 'node:fs';
import { asByteString, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { setOwnerAt } from './owner.ts';
import { AT_FDCWD, changeModeAt, closeFile, makeFolderAt, openAt, openFlags, resolveFlags } from './syscall.ts';

/** An open file or folder; closed when disposed. */
export type OpenFile = Disposable & { readonly file: number };

const refusals: ReadonlyMap<string, (path: string, cause: unknown) => JettisonError> = new Map([
  [
    'ELOOP',
    (path, cause) => new JettisonError('linux/link-on-the-way', `A symbolic link is in the way to the folder "${path}"`, { cause }),
  ],
  [
    'ENOTDIR',
    (path, cause) => new JettisonError('linux/not-a-folder', `"${path}" is, or lies below, something that is not a folder`, { cause }),
  ],
  ['EXDEV', (path, cause) => new JettisonError('linux/leaves-root', `"${path}" leads out of its root`, { cause })],
]);

export type FolderLook = { readonly mode: number; readonly uid: number; readonly gid: number };

export type Root = OpenFile & {
  /**
   * The folder `path` ('' is the root), reached through real folders only. With `create`, missing ones are made, each as `create` says for its
   * path. Throws `linux/link-on-the-way`, `linux/not-a-folder`, `linux/leaves-root`, and `linux/not-found` without `create`.
   */
  openFolder(path: ByteString, create?: (path: ByteString) => FolderLook): OpenFile;
  /** Opens what `path` leads to with all links followed inside the root (absolute ones and `..` too), read-only unless `flags` say more. Throws system errors. */
  openFollowing(path: ByteString, flags?: number): OpenFile;
};

/** Opens `path` (absolute, trusted) as a root. */
export function openRoot(path: string): Root {
  const root = openAt(AT_FDCWD, fromText(path), { flags: openFlags.path | openFlags.directory, resolve: 0 });
  return {
    ...closing(root),
    openFolder: (inner, create) => openFolder(root, inner, create),
    openFollowing: (inner, flags = openFlags.readOnly) =>
      closing(openAt(root, inner === '' ? '.' : inner, { flags, resolve: resolveFlags.inRoot | resolveFlags.noMagicLinks })),
  };
}

const absent = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'ENXIO', 'ENAMETOOLONG', 'EXDEV'];

/** `openFollowing` for what may not be there: undefined where it is not, or may not be opened. `path`: with a leading slash or without. */
export function openIfThere(root: Root, path: ByteString, flags: number): OpenFile | undefined {
  try {
    return root.openFollowing(asByteString(path.replace(/^\/+/u, '')), flags);
  } catch (error) {
    if (absent.includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}

/** The text of what `path` leads to; undefined where there is no such file, it is none that can be read to its end, or has more bytes than `limit`. */
export function readTextIn(root: Root, path: ByteString, limit: number): string | undefined {
  using file = openIfThere(root, path, openFlags.readOnly | openFlags.nonBlocking);
  if (file === undefined) return undefined;
  const stats = fstatSync(file.file);
  return stats.isFile() && stats.size <= limit ? readFileSync(file.file, 'utf8') : undefined;
}

function closing(file: number): OpenFile {
  let open = true;
  return {
    file,
    [Symbol.dispose]() {
      if (open) closeFile(file);
      open = false;
    },
  };
}

function openFolder(root: number, path: ByteString, create: ((path: ByteString) => FolderLook) | undefined): OpenFile {
  if (path.split('/').includes('..'))
    throw new JettisonError('linux/leaves-root', `".." may not be in "${toText(path)}"`, { fault: 'bug' });
  const found = tryOpenFolder(root, path, path);
  if (found) return found;
  if (!create) throw folderNotFound(path);
  return createFolders(root, path, create);
}

/** Opens name by name; what is missing is made. Somebody else making the same folder at the same time is no error. */
function createFolders(root: number, path: ByteString, create: (path: ByteString) => FolderLook): OpenFile {
  const names = path.split('/').filter((name) => name !== '');
  let folder = openOne(root, asByteString('.'));
  for (const [index, name] of names.entries()) {
    using parent = folder;
    const here = asByteString(names.slice(0, index + 1).join('/'));
    folder =
      tryOpenFolder(parent.file, asByteString(name), here) ??
      makeFolder(parent.file, asByteString(name), { path: here, look: create(here) });
  }
  return folder;
}

/** Whoever else may write there can put something in its place at any moment: what is changed is the folder that was opened. */
function makeFolder(parent: number, name: ByteString, made: { readonly path: ByteString; readonly look: FolderLook }): OpenFile {
  const isMade = makeUnlessThere(parent, name, made.path);
  const folder = tryOpenFolder(parent, name, made.path);
  if (!folder) throw folderNotFound(made.path);
  if (!isMade) return folder;
  try {
    setOwnerAt(folder.file, asByteString(''), made.look.uid, made.look.gid);
    changeModeAt(folder.file, asByteString('.'), made.look.mode);
    return folder;
  } catch (error) {
    folder[Symbol.dispose]();
    throw error;
  }
}

function makeUnlessThere(parent: number, name: ByteString, path: ByteString): boolean {
  try {
    makeFolderAt(parent, name, 0o700);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EEXIST') return false;
    // The open folder that it was to be in has been removed.
    throw code === 'ENOENT' ? folderNotFound(path, error) : error;
  }
}

/** `linux/not-found`, for a folder inside a root. */
export function folderNotFound(path: ByteString, cause?: unknown): JettisonError {
  return new JettisonError('linux/not-found', `There is no folder "${toText(path)}"`, cause === undefined ? {} : { cause });
}

function tryOpenFolder(at: number, path: ByteString, shown: ByteString): OpenFile | undefined {
  try {
    return openOne(at, path === '' ? asByteString('.') : path);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') return undefined;
    const explain = refusals.get(code ?? '');
    throw explain ? explain(toText(shown), error) : error;
  }
}

function openOne(at: number, path: ByteString): OpenFile {
  return closing(
    openAt(at, path, {
      flags: openFlags.readOnly | openFlags.directory | openFlags.noFollow,
      resolve: resolveFlags.beneath | resolveFlags.noSymlinks | resolveFlags.noMagicLinks,
    }),
  );
}
