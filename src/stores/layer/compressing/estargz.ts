/**
 * eStargz: a gzip layer that can be read in parts (stargz-snapshotter, docs/estargz.md). The bytes of each file stand in gzip members of their own; behind the archive follows one more,
 * with a table of contents, and a footer that says where that begins. As BuildKit writes it: the tar stays as it is, its end included, and there is no landmark file, which would be
 * one of the image's.
 */
import { crc32, deflateRaw, deflateRawSync } from 'node:zlib';
import { asByteString, toText } from '#ground/base/byte-string.ts';
import { joinBytes, toBase64 } from '#ground/base/bytes.ts';
import { createDigester, digestOf, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { noAttributes, type TarEntry, type TarKind } from '#formats/tar/entry.ts';
import { createTarReader } from '#formats/tar/read.ts';
import { encodeHeader, endOfArchive, paddingOf } from '#formats/tar/write.ts';
import { createOrder } from './order.ts';

/** `tocDigest`: of the table of contents; `diffId` and `size` are those of all that comes out of the gzip data, the table included. */
export type EstargzFacts = { readonly tocDigest: Digest; readonly diffId: Digest; readonly size: number };

export type EstargzWriter = {
  /** Takes the next bytes of a tar; they may change when the promise has resolved. Throws `layer/not-for-estargz`, and what reading a tar throws. */
  push(block: Uint8Array): Promise<void>;
  finish(): Promise<EstargzFacts>;
};

export type EstargzOptions = {
  /** How many members at once. */
  readonly width: number;
  readonly sink: (pieces: readonly Uint8Array[]) => void;
  /** gzip 1 to 9. */
  readonly level: number;
};

/** Longer files are cut into chunks of this length, as stargz-snapshotter does. */
export const estargzChunk = 4 << 20;
const tocName = asByteString('stargz.index.json');
/** Bytes of a member of headers alone: it is held in memory. */
const longestMember = 64 << 20;
/** Shorter ones take less time than it takes to hand them to a thread. */
const smallMember = 32 << 10;

const types: Readonly<Record<TarKind, string>> = {
  file: 'reg',
  folder: 'dir',
  symlink: 'symlink',
  'hard-link': 'hardlink',
  fifo: 'fifo',
  'character-device': 'char',
  'block-device': 'block',
};

type TocEntry = Record<string, string | number | Readonly<Record<string, string>>>;

/** A file's entry waits for the digest of all of it, and each chunk for where its member begins. */
type State = {
  /** What the member at hand has. */
  pieces: Uint8Array[];
  /** Members that are complete and not handed on. */
  readonly closed: (readonly Uint8Array[])[];
  members: number;
  readonly entries: TocEntry[];
  /** Entries whose `offset` is where a member begins, by its number. */
  readonly begins: { readonly entry: TocEntry; readonly member: number }[];
  file: OpenFile | undefined;
};

type OpenFile = {
  readonly entry: TarEntry;
  readonly first: TocEntry;
  readonly whole: ReturnType<typeof createDigester>;
  chunk: { readonly entry: TocEntry; readonly digester: ReturnType<typeof createDigester>; left: number } | undefined;
  seen: number;
};

export function createEstargz({ width, sink, level }: EstargzOptions): EstargzWriter {
  const state: State = { pieces: [], closed: [], members: 0, entries: [], begins: [], file: undefined };
  const offsets: number[] = [];
  let written = 0;
  let size = 0;
  const all = createDigester();
  const order = createOrder(width, (pieces) => {
    offsets.push(written);
    for (const piece of pieces) written += piece.length;
    sink(pieces);
  });
  const flush = async (): Promise<void> => {
    for (const pieces of state.closed.splice(0)) await order.add(async () => await gzipMember(pieces, level));
  };
  let block: Uint8Array = new Uint8Array(0);
  let copied = 0;
  let pending = 0;
  /** Bytes of the block up to `end` belong to the member at hand. */
  const copyTo = (end: number): void => {
    if (end > copied) state.pieces.push(block.slice(copied, end));
    copied = Math.max(copied, end);
  };
  const reader = createTarReader(
    {
      entry: (entry) => beginEntry(state, entry),
      data(bytes, offset) {
        const start = bytes.byteOffset - block.byteOffset;
        takeData(state, { bytes, offset }, (at) => copyTo(start + at));
      },
      entryEnd: () => endFile(state),
    },
    { endMarker: 'optional' },
  );
  const take = (bytes: Uint8Array): void => {
    size += bytes.length;
    all.update(bytes);
  };
  return {
    async push(next) {
      take(next);
      [block, copied] = [next, 0];
      reader.push(next);
      copyTo(next.length);
      if (state.file === undefined && (pending += next.length) > longestMember) closeMember(state);
      if (state.closed.length > 0) pending = 0;
      await flush();
    },
    async finish() {
      reader.finish();
      closeMember(state);
      await flush();
      await order.finish();
      for (const { entry, member } of state.begins) entry['offset'] = offsets[member] ?? 0;
      const toc = new TextEncoder().encode(JSON.stringify({ version: 1, entries: state.entries.map(inOrder) }, undefined, '\t'));
      const archived = tocArchive(toc);
      const offset = written;
      take(archived);
      await order.add(async () => await gzipMember([archived], level));
      await order.finish();
      sink([footer(offset)]);
      return { tocDigest: digestOf(toc), diffId: all.finish(), size };
    },
  };
}

function beginEntry(state: State, entry: TarEntry): void {
  if (entry.name.replace(/^(?:\.?\/)+/u, '') === tocName) throw notForEstargz(entry, 'its name is that of the table of contents');
  const first = describe(entry);
  state.entries.push(first);
  if (entry.kind !== 'file' || entry.size === 0) return;
  state.file = { entry, first, whole: createDigester(), chunk: undefined, seen: 0 };
}

/** `copyTo`: what stands before this byte of the data goes into the member at hand. */
function takeData(
  state: State,
  { bytes, offset }: { readonly bytes: Uint8Array; readonly offset: number },
  copyTo: (at: number) => void,
): void {
  const { file } = state;
  if (file === undefined) return;
  // What is left out are zeros of a sparse file: the bytes of the archive are not those of the file then.
  if (offset !== file.seen) throw notForEstargz(file.entry, 'it is sparse');
  file.whole.update(bytes);
  for (let at = 0; at < bytes.length;) {
    if (file.chunk === undefined) {
      copyTo(at);
      closeMember(state);
      beginChunk(state, file);
    }
    const { chunk } = file;
    if (chunk === undefined) return;
    const count = Math.min(chunk.left, bytes.length - at);
    chunk.digester.update(bytes.subarray(at, at + count));
    chunk.left -= count;
    file.seen += count;
    at += count;
    if (chunk.left > 0) continue;
    chunk.entry['chunkDigest'] = chunk.digester.finish();
    file.chunk = undefined;
  }
}

function beginChunk(state: State, file: OpenFile): void {
  const left = file.entry.size - file.seen;
  const isLast = left <= estargzChunk;
  const entry: TocEntry = file.seen === 0 ? file.first : { name: file.first['name'] ?? '', type: 'chunk', chunkOffset: file.seen };
  if (!isLast) entry['chunkSize'] = estargzChunk;
  if (file.seen > 0) state.entries.push(entry);
  state.begins.push({ entry, member: state.members });
  file.chunk = { entry, digester: createDigester(), left: isLast ? left : estargzChunk };
}

function endFile(state: State): void {
  const { file } = state;
  if (file === undefined) return;
  if (file.seen !== file.entry.size) throw notForEstargz(file.entry, 'it is sparse');
  file.first['digest'] = file.whole.finish();
  state.file = undefined;
}

function closeMember(state: State): void {
  if (state.pieces.length === 0) return;
  state.closed.push(state.pieces);
  state.members++;
  state.pieces = [];
}

/** As the reader of the format spells it: whole seconds, the path as in the archive, values of attributes in base64. */
function describe(entry: TarEntry): TocEntry {
  const { kind, name, size, mode, uid, gid, linkName, device, xattrs } = entry;
  const seconds = Number(entry.mtime / 1_000_000_000n);
  return {
    name: kind === 'folder' ? `${toText(name)}/` : toText(name),
    type: types[kind],
    ...(size === 0 ? {} : { size }),
    ...(seconds === 0 ? {} : { modtime: new Date(seconds * 1000).toISOString().replace('.000Z', 'Z') }),
    ...(linkName === '' ? {} : { linkName: toText(linkName) }),
    mode,
    uid,
    gid,
    ...(device === undefined ? {} : { devMajor: device.major, devMinor: device.minor }),
    ...(xattrs.size === 0 ? {} : { xattrs: base64Of(xattrs) }),
  };
}

function base64Of(xattrs: TarEntry['xattrs']): Readonly<Record<string, string>> {
  const names = [...xattrs.keys()].toSorted();
  return Object.fromEntries(names.map((name) => [toText(asByteString(name)), toBase64(xattrs.get(name) ?? new Uint8Array())]));
}

const fields = [
  'name',
  'type',
  'size',
  'modtime',
  'linkName',
  'mode',
  'uid',
  'gid',
  'offset',
  'devMajor',
  'devMinor',
  'xattrs',
  'digest',
  'chunkOffset',
  'chunkSize',
  'chunkDigest',
];

function inOrder(entry: TocEntry): TocEntry {
  return Object.fromEntries(fields.flatMap((field) => (entry[field] === undefined ? [] : [[field, entry[field]] as const])));
}

/** The table as the one entry of an archive. */
function tocArchive(toc: Uint8Array): Uint8Array {
  const none = { mode: 0, uid: 0, gid: 0, mtime: 0n, linkName: asByteString(''), device: undefined, xattrs: noAttributes };
  const parts = [
    encodeHeader({ ...none, name: tocName, kind: 'file', size: toc.length }),
    toc,
    new Uint8Array(paddingOf(toc.length)),
    endOfArchive(),
  ];
  return joinBytes(parts);
}

const memberHeader = new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);

/** One gzip member (RFC 1952). */
async function gzipMember(pieces: readonly Uint8Array[], level: number): Promise<readonly Uint8Array[]> {
  const [only, second] = pieces;
  const bytes = only !== undefined && second === undefined ? only : joinBytes(pieces);
  const end = new DataView(new ArrayBuffer(8));
  end.setUint32(0, crc32(bytes), true);
  end.setUint32(4, bytes.length, true);
  return [memberHeader, await deflated(bytes, level), new Uint8Array(end.buffer)];
}

async function deflated(bytes: Uint8Array, level: number): Promise<Uint8Array> {
  const options = { level, memLevel: 9 };
  if (bytes.length <= smallMember) return deflateRawSync(bytes, options);
  const done = Promise.withResolvers<Uint8Array>();
  deflateRaw(bytes, { ...options, chunkSize: bytes.length + 65_536 }, (error, packed) =>
    error ? done.reject(error) : done.resolve(packed),
  );
  return await done.promise;
}

/** 51 bytes: an empty member whose extra field `SG` says where the table's member begins. */
function footer(offset: number): Uint8Array {
  const extra = new TextEncoder().encode(`${offset.toString(16).padStart(16, '0')}STARGZ`);
  const head = new Uint8Array([...memberHeader.with(3, 4), 26, 0, 0x53, 0x47, 22, 0]);
  return joinBytes([head, extra, new Uint8Array([1, 0, 0, 0xff, 0xff]), new Uint8Array(8)]);
}

function notForEstargz({ name }: TarEntry, why: string): JettisonError {
  return new JettisonError('layer/not-for-estargz', `"/${toText(name)}" cannot be part of an eStargz layer: ${why}`, {
    hint: 'Use "gzip" or "zstd"',
  });
}
