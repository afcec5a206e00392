import type { BlobSink } from '#stores/registry/download.ts';

/** A sink in memory that has `before` already. */
export function collectingSink(before: Uint8Array): BlobSink & { bytes(): Buffer } {
  const chunks = [Uint8Array.from(before)];
  let offset = before.length;
  return {
    get offset() {
      return offset;
    },
    write: (chunk) => {
      chunks.push(Uint8Array.from(chunk));
      offset += chunk.length;
    },
    restart: () => {
      chunks.length = 0;
      offset = 0;
    },
    bytes: () => Buffer.concat(chunks),
  };
}
