import { createDigester } from '#ground/base/digest.ts';
import { createCompressor } from '../compression.ts';
import type { Job, LayerBlob, LayerIdentity, Watch } from '../jobs.ts';
import { createBlobFile, type BlobFile } from './blob-file.ts';
import { searchedTar } from './searched-tar.ts';

/** DiffID of a folder's tar and the bytes of its files, without writing it. */
export function identifyLayer(job: Extract<Job, { kind: 'identity' }>, watch: Watch): LayerIdentity {
  const digester = createDigester();
  let read = 0;
  using blocks = searchedTar(job);
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
  using file = createBlobFile(job.file, job.passes, () => watch.check());
  try {
    return await writeTo(file, job, watch);
  } catch (error) {
    file.remove();
    throw error;
  }
}

async function writeTo(file: BlobFile, job: Extract<Job, { kind: 'write' }>, watch: Watch): Promise<LayerBlob> {
  const [tarDigester, fileDigester] = [createDigester(), createDigester()];
  let read = 0;
  const isPlain = job.format === 'tar';
  const sink = (pieces: readonly Uint8Array[]): void => {
    if (!isPlain) for (const piece of pieces) fileDigester.update(piece);
    file.write(pieces, read);
  };
  const { format: compression, width, level } = job;
  const compressor =
    compression === 'tar' ? undefined : createCompressor({ compression, width, sink, ...(level === undefined ? {} : { level }) });
  for (const block of searchedTar(job, compressor && (() => compressor.buffer()))) {
    watch.check();
    tarDigester.update(block);
    if (compressor) await compressor.push(block);
    else sink([block]);
    read += block.length;
    watch.progress(read);
  }
  await compressor?.finish();
  const diffId = tarDigester.finish();
  return { diffId, digest: isPlain ? diffId : fileDigester.finish(), size: file.size, segments: file.segments };
}
