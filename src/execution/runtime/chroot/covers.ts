/**
 * What a mount would do, done by renames: while a step runs, another file or folder stands at a path of its root; afterwards what stood there stands there again, with
 * the times of the folders around it, so that no layer shows a trace. Nothing runs in the root while this is at work.
 */
import { fstatSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { asByteString, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { removeTree } from '#ground/linux/remove-tree.ts';
import { openRoot, type OpenFile, type Root } from '#ground/linux/rooted-path.ts';
import { AT_FDCWD, changeTimeAt, closeFile, openAt, openFlags, renameAt, resolveFlags, tryOpenAt } from '#ground/linux/syscall.ts';

export type Cover = {
  /** Absolute path in the root, without links on the way. */
  readonly target: string;
  /** Absolute path of what is to stand there; it comes back to it afterwards. */
  readonly source: string;
};

export type Covering = {
  /**
   * Puts everything back, latest first; a cover that the process has removed is gone. Throws `runtime/mount-moved` where it has put a cover elsewhere, or moved or removed a folder around it:
   * then part of it may be left in the root.
   */
  uncover(): void;
};

/** `away` is an empty folder, on the same file system as the root, for what stood at the targets. Throws `runtime/other-file-system`. */
export function coverTargets(rootfs: string, covers: readonly Cover[], away: string): Covering {
  const root = openRoot(rootfs);
  const placed: Placed[] = [];
  const undo = (): void => {
    const failures: unknown[] = [];
    for (let last = placed.pop(); last !== undefined; last = placed.pop()) {
      try {
        takeBack(root, last);
      } catch (error) {
        failures.push(error);
      }
    }
    root[Symbol.dispose]();
    // The first tells what the others follow from.
    for (const failure of failures) throw failure;
  };
  try {
    for (const [index, cover] of covers.entries()) placed.push(put(root, cover, `${away}/${index}`));
  } catch (error) {
    undo();
    throw error;
  }
  return { uncover: undo };
}

type Placed = {
  readonly cover: Cover;
  /** Where that is which stood at the target; undefined for nothing. */
  readonly hidden: string | undefined;
  /** The cover itself, however it is called now. */
  readonly file: number;
  readonly links: bigint;
};

function put(root: Root, cover: Cover, hidden: string): Placed {
  const { source, target } = cover;
  using parent = root.openFolder(parentOf(target), () => ({ mode: 0o755, uid: 0, gid: 0 }));
  const time = fstatSync(parent.file, { bigint: true }).mtimeNs;
  const stood = inodeAt(parent, nameOf(target)) !== undefined;
  const file = openAt(AT_FDCWD, fromText(source), { flags: openFlags.path | openFlags.noFollow, resolve: 0 });
  try {
    const { nlink: links } = fstatSync(file, { bigint: true });
    if (stood) move(parent.file, nameOf(target), AT_FDCWD, fromText(hidden));
    try {
      move(AT_FDCWD, fromText(source), parent.file, nameOf(target));
    } catch (error) {
      if (stood) move(AT_FDCWD, fromText(hidden), parent.file, nameOf(target));
      throw error;
    } finally {
      changeTimeAt(parent.file, asByteString('.'), time);
    }
    return { cover, hidden: stood ? hidden : undefined, file, links };
  } catch (error) {
    closeFile(file);
    throw error;
  }
}

/** Whatever stands at the target now, is gone with this: a process may have replaced the cover, which a mount would not have let it. */
function takeBack(root: Root, { cover, hidden, file, links }: Placed): void {
  const { source, target } = cover;
  try {
    using parent = openParent(root, target);
    const time = fstatSync(parent.file, { bigint: true }).mtimeNs;
    const { ino, nlink } = fstatSync(file, { bigint: true });
    const stands = inodeAt(parent, nameOf(target));
    if (stands === ino) move(parent.file, nameOf(target), AT_FDCWD, fromText(source));
    else if (stands !== undefined) {
      const replaced = `${source}.replaced`;
      move(parent.file, nameOf(target), AT_FDCWD, fromText(replaced));
      removeTree(replaced);
    }
    if (hidden !== undefined) move(AT_FDCWD, fromText(hidden), parent.file, nameOf(target));
    changeTimeAt(parent.file, asByteString('.'), time);
    if (stands === ino ? isFile(file) && nlink > links : nlink > 0n) throw moved(target);
  } finally {
    closeFile(file);
  }
}

function isFile(file: number): boolean {
  return !fstatSync(file).isDirectory();
}

function openParent(root: Root, target: string): OpenFile {
  try {
    return root.openFolder(parentOf(target));
  } catch (error) {
    if (error instanceof JettisonError) throw moved(target, error);
    throw error;
  }
}

function moved(target: string, cause?: unknown): JettisonError {
  return new JettisonError(
    'runtime/mount-moved',
    `The process has moved or linked "${target}", which stood there for its time only, or moved or removed a folder around it`,
    {
      hint: 'Without mounts it cannot be kept from that. Copy what is needed from there instead',
      cause,
    },
  );
}

function move(from: number, fromName: ByteString, to: number, toName: ByteString): void {
  try {
    renameAt(from, fromName, to, toName);
  } catch (error) {
    if (systemCode(error) !== 'EXDEV') throw error;
    throw new JettisonError(
      'runtime/other-file-system',
      `Cannot move "${toText(fromName)}" to "${toText(toName)}": they are on different file systems`,
      {
        fault: 'environment',
        hint: 'Without mounts all of the store has to be on one file system, and what lies in it may not come from the image of this container: use a new folder for JETTISON_STORE',
        cause: error,
      },
    );
  }
}

function inodeAt(folder: OpenFile, name: ByteString): bigint | undefined {
  const found = tryOpenAt(folder.file, name, { flags: openFlags.path | openFlags.noFollow, resolve: resolveFlags.beneath });
  if (found === undefined) return undefined;
  try {
    return fstatSync(found, { bigint: true }).ino;
  } finally {
    closeFile(found);
  }
}

function parentOf(target: string): ByteString {
  return fromText(dirname(target).slice(1));
}

function nameOf(target: string): ByteString {
  return fromText(basename(target));
}
