import { checkMemorySize, memoryLimits } from '#execution/builds/memory.ts';
import { configLimit } from '#formats/oci/image-config.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Engine } from '../open.ts';
import type { CacheWriting, ReadCache } from './contract.ts';

/** Throws `engine/cache-too-large` for a list of records that is longer than what is read. */
export function checkConfigSize({ size }: Pick<Descriptor, 'size'>): void {
  if (size <= configLimit) return;
  throw new JettisonError('engine/cache-too-large', `Its list of records has ${size} bytes; at most ${configLimit} are read`, {
    fault: 'environment',
  });
}

/** What a cache tells of its steps, brought like a layer. Reading it throws like `fetch`, and `builds/bad-memory`. */
export function memoryReader(engine: Engine, { name, memory, fetch }: Telling): ReadCache['readMemory'] {
  return async (signal) => {
    if (memory === undefined) return undefined;
    checkMemorySize(memory, name);
    await fetch(memory, () => undefined, signal);
    return engine.content.read(memory.digest, memoryLimits.cache);
  };
}

/** `memory`: undefined where it tells nothing. */
type Telling = { readonly name: string; readonly memory: Descriptor | undefined; readonly fetch: ReadCache['fetch'] };

/** The last lines about a cache that has a manifest. */
export function sayManifest(
  { manifest, say }: Pick<CacheWriting, 'manifest' | 'say'>,
  { imageManifest }: { readonly imageManifest: boolean },
): void {
  say(`writing config ${manifest.config.descriptor.digest} done`);
  say(`writing cache ${imageManifest ? 'image manifest' : 'manifest list'} ${manifest.digest} done`);
}
