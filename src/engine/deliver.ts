/** What a build leaves behind: its images in the store, caches elsewhere, files, and last the names. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { platformRank } from '#formats/oci/platform.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { IndexedImage, NewIndex } from '#stores/image/indexes.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { annotationsFor, indexAnnotations } from './annotations.ts';
import { confirmUses } from './build-uses.ts';
import type { BuiltResult, Exporting } from './gather-cache.ts';
import { writeOutputs } from './outputs.ts';
import { nativeOrAsked, platformsOf } from './platform.ts';
import type { BuildRequest } from './build-requests.ts';
import { snapshotResult } from './results.ts';
import { prepareImage } from './store-image.ts';

/** Images in the order of the platforms. */
export type Delivered = { readonly images: readonly ImageRecord[]; readonly main: ImageRecord; readonly manifest: Descriptor | undefined };

/** They get their names (`tags`, in full) when all that can still fail is done. Throws what exporting or writing throws; then no name has moved. */
export async function deliver(exporting: Exporting, tags: readonly string[], signal: AbortSignal): Promise<Delivered> {
  const { engine, request, report } = exporting;
  const targets = request.cacheTo.filter((target) => target.kind !== 'inline');
  const canFail = request.outputs.length > 0 || targets.length > 0;
  const { images, name } = await enterImages(exporting, canFail ? [] : tags, signal);
  if (targets.length > 0) await (await import('./export-cache.ts')).exportCaches(exporting, targets, signal);
  const main = mainOf(exporting, images);
  const index = indexOf(exporting, images);
  const outputs = {
    main,
    index,
    outputs: request.outputs,
    tags,
    annotations:
      index === undefined
        ? annotationsFor(request, platformsOf(request)[0])['manifest-descriptor']
        : indexAnnotations(request)['index-descriptor'],
  };
  const manifest = await writeOutputs(engine, outputs, report, signal);
  if (canFail) engine.database.transaction(() => name(tags));
  return { images, main, manifest };
}

type Entered = { readonly images: readonly ImageRecord[]; readonly name: (tags: readonly string[]) => void };

/** All of them, or none. */
async function enterImages(exporting: Exporting, tags: readonly string[], signal: AbortSignal): Promise<Entered> {
  const { engine, request, results, solved, stepImages } = exporting;
  const entering: (() => ImageRecord)[] = [];
  for (const result of results) entering.push(await prepare(exporting, result, signal));
  const name = (images: readonly ImageRecord[], names: readonly string[]): void => {
    const index = indexOf(exporting, images);
    engine.images.tag(mainOf(exporting, images).imageId, names);
    if (index !== undefined && names.length > 0) engine.indexes.save(index, names);
  };
  const images = engine.database.transaction(() => {
    confirmUses(engine, solved && { ...solved, results: results.map(({ top }) => snapshotResult(top)) });
    const entered = entering.map((enter) => enter());
    for (const [at, { imageId }] of entered.entries()) {
      const platform = results[at]?.platform ?? platformsOf(request)[0];
      engine.images.setForm(imageId, { format: request.format, annotations: annotationsFor(request, platform).manifest });
    }
    name(entered, tags);
    const [first] = entered;
    if (first !== undefined) stepImages?.entered(first.imageId);
    return entered;
  });
  return { images, name: (names) => name(images, names) };
}

async function prepare(exporting: Exporting, result: BuiltResult, signal: AbortSignal): Promise<() => ImageRecord> {
  const { engine, request } = exporting;
  const inline = { result, isTelling: isInlineTelling(request) };
  const addMembers = async () => await (await import('./export-cache.ts')).inlineCache(exporting, inline, signal);
  return await prepareImage(engine, { ...result, ...(isInlineWanted(request) ? { addMembers } : {}) }, signal);
}

/** What the name leads to: this machine's own image, else the first. */
function mainOf({ results }: Exporting, images: readonly ImageRecord[]): ImageRecord {
  const native = nativeOrAsked(undefined);
  const ranks = results.map(({ platform }) => platformRank(platform, native) ?? Infinity);
  const best = Math.min(...ranks);
  const main = images[best === Infinity ? 0 : ranks.indexOf(best)];
  if (main === undefined) throw new JettisonError('engine/no-image', 'A build made no image', { fault: 'bug' });
  return main;
}

/** undefined for a build for one platform. */
function indexOf({ request, results }: Exporting, images: readonly ImageRecord[]): NewIndex | undefined {
  if (results.length === 1) return undefined;
  const members = results.flatMap(({ platform }, at): readonly IndexedImage[] => {
    const image = images[at];
    const annotations = annotationsFor(request, platform)['manifest-descriptor'];
    return image === undefined ? [] : [{ kind: 'image', imageId: image.imageId, platform, annotations, descriptor: null }];
  });
  return { members, format: request.format, annotations: indexAnnotations(request).index, document: undefined };
}

function isInlineTelling({ cacheTo }: BuildRequest): boolean {
  return cacheTo.every((target) => target.kind !== 'inline' || target.isTelling);
}

function isInlineWanted({ cacheTo, buildArgs }: BuildRequest): boolean {
  return (
    cacheTo.some(({ kind }) => kind === 'inline') ||
    ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(buildArgs.get('BUILDKIT_INLINE_CACHE') ?? '')
  );
}
