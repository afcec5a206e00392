/** Files of one tree with what was read of them: each program and library is read once, however many others need it. */
import { asByteString, fromBytes, type ByteString } from '#ground/base/byte-string.ts';
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
  /** Files that /etc/ld.so.cache names, by their names. */
  readonly cached: () => ReadonlyMap<ByteString, readonly ByteString[]>;
};

/** Bytes of what is read as a text, of a loader, and of its cache. */
const longestText = 1 << 20;
const longestLoader = 8 << 20;
const longestCache = 16 << 20;
const headLength = 256;

export function lookAt(files: PayloadFiles, readCache: (bytes: Uint8Array) => ReadonlyMap<ByteString, readonly ByteString[]>): Look {
  const elves = new Map<ByteString, { readonly value: ElfFile | ElfFault }>();
  const heads = new Map<ByteString, { readonly value: ByteString }>();
  const found = new Map<ByteString, { readonly value: PayloadEntry | undefined }>();
  const loaders = new Map<ByteString, { readonly value: readonly ByteString[] }>();
  let cache: ReadonlyMap<ByteString, readonly ByteString[]> | undefined;
  const find = (path: ByteString): PayloadEntry | undefined => remembered(found, path, () => files.find(path));
  const whole = (entry: PayloadEntry, limit: number): Uint8Array | undefined =>
    entry.kind === 'file' && entry.size <= limit ? files.use(entry, (bytes) => bytes.read(0, entry.size)) : undefined;
  return {
    find,
    use: (entry, read) => files.use(entry, read),
    elf: (entry) => remembered(elves, entry.path, () => files.use(entry, readElf)),
    head: (entry) => remembered(heads, entry.path, () => fromBytes(files.use(entry, (bytes) => bytes.read(0, headLength)))),
    text: (path) => {
      const entry = find(path);
      const bytes = entry && whole(entry, longestText);
      return bytes && new TextDecoder().decode(bytes);
    },
    loaderFolders: (entry) => remembered(loaders, entry.path, () => foldersIn(fromBytes(whole(entry, longestLoader) ?? new Uint8Array(0)))),
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

function remembered<K, V>(known: Map<K, { readonly value: V }>, key: K, make: () => V): V {
  const before = known.get(key);
  if (before !== undefined) return before.value;
  const value = make();
  known.set(key, { value });
  return value;
}
