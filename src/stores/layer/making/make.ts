import { createDigester } from '#ground/base/digest.ts';
import { createEstargz, type EstargzFacts } from '../compressing/estargz.ts';
import { createCompressor, decompressed, usualGzipLevel, type Compressor } from '../compression.ts';
import type { Job, LayerBlob, LayerIdentity, Watch } from '../jobs.ts';
import { createBlobFile, type BlobFile } from './blob-file.ts';
import { flush, put as putBytes, sameBuffer, startOutput } from './layer-tar.ts';
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

type BlobJob = Extract<Job, { kind: 'write' | 'recompress' }>;

/** Writes a new file; when that fails the file is gone. */
export async function writeLayerFile(job: Extract<Job, { kind: 'write' }>, watch: Watch): Promise<LayerBlob> {
  return await writeBlob(
    job,
    async (put, buffer) => {
      for (const block of searchedTar(job, buffer)) await put(block);
    },
    watch,
  );
}

/** The same of a blob in another form. */
export async function recompressLayerFile(job: Extract<Job, { kind: 'recompress' }>, watch: Watch): Promise<LayerBlob> {
  return await writeBlob(
    job,
    async (put, buffer = sameBuffer()) => {
      const output = startOutput(buffer);
      const putAll = async (blocks: Iterable<Uint8Array>): Promise<void> => {
        for (const block of blocks) await put(block);
      };
      for await (const bytes of decompressed(job.blob)) await putAll(putBytes(output, bytes));
      await putAll(flush(output));
    },
    watch,
  );
}

/** Has `give` put the blocks of a tar, in buffers that `buffer` gives if it is there. */
async function writeBlob(
  job: BlobJob,
  give: (put: (block: Uint8Array) => Promise<void>, buffer: (() => Uint8Array) | undefined) => Promise<void>,
  watch: Watch,
): Promise<LayerBlob> {
  using file = createBlobFile(job.file, job.passes, () => watch.check());
  try {
    return await writeTo(file, job, give, watch);
  } catch (error) {
    file.remove();
    throw error;
  }
}

async function writeTo(file: BlobFile, job: BlobJob, give: Parameters<typeof writeBlob>[1], watch: Watch): Promise<LayerBlob> {
  const [tarDigester, fileDigester] = [createDigester(), createDigester()];
  let read = 0;
  const isPlain = job.format === 'tar';
  const sink = (pieces: readonly Uint8Array[]): void => {
    if (!isPlain) for (const piece of pieces) fileDigester.update(piece);
    file.write(pieces, read);
  };
  const compressor = compressorFor(job, sink);
  const put = async (block: Uint8Array): Promise<void> => {
    watch.check();
    tarDigester.update(block);
    if (compressor) await compressor.push(block);
    else sink([block]);
    read += block.length;
    watch.progress(read);
  };
  await give(put, compressor && (() => compressor.buffer()));
  const estargz = await compressor?.finish();
  const diffId = tarDigester.finish();
  const blob = { diffId, digest: isPlain ? diffId : fileDigester.finish(), size: file.size, segments: file.segments };
  return estargz === undefined ? blob : { ...blob, estargz };
}

type Packer = Omit<Compressor, 'finish'> & { finish(): Promise<EstargzFacts | void> };

function compressorFor({ format: compression, width, level }: BlobJob, sink: (pieces: readonly Uint8Array[]) => void): Packer | undefined {
  if (compression === 'tar') return undefined;
  if (compression !== 'estargz') return createCompressor({ compression, width, sink, ...(level === undefined ? {} : { level }) });
  return { ...createEstargz({ width, sink, level: level ?? usualGzipLevel }), buffer: sameBuffer() };
}
