/** What a build leaves behind: the image in the store, caches elsewhere, files, and last the names. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { Annotations } from './annotations.ts';
import { confirmUses } from './build-uses.ts';
import type { Exporting } from './gather-cache.ts';
import { writeOutputs } from './outputs.ts';
import type { BuildRequest } from './build-requests.ts';
import { snapshotResult } from './results.ts';
import { storeBuiltImage } from './store-image.ts';

export type Delivered = { readonly image: ImageRecord; readonly manifest: Descriptor | undefined };

/** What the image is given beside its content; `tags` are names in full. */
export type Given = { readonly tags: readonly string[]; readonly annotations: Annotations };

/** The image gets them when all that can still fail is done. Throws what exporting or writing throws; then no name has moved. */
export async function deliver(exporting: Exporting, { tags, annotations }: Given, signal: AbortSignal): Promise<Delivered> {
  const { engine, request, report } = exporting;
  const targets = request.cacheTo.filter((target) => target.kind !== 'inline');
  const canFail = request.outputs.length > 0 || targets.length > 0;
  const image = await enterImage(exporting, { tags: canFail ? [] : tags, annotations }, signal);
  if (targets.length > 0) await (await import('./export-cache.ts')).exportCaches(exporting, targets, signal);
  const outputs = { image, outputs: request.outputs, tags, annotations: annotations['manifest-descriptor'] };
  const manifest = await writeOutputs(engine, outputs, report, signal);
  if (canFail) engine.images.tag(image.imageId, tags);
  return { image, manifest };
}

async function enterImage(exporting: Exporting, { tags, annotations }: Given, signal: AbortSignal): Promise<ImageRecord> {
  const { engine, request, drafted, solved, top } = exporting;
  const built = {
    drafted,
    top,
    ...(isInlineWanted(request)
      ? { addMembers: async () => await (await import('./export-cache.ts')).inlineCache(exporting, isInlineTelling(request), signal) }
      : {}),
    confirm: () => confirmUses(engine, solved && { ...solved, result: snapshotResult(top) }),
    entered: (imageId: ImageRecord['imageId']) => {
      engine.images.setForm(imageId, { format: request.format, annotations: annotations.manifest });
      engine.images.tag(imageId, tags);
    },
  };
  return await storeBuiltImage(engine, built, signal);
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
