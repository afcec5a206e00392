/**
 * Writes image archives: the docker archive as `docker save` of Docker 25 and later makes it (an OCI layout with a manifest.json beside),
 * and the OCI image layout (image-layout.md) as a tar. The same images give the same bytes.
 */
import { closeSync, fsyncSync, openSync, readSync, readdirSync, realpathSync, renameSync, rmSync, statSync, writevSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { asByteString, fromText } from '#ground/base/byte-string.ts';
import { algorithmOf, hexOf, type Digest } from '#ground/base/digest.ts';
import { isAlive, thisProcess } from '#ground/base/process-identity.ts';
import { fullDisk, fullDiskHint, JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { familiarReference, parseReference, printReference } from '#formats/oci/reference.ts';
import { blockSize, noAttributes, type TarEntry } from '#formats/tar/entry.ts';
import { encodeHeader, endOfArchive, paddingOf } from '#formats/tar/write.ts';

/** One file of an archive. */
export type Piece = {
  readonly name: string;
  /** Bytes that `open` gives, exactly. */
  readonly size: number;
  readonly open: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
};

export type ArchivedDocument = { readonly digest: Digest; readonly bytes: Uint8Array };

/** An image to be written. */
export type SavedImage = {
  readonly config: ArchivedDocument;
  readonly manifest: ArchivedDocument & { readonly mediaType: string };
  /** Bottom first, as `manifest` names them. */
  readonly layers: readonly (Descriptor & { readonly diffId: Digest; readonly open: Piece['open'] })[];
  /** Canonical names with tags. */
  readonly names: readonly string[];
  /** Of the entries that name the manifest in `index.json`. */
  readonly annotations?: Readonly<Record<string, string>>;
};

/** An index to be written with all that it names; a docker archive names `main` alone in its manifest.json. */
export type SavedIndex = {
  readonly kind: 'index';
  readonly index: ArchivedDocument & { readonly mediaType: string };
  readonly images: readonly SavedImage[];
  readonly main: SavedImage;
  /** Documents of attestations. */
  readonly blobs: readonly (Pick<Descriptor, 'digest' | 'size'> & { readonly open: Piece['open'] })[];
  readonly names: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
};

export type ArchiveDestination =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stream'; readonly write: (chunk: Uint8Array) => Promise<void> };

const encoder = new TextEncoder();
const readSize = 1 << 20;
const flushSize = 1 << 18;
/** After the file's own name and a dot. */
const draftEnd = /^(\d+)-(\d+)-([0-9a-f]+)-\d+\.tmp$/u;

/** The pieces of an archive for `docker load`. */
export function dockerArchive(saved: readonly (SavedImage | SavedIndex)[]): readonly Piece[] {
  const images = saved.map((one) => ('kind' in one ? { image: one.main, names: one.names } : { image: one, names: one.names }));
  const manifest = images.map(({ image, names }) => ({
    Config: blobName(image.config.digest),
    RepoTags: names.length === 0 ? null : names.map((name) => familiarReference(parseReference(name))),
    Layers: image.layers.map((layer) => blobName(layer.digest)),
    LayerSources: Object.fromEntries(
      image.layers.map((layer) => [layer.diffId, { mediaType: layer.mediaType, size: layer.size, digest: layer.digest }]),
    ),
  }));
  const [first, ...rest] = ociArchive(saved);
  return [...(first ? [first] : []), bytesPiece('manifest.json', jsonBytes(manifest)), ...rest];
}

/** The pieces of an OCI image layout. */
export function ociArchive(saved: readonly (SavedImage | SavedIndex)[]): readonly Piece[] {
  const index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: saved.flatMap(indexEntries) };
  const indexes = saved.filter((one) => 'kind' in one);
  const images = saved.flatMap((one) => ('kind' in one ? one.images : [one]));
  const pieces = [
    bytesPiece('oci-layout', jsonBytes({ imageLayoutVersion: '1.0.0' })),
    bytesPiece('index.json', jsonBytes(index)),
    ...indexes.flatMap((one) => [
      documentPiece(one.index),
      ...one.blobs.map(({ digest, size, open }) => ({ name: blobName(digest), size, open })),
    ]),
    ...images.flatMap((image) => [documentPiece(image.manifest), documentPiece(image.config)]),
    ...images.flatMap((image) => image.layers).map((layer) => ({ name: blobName(layer.digest), size: layer.size, open: layer.open })),
  ];
  return [...new Map(pieces.map((piece) => [piece.name, piece])).values()];
}

function indexEntries(image: SavedImage | SavedIndex): readonly Descriptor[] {
  const { mediaType, digest, bytes } = 'kind' in image ? image.index : image.manifest;
  const descriptor = { mediaType, digest, size: bytes.length };
  const own = image.annotations ?? {};
  if (image.names.length === 0) return [Object.keys(own).length === 0 ? descriptor : { ...descriptor, annotations: own }];
  return image.names.map((name) => {
    const reference = parseReference(name);
    const annotations = {
      ...own,
      'io.containerd.image.name': printReference(reference),
      ...(reference.tag === undefined ? {} : { 'org.opencontainers.image.ref.name': reference.tag }),
    };
    return { ...descriptor, annotations };
  });
}

function documentPiece(document: ArchivedDocument): Piece {
  return bytesPiece(blobName(document.digest), document.bytes);
}

function blobName(digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}

function jsonBytes(value: object): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

export function bytesPiece(name: string, bytes: Uint8Array): Piece {
  return { name, size: bytes.length, open: () => [bytes] };
}

/** The bytes of a file from `offset` on, `size` of them at most, in pieces that hold only until the next one is asked for. */
export function* fileChunks(path: string, offset = 0, size = Number.MAX_SAFE_INTEGER): Generator<Uint8Array, void, undefined> {
  const file = openSync(path, 'r');
  try {
    yield* rangeChunks(file, offset, size);
  } finally {
    closeSync(file);
  }
}

/** The same of an open file. */
export function* rangeChunks(file: number, offset: number, size: number): Generator<Uint8Array, void, undefined> {
  const buffer = new Uint8Array(Math.min(readSize, Math.max(1, size)));
  for (let at = 0; at < size;) {
    const count = readSync(file, buffer, 0, Math.min(buffer.length, size - at), offset + at);
    if (count === 0) return;
    yield buffer.subarray(0, count);
    at += count;
  }
}

/**
 * Writes pieces as a tar. A file appears under its name only when it is complete. Throws `image/bad-destination`, `image/no-space`,
 * `image/cannot-write`, `image/wrong-size` when a piece gives more or fewer bytes than it said.
 */
export async function writeArchive(pieces: readonly Piece[], destination: ArchiveDestination, signal: AbortSignal): Promise<void> {
  if (destination.kind === 'stream') {
    for await (const chunk of tarChunks(pieces, signal)) await destination.write(chunk);
    return;
  }
  await writeDraft(destination.path, async (draft) => await writeFile(draft, tarChunks(pieces, signal)));
}

/**
 * Has `write` make a new file beside the one at `path`, which takes its place when it is complete and on the disk. Throws what `write` throws, `image/bad-destination`,
 * `image/no-space`, `image/cannot-write`; then nothing is left of it.
 */
export async function writeDraft(path: string, write: (draft: string) => Promise<void>): Promise<void> {
  const target = findTarget(path);
  const { pid, start, boot } = thisProcess();
  const draft = `${target}.${pid}-${start}-${boot}-${process.hrtime.bigint()}.tmp`;
  try {
    removeDeadDrafts(target);
    await write(draft);
    syncFile(draft);
    renameSync(draft, target);
    syncFolder(dirname(target));
  } catch (error) {
    // Where the folder of it is a file, or nobody may look into it, there is nothing to remove, and this fails, too.
    if (!['ENOTDIR', 'EACCES'].includes(systemCode(error) ?? '')) rmSync(draft, { force: true });
    throw explainWriting(error, path);
  }
}

/** What processes that were killed while they wrote the same file left beside it. */
function removeDeadDrafts(target: string): void {
  const start = `${basename(target)}.`;
  for (const name of orNothing(() => readdirSync(dirname(target))) ?? []) {
    const [, pid, started, boot] = (name.startsWith(start) && draftEnd.exec(name.slice(start.length))) || [];
    if (pid === undefined || started === undefined || boot === undefined) continue;
    const draft = join(dirname(target), name);
    if (!isAlive({ pid: Number(pid), start: started, boot }, draft)) rmSync(draft, { force: true });
  }
}

function findTarget(path: string): string {
  try {
    return checkedTarget(path);
  } catch (error) {
    throw explainWriting(error, path);
  }
}

/** Follows a link, so that the link stays; refuses devices and folders, which a rename would replace or trip over. */
function checkedTarget(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return path;
  if (found.isFile()) return realpathSync(path);
  throw new JettisonError('image/bad-destination', `"${path}" is not a regular file`, { hint: 'Name a file, or write to standard output' });
}

async function writeFile(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const file = openSync(path, 'wx', 0o666);
  try {
    for await (const chunk of chunks) writeFully(file, chunk);
  } finally {
    closeSync(file);
  }
}

function syncFile(path: string): void {
  const file = openSync(path, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** The name is on the disk, too, when somebody is told that the file is written. */
function syncFolder(path: string): void {
  const folder = orNothing(() => openSync(path, 'r'));
  if (folder === undefined) return;
  try {
    orNothing(() => fsyncSync(folder));
  } finally {
    closeSync(folder);
  }
}

/** Not every folder that files can be written to can be read, and not every file system syncs folders. */
function orNothing<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!['EACCES', 'EINVAL', 'ENOTSUP'].includes(systemCode(error) ?? '')) throw error;
    return undefined;
  }
}

function writeFully(file: number, chunk: Uint8Array): void {
  for (let at = 0; at < chunk.length;) at += writevSync(file, [chunk.subarray(at)]);
}

function explainWriting(error: unknown, path: string): unknown {
  const code = systemCode(error);
  if (code === undefined || error instanceof JettisonError) return error;
  const full = fullDisk(error);
  if (full !== undefined)
    return new JettisonError('image/no-space', `Cannot write "${path}": ${full}`, {
      fault: 'environment',
      cause: error,
      hint: fullDiskHint,
    });
  return new JettisonError('image/cannot-write', `Cannot write "${path}": ${messageOf(error)}`, { fault: 'environment', cause: error });
}

/** The bytes of the archive; each chunk holds until the next one is asked for. */
async function* tarChunks(pieces: readonly Piece[], signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  const small: Uint8Array[] = [];
  let pending = 0;
  const takeSmall = (): Uint8Array => {
    const joined = joinBytes(small.splice(0), pending);
    pending = 0;
    return joined;
  };
  const add = (bytes: Uint8Array): void => {
    small.push(bytes.slice());
    pending += bytes.length;
  };
  for (const folder of foldersOf(pieces)) add(encodeHeader(entryOf(folder, 'folder', 0)));
  for (const piece of pieces) {
    signal.throwIfAborted();
    add(encodeHeader(entryOf(piece.name, 'file', piece.size)));
    let size = 0;
    for await (const chunk of piece.open()) {
      signal.throwIfAborted();
      size += chunk.length;
      if (size > piece.size) throw wrongSize(piece, size);
      if (chunk.length < blockSize * 8) add(chunk);
      if (pending > flushSize || chunk.length >= blockSize * 8) yield takeSmall();
      if (chunk.length >= blockSize * 8) yield chunk;
    }
    if (size !== piece.size) throw wrongSize(piece, size);
    add(new Uint8Array(paddingOf(piece.size)));
  }
  add(endOfArchive());
  yield takeSmall();
}

function foldersOf(pieces: readonly Piece[]): readonly string[] {
  const folders = new Set<string>();
  for (const { name } of pieces) {
    for (let slash = name.indexOf('/'); slash >= 0; slash = name.indexOf('/', slash + 1)) folders.add(name.slice(0, slash));
  }
  return [...folders];
}

function entryOf(name: string, kind: 'file' | 'folder', size: number): TarEntry {
  return {
    name: fromText(name),
    kind,
    mode: kind === 'file' ? 0o644 : 0o755,
    uid: 0,
    gid: 0,
    size,
    mtime: 0n,
    linkName: asByteString(''),
    device: undefined,
    xattrs: noAttributes,
  };
}

function joinBytes(parts: readonly Uint8Array[], length: number): Uint8Array {
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function wrongSize(piece: Piece, size: number): JettisonError {
  return new JettisonError('image/wrong-size', `"${piece.name}" has ${size} bytes where ${piece.size} were announced`, {
    fault: 'environment',
  });
}
