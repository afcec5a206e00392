/** Files of one tree with what was read of them: each program and library is read once, however many others need it. */
import { asByteString, fromBytes, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { readElf, type ElfFault, type ElfFile } from '#formats/elf/read.ts';
import type { PayloadEntry, PayloadFiles } from './files.ts';

export type Look = PayloadFiles & {
  readonly elf: (entry: PayloadEntry) => ElfFile | ElfFault;
  /** At most 256 bytes: what the kernel looks at to know what it is. */
  readonly head: (entry: PayloadEntry) => ByteString;
  /** undefined for what is no file or too long. */
  readonly text: (path: ByteString) => string | undefined;
  /** Folders that a loader knows by itself; undefined where it is no loader of glibc. */
  readonly loaderFolders: (entry: PayloadEntry) => readonly ByteString[];
  /** Does a name stand in a file by itself, between NULs, as C has it? True where the file is too long to look. */
  readonly mayName: (entry: PayloadEntry, name: ByteString) => boolean;
  /** Files that /etc/ld.so.cache names, by their names. */
  readonly cached: () => ReadonlyMap<ByteString, readonly ByteString[]>;
};

/** What is left of the work that one check may be, whatever its files say; shared by all its trees. */
export type Effort = { left: number };

/** A quarter of a million paths that are looked for: thousands of programs with their libraries. */
export const mostEffort = 4_000_000;
const efforts = { known: 1, path: 16, elf: 256, name: 32, search: 2048 } as const;
/** So many bytes of a text are as much work as something that is known. */
const textShare = 16;

/** Bytes of what is read as a text, of a loader or another program, and of the loader's cache. */
const longestText = 1 << 20;
const longestLoader = 8 << 20;
const longestCache = 16 << 20;
const headLength = 256;

/** What it gives throws `payload/too-much` when the effort is used up. */
export function lookAt(
  files: PayloadFiles,
  readCache: (bytes: Uint8Array) => ReadonlyMap<ByteString, readonly ByteString[]>,
  effort: Effort,
): Look {
  const elves = new Map<ByteString, { readonly value: ElfFile | ElfFault }>();
  const heads = new Map<ByteString, { readonly value: ByteString }>();
  const found = new Map<ByteString, { readonly value: PayloadEntry | undefined }>();
  const loaders = new Map<ByteString, { readonly value: readonly ByteString[] }>();
  const programs = new Map<ByteString, { readonly value: ByteString | undefined }>();
  let cache: ReadonlyMap<ByteString, readonly ByteString[]> | undefined;
  const find = (path: ByteString): PayloadEntry | undefined => {
    spend(effort, efforts.known);
    return remembered(found, path, () => (spend(effort, efforts.path), files.find(path)));
  };
  const elf = (entry: PayloadEntry): ElfFile | ElfFault => {
    const read = files.use(entry, readElf);
    spend(effort, efforts.elf + efforts.name * namesIn(read));
    return read;
  };
  const whole = (entry: PayloadEntry, limit: number): Uint8Array | undefined =>
    entry.kind === 'file' && entry.size <= limit ? files.use(entry, (bytes) => bytes.read(0, entry.size)) : undefined;
  return {
    find,
    use: (entry, read) => files.use(entry, read),
    elf: (entry) => remembered(elves, entry.path, () => elf(entry)),
    head: (entry) => remembered(heads, entry.path, () => fromBytes(files.use(entry, (bytes) => bytes.read(0, headLength)))),
    text: (path) => {
      const entry = find(path);
      const bytes = entry && whole(entry, longestText);
      spend(effort, Math.ceil((bytes?.length ?? 0) / textShare));
      return bytes && new TextDecoder().decode(bytes);
    },
    loaderFolders: (entry) => remembered(loaders, entry.path, () => foldersIn(fromBytes(whole(entry, longestLoader) ?? new Uint8Array(0)))),
    mayName: (entry, name) => {
      const bytes = remembered(programs, entry.path, () => {
        const read = whole(entry, longestLoader);
        return read && fromBytes(read);
      });
      spend(effort, efforts.search);
      return bytes === undefined || bytes.includes(`\0${name}\0`);
    },
    cached: () => (cache ??= readWholeCache()),
  };

  function readWholeCache(): ReadonlyMap<ByteString, readonly ByteString[]> {
    const entry = find(asByteString('/etc/ld.so.cache'));
    const bytes = entry && whole(entry, longestCache);
    return bytes === undefined ? new Map<ByteString, readonly ByteString[]>() : readCache(bytes);
  }
}

/** glibc's loader is compiled with its folders, one after the other, each ending in a slash and a NUL (elf/dl-load.c, `system_dirs`). */
function foldersIn(loader: string): readonly ByteString[] {
  const texts = loader.matchAll(/\0(?<folder>\/(?:[\u0021-\u007e]*\/)?lib(?:32|64|x32)?(?:\/[a-z0-9_]+-linux-[a-z0-9]+)?\/)(?=\0)/gu);
  return [...new Set([...texts].flatMap(({ groups }) => groups?.['folder'] ?? []))].map((folder) => asByteString(folder.slice(0, -1)));
}

function spend(effort: Effort, much: number): void {
  effort.left -= much;
  if (effort.left < 0) throw new JettisonError('payload/too-much', 'The check of the image is more work than it may be');
}

function namesIn(elf: ElfFile | ElfFault): number {
  if ('fault' in elf) return 0;
  return elf.versionsNeeded.reduce((sum, { versions }) => sum + versions.length, elf.needed.length + (elf.versionsDefined?.size ?? 0));
}

function remembered<K, V>(known: Map<K, { readonly value: V }>, key: K, make: () => V): V {
  const before = known.get(key);
  if (before !== undefined) return before.value;
  const value = make();
  known.set(key, { value });
  return value;
}
