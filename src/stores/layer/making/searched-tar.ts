/** A layer's tar in which nothing may stand that is to be kept secret. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { fromText, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { createNeedleSearch, type Needle, type NeedleHit } from '#ground/base/needles.ts';
import { encodeHeader } from '#formats/tar/write.ts';
import type { LayerSource } from '../jobs.ts';
import { layerItems } from './layer-items.ts';
import { layerTar } from './layer-tar.ts';

/** As `layerTar`; a block with a needle in it is not given. Throws `layer/secret-found`, which names file and line. */
export function* searchedTar(source: LayerSource, next?: () => Uint8Array): Generator<Uint8Array, number, void> {
  const { needles = [] } = source;
  using blocks = layerTar(source, next);
  if (needles.length === 0) return yield* blocks;
  const search = createNeedleSearch(needles);
  for (let block = blocks.next(); ; block = blocks.next()) {
    if (block.done === true) return block.value;
    const hit = search.take(block.value);
    if (hit !== undefined) throw locate(source, needles, hit);
    yield block.value;
  }
}

/** Reads the folder once more, an entry at a time. */
function locate({ folder, below }: LayerSource, needles: readonly Needle[], hit: NeedleHit): JettisonError {
  for (const { entry, content } of layerItems(fromText(folder), below)) {
    const name = toText(entry.name);
    const inHeader = createNeedleSearch(needles).take(encodeHeader(entry));
    if (inHeader !== undefined) return secretFound(inHeader.needle, `the name, the link or an attribute of "/${name}"`);
    const found = content === undefined ? undefined : searchFile(content, needles);
    if (found !== undefined) return secretFound(found.needle, `"/${name}", ${placeOf(found)}`);
  }
  return secretFound(hit.needle, 'its files');
}

type Found = { readonly needle: Needle; readonly at: number; readonly line: number; readonly isText: boolean };

function searchFile(hostPath: ByteString, needles: readonly Needle[]): Found | undefined {
  const file = openSync(nodePath(hostPath), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const search = createNeedleSearch(needles);
    const bytes = new Uint8Array(1 << 20);
    let [line, isText] = [1, true];
    for (let start = 0; ;) {
      const count = readSync(file, bytes, 0, bytes.length, null);
      if (count === 0) return undefined;
      const block = bytes.subarray(0, count);
      const hit = search.take(block);
      isText &&= !block.includes(0);
      const before = block.subarray(0, hit === undefined ? count : Math.max(0, hit.at - start));
      for (let at = before.indexOf(0x0a); at >= 0; at = before.indexOf(0x0a, at + 1)) line++;
      if (hit !== undefined) return { ...hit, line, isText };
      start += count;
    }
  } finally {
    closeSync(file);
  }
}

function placeOf({ at, line, isText }: Found): string {
  return isText ? `line ${line}` : `byte ${at}`;
}

function secretFound({ id, form }: Needle, place: string): JettisonError {
  return new JettisonError(
    'layer/secret-found',
    `The value of the secret "${id}" stands in ${place}${form === undefined ? '' : `, as ${form}`}: the layer of this step is not kept`,
    { hint: `Remove it in the same step that writes it; if it is to be in the image, say --allow-secret-in-image ${id}` },
  );
}
