/** The state of a tree on disk, file by file, so that what was changed since can be found without comparing bytes. */
import { asByteString, type ByteString } from '#ground/base/byte-string.ts';
import { nodeFolderReader } from '#ground/linux/folder-reader.ts';
import { birthTime } from '#ground/linux/look.ts';
import { openNativeFolderReader } from '#ground/linux/native-folder-reader.ts';
import { statField, statLength, timeAt } from '#ground/linux/stat-rows.ts';
import { AT_FDCWD, closeFile, openAt, openFlags } from '#ground/linux/syscall.ts';

/** What was seen of one folder. Rows are those of `stat-rows.ts`. */
export type FolderRecord = {
  /** Row of the folder itself. */
  own: Float64Array;
  /** When it was made, nanoseconds since the epoch: a folder that was removed and made again may have the same inode. 0 where the file system does not say. */
  born: bigint;
  /** In byte order. */
  names: readonly ByteString[];
  /** One for each name. */
  rows: Float64Array;
  /** Folders in it. */
  readonly folders: Map<ByteString, FolderRecord>;
};

const itself = [asByteString('.')];
const typeBits = 0o170000;
const folderType = 0o040000;
const characterDevice = 0o020000;
const reader = openNativeFolderReader() ?? nodeFolderReader;

/** Host path of an entry below `root`. */
export function hostPathOf(root: ByteString, path: ByteString): ByteString {
  return path === '' ? root : asByteString(`${root}/${path}`);
}

/** One folder as it is now; nothing in `folders` yet. `hostPath` must be a real folder, and the way to it trusted. */
export function readFolder(hostPath: ByteString): FolderRecord {
  const file = openAt(AT_FDCWD, hostPath, { flags: openFlags.directory | openFlags.noFollow, resolve: 0 });
  try {
    const names = reader.names(file);
    return { own: reader.stats(file, itself), born: birthTime(file), names, rows: reader.stats(file, names), folders: new Map() };
  } finally {
    closeFile(file);
  }
}

/** The whole tree as it is now; gives way after each folder. */
export function* recordTree(root: ByteString): Generator<void, FolderRecord, void> {
  const top = readFolder(root);
  const waiting: [ByteString, FolderRecord][] = [[asByteString(''), top]];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [path, folder] = next;
    for (const [index, name] of folder.names.entries()) {
      if (!isFolderRow(folder.rows, index)) continue;
      const inner = joinPath(path, name);
      const record = readFolder(hostPathOf(root, inner));
      folder.folders.set(name, record);
      waiting.push([inner, record]);
    }
    yield;
  }
  return top;
}

/** The newest change time of all. */
export function newestChange(record: FolderRecord): bigint {
  let newest = timeAt(record.own, statField.ctime);
  for (let at = statField.ctime; at < record.rows.length; at += statLength) {
    const time = timeAt(record.rows, at);
    if (time > newest) newest = time;
  }
  for (const folder of record.folders.values()) {
    const time = newestChange(folder);
    if (time > newest) newest = time;
  }
  return newest;
}

/** Reads one folder anew; what is known of the folders in it stays. */
export function renewFolder(record: FolderRecord, hostPath: ByteString): void {
  const { own, born, names, rows } = readFolder(hostPath);
  record.own = own;
  record.born = born;
  record.names = names;
  record.rows = rows;
}

/** The record of a folder in the tree; undefined where there is none. */
export function recordAt(top: FolderRecord, path: ByteString): FolderRecord | undefined {
  let found: FolderRecord | undefined = top;
  for (const name of path === '' ? [] : path.split('/')) found = found?.folders.get(asByteString(name));
  return found;
}

export function isFolderRow(rows: Float64Array, index: number): boolean {
  return (fieldOf(rows, index, 'mode') & typeBits) === folderType;
}

/** Overlayfs's mark for what is deleted: a character device 0:0. */
export function isWhiteoutRow(rows: Float64Array, index: number): boolean {
  return (fieldOf(rows, index, 'mode') & typeBits) === characterDevice && fieldOf(rows, index, 'device') === 0;
}

export function fieldOf(rows: Float64Array, index: number, name: keyof typeof statField): number {
  return rows[index * statLength + statField[name]] ?? 0;
}

/** Are all these fields (all: when left out) the same in two rows? */
export function sameRow(
  [one, index]: readonly [Float64Array, number],
  [other, otherIndex]: readonly [Float64Array, number],
  fields: readonly number[] = allFields,
): boolean {
  return fields.every((field) => one[index * statLength + field] === other[otherIndex * statLength + field]);
}

const allFields = Object.values(statField);

export function joinPath(folder: ByteString, name: ByteString): ByteString {
  return folder === '' ? name : asByteString(`${folder}/${name}`);
}

export function parentOf(path: ByteString): ByteString {
  return asByteString(path.slice(0, Math.max(path.lastIndexOf('/'), 0)));
}

export function nameOf(path: ByteString): ByteString {
  return asByteString(path.slice(path.lastIndexOf('/') + 1));
}
