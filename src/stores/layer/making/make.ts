import { closeSync, openSync, rmSync, writeSync, writevSync } from 'node:fs';
import { createDigester } from '#ground/base/digest.ts';
import { createCompressor } from '../compression.ts';
import type { Job, LayerBlob, LayerIdentity, Watch } from '../jobs.ts';
import { layerTar } from './layer-tar.ts';

/** DiffID of a folder's tar and the bytes of its files, without writing it. */
export function identifyLayer(job: Extract<Job, { kind: 'identity' }>, watch: Watch): LayerIdentity {
  const digester = createDigester();
  let read = 0;
  const blocks = layerTar(job.folder, job.below);
  for (let next = blocks.next(); ; next = blocks.next()) {
    if (next.done === true) return { diffId: digester.finish(), size: next.value };
    watch.check();
    digester.update(next.value);
    read += next.value.length;
    watch.progress(read);
  }
}

/** Writes a new file; when that fails the file is gone. */
export async function writeLayerFile(job: Extract<Job, { kind: 'write' }>, watch: Watch): Promise<LayerBlob> {
  const file = openSync(job.file, 'wx', 0o600);
  try {
    return await writeTo(file, job, watch);
  } catch (error) {
    rmSync(job.file, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

async function writeTo(file: number, job: Extract<Job, { kind: 'write' }>, watch: Watch): Promise<LayerBlob> {
  const [tarDigester, fileDigester] = [createDigester(), createDigester()];
  let size = 0;
  let read = 0;
  const isPlain = job.format === 'tar';
  const sink = (pieces: readonly Uint8Array[]): void => {
    if (!isPlain) for (const piece of pieces) fileDigester.update(piece);
    size += writeAll(file, pieces);
  };
  const { format: compression, width, level } = job;
  const compressor =
    compression === 'tar' ? undefined : createCompressor({ compression, width, sink, ...(level === undefined ? {} : { level }) });
  for (const block of layerTar(job.folder, job.below, compressor && (() => compressor.buffer()))) {
    watch.check();
    tarDigester.update(block);
    if (compressor) await compressor.push(block);
    else sink([block]);
    read += block.length;
    watch.progress(read);
  }
  await compressor?.finish();
  const diffId = tarDigester.finish();
  return { diffId, digest: isPlain ? diffId : fileDigester.finish(), size };
}

/** Gives how many bytes there were. A short write is rare: what it left goes piece by piece. */
function writeAll(file: number, pieces: readonly Uint8Array[]): number {
  let skip = writevSync(file, pieces);
  let total = 0;
  for (const piece of pieces) {
    for (let at = Math.min(skip, piece.length); at < piece.length;) at += writeSync(file, piece, at);
    skip = Math.max(0, skip - piece.length);
    total += piece.length;
  }
  return total;
}
