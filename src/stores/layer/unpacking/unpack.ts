import { setTimeout as sleep } from 'node:timers/promises';
import { createDigester } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { TarEntry } from '#formats/tar/entry.ts';
import { createTarReader } from '#formats/tar/read.ts';
import { growthPause } from '#stores/content/growing.ts';
import { decompress } from '../compression.ts';
import type { Job, Unpacked, Watch } from '../jobs.ts';
import { createExtractor } from './extract.ts';
import { badLayer, unpackError } from './fail.ts';

/** Unpacks a layer into a folder while its uncompressed digest is computed; see `applyLayer`. */
export async function unpackLayer(job: Extract<Job, { kind: 'apply' }>, watch: Watch): Promise<Unpacked> {
  const below = { isThere: job.below === 'coming' || job.below.length > 0, folders: () => watch.below() };
  using extractor = createExtractor(job.folder, below, job.limits);
  let fileBytes = 0;
  let newest = 0n;
  const entry = (header: TarEntry): void => {
    if (header.kind === 'file') fileBytes += header.size;
    if (header.mtime > newest) newest = header.mtime;
    extractor.entry(header);
  };
  const handlers = {
    entry,
    data: (bytes: Uint8Array, offset: number) => extractor.data(bytes, offset),
    entryEnd: () => extractor.entryEnd(),
  };
  const reader = createTarReader(handlers, { endMarker: 'optional' });
  const digester = createDigester(job.diffId.startsWith('sha512:') ? 'sha512' : 'sha256');
  let size = 0;
  const take = (bytes: Uint8Array): void => {
    watch.check();
    size += bytes.length;
    if (size > job.limits.size)
      throw badLayer('too-large', extractor.name(), `comes after ${job.limits.size} bytes, the most that is taken`);
    digester.update(bytes);
    reader.push(bytes);
  };
  try {
    const pause = async (): Promise<void> => {
      watch.check();
      await sleep(growthPause);
    };
    const growing = job.size === undefined ? undefined : { size: job.size, pause };
    await decompress({ file: job.file, completeFile: job.completeFile, growing, take, onRead: (bytes) => watch.progress(bytes) });
    reader.finish();
    const found = digester.finish();
    if (found !== job.diffId) throw wrongDiffId(job.diffId, found);
    extractor.finish();
  } catch (error) {
    throw unpackError(error, extractor.name());
  }
  return { diffId: job.diffId, size: fileBytes, ownRoot: extractor.ownRoot(), newest };
}

function wrongDiffId(said: string, found: string): JettisonError {
  return new JettisonError('layer/wrong-diff-id', `The layer's content is ${found}, but the image's config says ${said}`, {
    hint: 'The image is damaged or hostile: do not use it, or have it made again',
  });
}
