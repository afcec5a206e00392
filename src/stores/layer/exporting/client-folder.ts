/**
 * A folder of the client that files are put into. It may hold anything, and others may write to it meanwhile: each folder on the way is opened below the one
 * before it, links are never followed, and an entry appears under its name when it is complete.
 */
import { randomBytes } from 'node:crypto';
import { fchmodSync, fchownSync, fstatSync, writeFileSync } from 'node:fs';
import { asByteString, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { makeFolders } from '#ground/base/make-folders.ts';
import { setAttributeOf } from '#ground/linux/attributes.ts';
import { copyFileInto } from '#ground/linux/copy-file.ts';
import {
  AT_FDCWD,
  changeModeAt,
  changeOwnerAt,
  changeTimeAt,
  changeTimeOf,
  closeFile,
  fileTypes,
  linkAt,
  makeFolderAt,
  makeNodeAt,
  makeSymlinkAt,
  openAt,
  openFlags,
  removeFolderAt,
  renameAt,
  resolveFlags,
  unlinkAt,
} from '#ground/linux/syscall.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { belongsToLayer } from '../attributes.ts';

/** What an entry is to be like; without `owner` (uid, gid) it is that of whoever fills the folder. */
export type Look = {
  readonly mode: number;
  readonly mtime: bigint;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  readonly owner?: readonly [number, number];
};

const nodeTypes = { fifo: fileTypes.fifo, 'character-device': fileTypes.character, 'block-device': fileTypes.block } as const;

export type Node = { readonly kind: keyof typeof nodeTypes; readonly device: TreeEntry['device'] };

/** What is there under a name is replaced, but for a folder with something in it. */
export type ClientFolder = Disposable & {
  /** From the folder that was opened first. */
  pathOf(name: ByteString): ByteString;
  /** The folder under this name, made where there is none. */
  enter(name: ByteString): ClientFolder;
  /** Of the folder itself, when all is in it. */
  dress(look: Look): void;
  /** Gives the file's bytes. */
  copy(name: ByteString, entry: TreeEntry, look: Look): number;
  /** A file with these bytes. */
  write(name: ByteString, bytes: Uint8Array, look: Look): void;
  makeLink(name: ByteString, target: ByteString, look: Look): void;
  /** Throws `layer/device-refused`. */
  makeNode(name: ByteString, node: Node, look: Look): void;
  /** A second name of what was put at `first`; false where no link can be made. */
  link(name: ByteString, first: ByteString): boolean;
};

const beneath = resolveFlags.beneath | resolveFlags.noSymlinks | resolveFlags.noMagicLinks;
const itself = asByteString('.');

type Place = { readonly root: number; readonly file: number; readonly path: ByteString; readonly draft: ByteString };

/** `path` is absolute; a link at its end leads to the folder. Throws `layer/not-a-folder` and system errors, and in its methods `layer/folder-in-the-way`. */
export function openClientFolder(path: string): ClientFolder {
  const root = makeAndOpen(path);
  const draft = asByteString(`.jettison-${randomBytes(6).toString('hex')}.tmp`);
  return folderAt({ root, file: root, path: asByteString(''), draft }, isSetgid(root));
}

function makeAndOpen(path: string): number {
  try {
    makeFolders(path);
    return openAt(AT_FDCWD, fromText(path), { flags: openFlags.directory, resolve: 0 });
  } catch (error) {
    if (!['EEXIST', 'ENOTDIR'].includes(systemCode(error) ?? '')) throw error;
    throw new JettisonError('layer/not-a-folder', `"${path}" is to be a folder, and a file is in its way`, {
      hint: 'Name another destination; "type=tar,dest=FILE" writes a file',
    });
  }
}

/** `handsOnGroup`: what is made in it gets its group and not ours. */
function folderAt(place: Place, handsOnGroup: boolean): ClientFolder {
  const { root, file, draft } = place;
  const pathOf = (name: ByteString): ByteString => asByteString(place.path === '' ? name : `${place.path}/${name}`);
  const put = <T>(name: ByteString, make: () => T): T => {
    try {
      const made = make();
      rename(place, name, pathOf);
      return made;
    } catch (error) {
      ignoring(['ENOENT'], () => unlinkAt(file, draft));
      throw error;
    }
  };
  const ownerOf = ({ owner }: Look): readonly [number, number] | undefined => owner ?? (handsOnGroup ? ownIds() : undefined);
  const dressDraft = (look: Look, isLink: boolean): void => {
    const owner = ownerOf(look);
    if (owner !== undefined) giving(owner, () => changeOwnerAt(file, draft, ...owner));
    if (!isLink) changeModeAt(file, draft, look.mode);
    changeTimeAt(file, draft, look.mtime);
  };
  const dressOpen = (open: number, look: Look): void => {
    const owner = ownerOf(look);
    if (owner !== undefined) giving(owner, () => fchownSync(open, ...owner));
    // After the owner: a change of owner takes the bits of set-user-ID and capabilities away.
    fchmodSync(open, look.mode);
    setAttributes(open, look.xattrs);
    changeTimeOf(open, look.mtime);
  };
  return {
    pathOf,
    enter(name) {
      const { file: inner, isNew } = openOrMake(file, name);
      return folderAt({ ...place, file: inner, path: pathOf(name) }, isNew ? handsOnGroup : isSetgid(inner));
    },
    dress: (look) => dressOpen(file, look),
    copy: (name, { hostPath, size }, look) =>
      put(name, () => copyFileInto({ from: hostPath, folder: file, name: draft, size, dress: (open) => dressOpen(open, look) })),
    write: (name, bytes, look) =>
      put(name, () => {
        const flags = openFlags.writeOnly | openFlags.create | openFlags.exclusive | openFlags.noFollow;
        const open = openAt(file, draft, { flags, mode: 0o600, resolve: 0 });
        try {
          writeFileSync(open, bytes);
          dressOpen(open, look);
        } finally {
          closeFile(open);
        }
      }),
    makeLink: (name, target, look) =>
      put(name, () => {
        makeSymlinkAt(target, file, draft);
        dressDraft(look, true);
      }),
    makeNode: (name, { kind, device }, look) =>
      put(name, () => {
        try {
          makeNodeAt(file, draft, { type: nodeTypes[kind], mode: 0o600, ...device });
        } catch (error) {
          throw systemCode(error) === 'EPERM' ? deviceRefused(pathOf(name)) : error;
        }
        dressDraft(look, false);
      }),
    link(name, first) {
      try {
        put(name, () => linkFrom(root, first, { to: file, name: draft }));
        // A rename between two names of one file does nothing.
        ignoring(['ENOENT'], () => unlinkAt(file, draft));
        return true;
      } catch (error) {
        if (!['EMLINK', 'EXDEV', 'EPERM', 'ENOENT', 'EOPNOTSUPP', 'ENOTSUP'].includes(systemCode(error) ?? '')) throw error;
        return false;
      }
    },
    [Symbol.dispose]: () => closeFile(file),
  };
}

function rename({ file, draft }: Place, name: ByteString, pathOf: (name: ByteString) => ByteString): void {
  try {
    renameAt(file, draft, file, name);
  } catch (error) {
    if (!['EISDIR', 'ENOTEMPTY', 'EEXIST'].includes(systemCode(error) ?? '')) throw error;
    try {
      removeFolderAt(file, name);
    } catch (failure) {
      throw ['ENOTEMPTY', 'EEXIST'].includes(systemCode(failure) ?? '') ? folderInTheWay(pathOf(name)) : failure;
    }
    renameAt(file, draft, file, name);
  }
}

function openOrMake(at: number, name: ByteString): { readonly file: number; readonly isNew: boolean } {
  const open = (): number => openAt(at, name, { flags: openFlags.directory | openFlags.noFollow, resolve: beneath });
  const make = (): boolean => ignoring(['EEXIST'], () => makeFolderAt(at, name, 0o700));
  if (make()) return { file: open(), isNew: true };
  try {
    return { file: open(), isNew: false };
  } catch (error) {
    if (!['ENOTDIR', 'ELOOP'].includes(systemCode(error) ?? '')) throw error;
    unlinkAt(at, name);
    make();
    return { file: open(), isNew: true };
  }
}

function linkFrom(root: number, path: ByteString, { to, name }: { readonly to: number; readonly name: ByteString }): void {
  const slash = path.lastIndexOf('/');
  const folder = openAt(root, slash < 0 ? itself : path.slice(0, slash), { flags: openFlags.directory, resolve: beneath });
  try {
    linkAt(folder, asByteString(path.slice(slash + 1)), to, name);
  } finally {
    closeFile(folder);
  }
}

/** What the file system or the kernel does not take stays away, as BuildKit has it. */
function setAttributes(file: number, xattrs: ReadonlyMap<string, Uint8Array>): void {
  for (const [name, value] of xattrs) {
    if (belongsToLayer(name)) ignoring(['EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'EINVAL'], () => setAttributeOf(file, name, value));
  }
}

function isSetgid(folder: number): boolean {
  return (fstatSync(folder).mode & 0o2000) !== 0;
}

function ownIds(): readonly [number, number] {
  return [process.geteuid?.() ?? 0, process.getegid?.() ?? 0];
}

/** Throws `layer/owner-refused` where this user cannot give files to `owner`. */
function giving([uid, gid]: readonly [number, number], change: () => void): void {
  if (!ignoring(['EPERM', 'EINVAL'], change))
    throw new JettisonError('layer/owner-refused', `This user cannot give files to ${uid}:${gid}, whose they are in the image`, {
      fault: 'environment',
      hint: 'Let them be your own: --no-same-owner',
    });
}

/** False where it failed with one of these errors. */
function ignoring(codes: readonly string[], work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (!codes.includes(systemCode(error) ?? '')) throw error;
    return false;
  }
}

function deviceRefused(path: ByteString): JettisonError {
  return new JettisonError('layer/device-refused', `The device "/${toText(path)}" cannot be made in a folder by this user`, {
    fault: 'environment',
    hint: 'Write a tar, which takes it: "-o type=tar,dest=FILE"',
  });
}

function folderInTheWay(path: ByteString): JettisonError {
  return new JettisonError(
    'layer/folder-in-the-way',
    `"${toText(path)}" is a folder with files in it, and a file of the result is to take its place`,
    {
      hint: 'Move the folder away, or name another one as the destination',
    },
  );
}
