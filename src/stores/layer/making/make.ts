import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
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
  const sink = (bytes: Uint8Array): void => {
    if (!isPlain) fileDigester.update(bytes);
    writeAll(file, bytes);
    size += bytes.length;
  };
  const compressor = job.format === 'tar' ? undefined : createCompressor({ compression: job.format, width: job.width, sink });
  for (const block of layerTar(job.folder, job.below)) {
    watch.check();
    tarDigester.update(block);
    if (compressor) await compressor.push(block);
    else sink(block);
    read += block.length;
    watch.progress(read);
  }
  await compressor?.finish();
  const diffId = tarDigester.finish();
  return { diffId, digest: isPlain ? diffId : fileDigester.finish(), size };
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at, bytes.length - at);
}
