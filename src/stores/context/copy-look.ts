/**
 * What a whole copy looks like without a file of it being read: as long as nothing in it was changed, a look gives the same fingerprint, and so the digest that the copy had
 * then (`copy-memory.ts`). Made from rows of numbers, because for 100,000 files an object for each would cost more than all system calls.
 */
import { constants } from 'node:fs';
import { asByteString, type ByteString } from '#ground/base/byte-string.ts';
import { createDigester, digestOf, type Digest } from '#ground/base/digest.ts';
import type { PatternState } from '#ground/base/patterns.ts';
import { putTime, statField, statLength } from '#ground/linux/stat-rows.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import type { FolderLook, LocalContext } from './local.ts';
import { createNewestTimes } from './newest.ts';
import { relativeTo, type Contents, type Selection } from './select.ts';

export type CopyLook = {
  /**
   * Stands for everything that a digest of the copy depends on: names, kinds, modes, owners, where links lead, and of files what tells that they are the same, unchanged.
   * Folders that are left out count, too, where something in them might not be: where fingerprints differ, the copies may still be the same.
   */
  readonly fingerprint: Digest;
  /** How many entries it takes, about. */
  readonly entries: number;
  /** Whatever is written to one of the files after `seenAt` (nanoseconds since the epoch) will show in a later look. */
  isSettled(seenAt: bigint): boolean;
};

/** Looks at what a copy takes from a context. What the context has seen before is not looked at again. Throws what reading folders throws. */
export function lookAtCopy(context: LocalContext, selection: Selection): CopyLook {
  const print = createPrint(context.folder);
  for (const { name, top, listed, contents } of selection.sources) {
    print.entry(name, top);
    for (const { path, entry } of listed) print.entry(path, entry);
    if (contents !== undefined) lookBelow(context, contents, print);
    print.end();
  }
  return print.finish();
}

function lookBelow(context: LocalContext, { folder, base, exclude, state }: Contents, print: Print): void {
  const states = new Map<ByteString, PatternState>([[folder.path, state]]);
  const isPlain = exclude.start.length === 0;
  context.scan(folder.path, (path, look) => {
    const above = states.get(path) ?? exclude.start;
    const folders: number[] = [];
    print.folder(path);
    for (let index = 0; index < look.names.length; index++) {
      const type = (look.rows[index * statLength + statField.mode] ?? 0) & constants.S_IFMT;
      if (type === 0) continue;
      const isFolder = type === constants.S_IFDIR;
      if (!isPlain) {
        const below = join(path, look.names[index] ?? '');
        const own = exclude.enter(relativeTo(base, { path: below }), above);
        if (exclude.leavesOut(own) && !(isFolder && exclude.mayKeepBelow(relativeTo(base, { path: below })))) continue;
        if (isFolder) states.set(below, own);
      }
      print.row(path, look, index);
      if (isFolder) folders.push(index);
    }
    return folders;
  });
}

type Print = {
  /** An entry by itself. */
  entry(name: ByteString, entry: TreeEntry): void;
  /** The rows that follow lie in this folder. */
  folder(path: ByteString): void;
  row(path: ByteString, look: FolderLook, index: number): void;
  /** Of one source. */
  end(): void;
  finish(): CopyLook;
};

/** What a row is that belongs to no entry of a folder. */
const marks = { entry: -1, folder: -2, end: -3 } as const;

/** Rows and characters that are hashed at once. */
const [rowsAtOnce, textAtOnce] = [2048, 64 * 1024];

/**
 * Two streams are hashed: texts, each with a NUL behind it, and rows of numbers. A mark, or the type in a row, says how many texts belong to it: no two looks read
 * the same.
 */
function createPrint(contextFolder: ByteString): Print {
  const [texts, numbers] = [createDigester(), createDigester()];
  const block = new Float64Array(rowsAtOnce * statLength);
  const bytes = new Uint8Array(block.buffer);
  const newest = createNewestTimes();
  let text = '';
  let [used, entries] = [0, 0];

  const addText = (more: string): void => {
    text += `${more}\0`;
    if (text.length < textAtOnce) return;
    texts.update(text);
    text = '';
  };
  const nextRow = (): number => {
    if (used === rowsAtOnce) {
      numbers.update(bytes);
      used = 0;
    }
    const at = used++ * statLength;
    block.fill(0, at, at + statLength);
    return at;
  };
  const mark = (kind: number): void => {
    block[nextRow()] = kind;
  };
  return {
    entry(name, entry) {
      mark(marks.entry);
      for (const field of [name, entry.path, numbersOf(entry), entry.target ?? '']) addText(field);
      entries++;
      if (entry.kind === 'file') newest.add(timesOf(entry), 0, () => entry.hostPath);
    },
    folder(path) {
      mark(marks.folder);
      addText(path);
    },
    row(path, { names, rows, targets }, index) {
      const name = names[index] ?? '';
      const from = index * statLength;
      const to = nextRow();
      const type = (rows[from + statField.mode] ?? 0) & constants.S_IFMT;
      const count = countedFields.get(type) ?? statLength;
      for (let field = 0; field < count; field++) block[to + field] = rows[from + field] ?? 0;
      addText(name);
      entries++;
      if (type === constants.S_IFREG) newest.add(rows, from, () => asByteString(`${contextFolder}/${join(path, name)}`));
      else if (type === constants.S_IFLNK) addText(targets.get(index) ?? '');
    },
    end: () => mark(marks.end),
    finish() {
      texts.update(text);
      numbers.update(bytes.subarray(0, used * statLength * block.BYTES_PER_ELEMENT));
      return { fingerprint: digestOf(`${texts.finish()} ${numbers.finish()}`), entries, isSettled: (seenAt) => newest.isSettled(seenAt) };
    },
  };
}

/** Mode and owner come first in a row. For these types nothing else counts: what lies in a folder is told by itself, and where a link leads, too. */
const ownerFields = statField.gid + 1;
const countedFields: ReadonlyMap<number, number> = new Map(
  [constants.S_IFDIR, constants.S_IFLNK, constants.S_IFIFO, constants.S_IFSOCK].map((type) => [type, ownerFields]),
);

function numbersOf(entry: TreeEntry): string {
  const { kind, mode, uid, gid, links, inode, size, fileSystem, mtime, ctime, device } = entry;
  const rest = kind === 'file' ? [links, inode, size, fileSystem, mtime, ctime] : [device?.major, device?.minor];
  return [kind, mode, uid, gid, ...rest].join(' ');
}

/** As a row that holds nothing else. */
function timesOf({ fileSystem = 0n, mtime, ctime = 0n }: TreeEntry): Float64Array {
  const row = new Float64Array(statLength);
  row[statField.fileSystem] = Number(fileSystem);
  putTime(row, statField.mtime, mtime);
  putTime(row, statField.ctime, ctime);
  return row;
}

function join(folder: ByteString, name: string): ByteString {
  return asByteString(folder === '' ? name : `${folder}/${name}`);
}
