import { closeSync, constants, openSync, readSync } from 'node:fs';
import { fromText, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { encodeHeader, endOfArchive, paddingOf } from '#formats/tar/write.ts';
import { layerItems } from './layer-items.ts';

const tarBlockLength = 1 << 20;

/** Bytes of a tar on their way into blocks. `next`: the buffer for those after `bytes`. */
export type Output = { bytes: Uint8Array; used: number; readonly next: () => Uint8Array };

/** Always the same buffer: a block holds until the next one is asked for. */
export function sameBuffer(length = tarBlockLength): () => Uint8Array {
  const bytes = new Uint8Array(length);
  return () => bytes;
}

/** Begins with the first buffer of `next`. */
export function startOutput(next: () => Uint8Array): Output {
  return { bytes: next(), used: 0, next };
}

/** `below` as for `layerItems`; no entry is younger than `latest`, nanoseconds since the epoch. */
export type TarSource = { readonly folder: string; readonly below?: readonly string[]; readonly latest?: bigint };

/**
 * A snapshot's own folder as a layer tar (OCI image spec, layer.md), block by block: the same folder gives the same bytes. Headers and files
 * are put together in the buffers that `next` gives (of whole blocks of 512 bytes); a block is such a buffer, only the last one the beginning of it. At the end it gives the bytes of all files, each inode once. Throws `layer/file-changed` when a file's size is not what it was.
 */
export function* layerTar({ folder, below, latest }: TarSource, next = sameBuffer()): Generator<Uint8Array, number, void> {
  const output = startOutput(next);
  let fileBytes = 0;
  for (const { entry, content } of layerItems(fromText(folder), below)) {
    yield* put(output, encodeHeader(latest !== undefined && entry.mtime > latest ? { ...entry, mtime: latest } : entry));
    if (content === undefined) continue;
    yield* putContent(output, content, entry.size);
    fileBytes += entry.size;
  }
  yield* putEnd(output);
  return fileBytes;
}

/** The two blocks that end an archive, and what is left. */
export function* putEnd(output: Output): Generator<Uint8Array, void, void> {
  yield* put(output, endOfArchive());
  if (output.used > 0) yield output.bytes.subarray(0, output.used);
}

/** Yields each block that is full. */
export function* put(output: Output, bytes: Uint8Array): Generator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length;) {
    if (output.used === output.bytes.length) yield* flush(output);
    const count = Math.min(bytes.length - at, output.bytes.length - output.used);
    output.bytes.set(count === bytes.length ? bytes : bytes.subarray(at, at + count), output.used);
    output.used += count;
    at += count;
  }
}

/** Yields what there is. */
export function* flush(output: Output): Generator<Uint8Array, void, void> {
  if (output.used === 0) return;
  yield output.used === output.bytes.length ? output.bytes : output.bytes.subarray(0, output.used);
  output.bytes = output.next();
  output.used = 0;
}

/** A file's `size` bytes and their padding. Throws `layer/file-changed` when it has more or fewer. */
export function* putContent(output: Output, hostPath: ByteString, size: number): Generator<Uint8Array, void, void> {
  yield* putBytes(output, hostPath, size);
  const padding = paddingOf(size);
  // Blocks of the output have whole blocks of the tar.
  output.bytes.fill(0, output.used, output.used + padding);
  output.used += padding;
}

/** Asks for one byte more than is left: a read that gives less than was asked for has seen the end. */
function* putBytes(output: Output, hostPath: ByteString, size: number): Generator<Uint8Array, void, void> {
  const file = openSync(nodePath(hostPath), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    for (let left = size; ;) {
      if (output.used === output.bytes.length) yield* flush(output);
      const wanted = Math.min(output.bytes.length - output.used, left + 1);
      const count = readSync(file, output.bytes, output.used, wanted, null);
      if (count > left || (count === 0 && left > 0)) throw changed(hostPath);
      left -= count;
      output.used += count;
      if (left === 0 && count < wanted) return;
    }
  } finally {
    closeSync(file);
  }
}

function changed(hostPath: ByteString): JettisonError {
  return new JettisonError('layer/file-changed', `The size of "${toText(hostPath)}" changed while its layer was made`, {
    fault: 'environment',
    hint: 'Something else writes to the store; stop it and build again',
  });
}
