/** What a build leaves behind: its images in the store, caches elsewhere, what `-o` asked for, and last the names. */
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { noteTags } from './note-events.ts';
import type { BuildOutcome, BuildRequest, OutputRequest } from './build-requests.ts';
import { confirmUses } from './build-uses.ts';
import { builtImages, type BuiltImages } from './built-images.ts';
import type { BuiltResult, Exporting } from './gather-cache.ts';
import type { Engine } from './open.ts';
import type { PayloadCheck } from './payload-requests.ts';
import { snapshotResult } from './results.ts';
import { prepareImage } from './store-image.ts';

export type Delivered = Pick<BuildOutcome, 'image' | 'names' | 'provenance' | 'payloads'>;

/** Images get their names (`tags`, in full) when all that can still fail is done. Throws what exporting or writing throws; then no name has moved. */
export async function deliver(plain: Exporting, tags: readonly string[], signal: AbortSignal): Promise<Delivered> {
  const { engine, request } = plain;
  const { outputs } = request;
  const targets = request.cacheTo.filter((target) => target.kind !== 'inline');
  const isTelling = request.attestations !== undefined || request.told !== undefined;
  const canFail = outputs.length > 0 || targets.length > 0 || isTelling;
  const isKept = outputs.length === 0 || tags.length > 0 || outputs.some((output) => output.kind === 'image' && output.isStored);
  const made = isKept || outputs.some(isOfImage) ? await enterImages(plain, { tags, canFail }, signal) : undefined;
  const { provenance, ...said } = isTelling ? await tell(plain, made?.images ?? [], signal) : { provenance: [] };
  const exporting = { ...plain, ...said };
  const payloads = made?.payloads ?? [];
  if (targets.length > 0) await (await import('./export-cache.ts')).exportCaches(exporting, targets, signal);
  const built = made && builtImages(exporting, made.images, { names: tags });
  if (outputs.length === 0) {
    if (canFail && built !== undefined) engine.database.transaction(() => name(exporting, built, tags));
    return { image: built && describe(exporting, built, { isKept, manifest: undefined }), names: tags, provenance, payloads };
  }
  const written = await (await import('./outputs.ts')).writeOutputs(exporting, { images: made?.images ?? [], tags }, signal);
  engine.database.transaction(() => {
    if (built === undefined) return confirm(exporting);
    const kept = isKept ? (written.stored ?? built) : undefined;
    if (kept !== undefined) name(exporting, kept, [...new Set([...tags, ...written.storedNames])]);
    removeUnnamed(exporting, [...(made?.isNew ?? []), ...written.isNew], kept);
  });
  return {
    image: built && describe(exporting, written.first ?? built, { isKept, manifest: written.manifest }),
    names: [...new Set([...tags, ...written.names])],
    provenance,
    payloads,
  };
}

/** What is said about the images; it is kept before an index can name it. */
async function tell(
  exporting: Exporting,
  images: readonly ImageRecord[],
  signal: AbortSignal,
): Promise<Pick<Exporting, 'statements'> & Pick<BuildOutcome, 'provenance'>> {
  const { makeStatements } = await import('./attestations.ts');
  const made = await makeStatements(exporting, images, signal);
  for (const { bytes } of made.statements.flat()) await exporting.engine.content.put(bytes, signal);
  return made;
}

/** Not files, nor nothing. */
function isOfImage({ kind }: OutputRequest): boolean {
  return kind !== 'local' && kind !== 'tar' && kind !== 'none';
}

function describe(
  { results }: Exporting,
  { images, main }: BuiltImages,
  more: Pick<NonNullable<BuildOutcome['image']>, 'isKept' | 'manifest'>,
): BuildOutcome['image'] {
  const all = results.flatMap(({ platform }, at) => {
    const id = images[at]?.imageId;
    return id === undefined ? [] : [{ platform: printPlatform(platform), id }];
  });
  return { id: main.imageId, all, created: main.created, ...more };
}

/** Images that were made for this build's outputs alone. */
function removeUnnamed({ engine }: Exporting, made: readonly ImageRecord['imageId'][], kept: BuiltImages | undefined): void {
  const stay = new Set(kept?.images.map(({ imageId }) => imageId));
  for (const imageId of made) if (!stay.has(imageId) && engine.images.get(imageId)?.names.length === 0) engine.images.remove(imageId);
}

function confirm({ engine, results, solved }: Exporting): void {
  confirmUses(engine, solved && { ...solved, results: results.map(({ top }) => snapshotResult(top)) });
}

function name({ engine }: Exporting, { main, index, images, formOf }: BuiltImages, names: readonly string[]): void {
  for (const { imageId } of images) engine.images.setForm(imageId, formOf(imageId));
  // A build that changes nothing is nothing that happened.
  const moved = names.filter((one) => engine.images.find(one)?.imageId !== main.imageId);
  engine.images.tag(main.imageId, names);
  noteTags(engine, main.imageId, moved);
  if (index !== undefined && names.length > 0) engine.indexes.save(index, names);
}

/** `isNew`: those that were not there before. */
type Entered = {
  readonly images: readonly ImageRecord[];
  readonly isNew: readonly ImageRecord['imageId'][];
  readonly payloads: readonly PayloadCheck[];
};

type Entering = Awaited<ReturnType<typeof prepareImage>>;
type Naming = { readonly tags: readonly string[]; readonly canFail: boolean };

/** All of them, or none; without names where something else can still fail. */
async function enterImages(exporting: Exporting, { tags, canFail }: Naming, signal: AbortSignal): Promise<Entered> {
  const { engine, results, stepImages } = exporting;
  const entering: Entering[] = [];
  for (const result of results) entering.push(await prepare(exporting, result, signal));
  const payloads = await checkNew(exporting, entering, tags, signal);
  return engine.database.transaction(() => {
    confirm(exporting);
    const isNew = entering.flatMap(({ imageId }) => (engine.images.get(imageId) === undefined ? [imageId] : []));
    const images = entering.map(({ enter }) => enter());
    name(exporting, builtImages(exporting, images), canFail ? [] : tags);
    const [first] = images;
    if (first !== undefined) stepImages?.entered(first.imageId);
    return { images, isNew, payloads };
  });
}

type Made = { readonly result: BuiltResult } & Pick<Entering, 'imageId' | 'config'>;

/** A build that makes nothing new loads nothing for this, unless it is told to fail. */
async function checkNew(
  exporting: Exporting,
  entering: readonly Entering[],
  tags: readonly string[],
  signal: AbortSignal,
): Promise<readonly PayloadCheck[]> {
  const { engine, results, request } = exporting;
  if (request.check === undefined || request.check === 'off') return [];
  const made = results.flatMap((result, at): readonly Made[] => {
    const image = entering[at];
    return image === undefined ? [] : [{ result, imageId: image.imageId, config: image.config }];
  });
  const images = request.check === 'error' ? made : await withNewStart(engine, made, tags);
  return images.length === 0 ? [] : await (await import('./check-built.ts')).checkBuilt(exporting, images, signal);
}

/** Those that the store does not have, and that start otherwise than what is called by the first of the names: where a label alone is another, no worker has to be started. */
async function withNewStart({ images }: Engine, made: readonly Made[], [tag]: readonly string[]): Promise<readonly Made[]> {
  const isNew = made.filter(({ imageId }) => images.get(imageId) === undefined);
  const before = isNew.length === 0 || tag === undefined ? undefined : images.find(tag);
  if (before === undefined) return isNew;
  const { startSame } = await import('./start-settings.ts');
  const known = decodeImageConfig(before.config, before.imageId);
  return isNew.filter(({ config }) => !startSame(config, known));
}

async function prepare(exporting: Exporting, result: BuiltResult, signal: AbortSignal): ReturnType<typeof prepareImage> {
  const { engine, request } = exporting;
  const inline = { result, isTelling: isInlineTelling(request) };
  const addMembers = async () => await (await import('./export-cache.ts')).inlineCache(exporting, inline, signal);
  return await prepareImage(engine, { ...result, ...(isInlineWanted(request) ? { addMembers } : {}) }, signal);
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
