/** What a build leaves behind: its images in the store, caches elsewhere, what `-o` asked for, and last the names. */
import { parseBoolean } from '#ground/base/boolean-word.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { noteTags } from './note-events.ts';
import type { BuildOutcome, BuildRequest, OutputRequest } from './build-requests.ts';
import { confirmUses, resultRemoved } from './build-uses.ts';
import { builtImages, type BuiltImages } from './built-images.ts';
import { foldMode, imageTop } from './fold-requests.ts';
import type { BuiltResult, Exporting, FoldedResult } from './gather-cache.ts';
import type { Solved } from '#execution/solver/contract.ts';
import type { Engine } from './open.ts';
import { lookAtNew, type Entering, type NewImages } from './new-images.ts';
import { snapshotResult } from './results.ts';
import { prepareImage } from './store-image.ts';

export type Delivered = Pick<BuildOutcome, 'image' | 'names' | 'provenance' | 'payloads' | 'hidden' | 'ledgers'>;

/** One image, or one for each platform, under its names (in full). */
export type Delivery = { readonly exporting: Exporting; readonly tags: readonly string[] };

/**
 * Images get their names when all that can still fail is done, for all deliveries: there is one for each target. Throws what exporting or writing throws; then no name
 * has moved.
 */
export async function deliver(deliveries: readonly [Delivery, ...Delivery[]], signal: AbortSignal): Promise<readonly Delivered[]> {
  const [first] = deliveries;
  const { engine, request } = first.exporting;
  const targets = request.cacheTo.filter((target) => target.kind !== 'inline');
  const canFail = deliveries.length > 1 || targets.length > 0 || (first.exporting.budgets ?? []).length > 0;
  const entered: EnteredDelivery[] = [];
  for (const delivery of deliveries) entered.push(await enterDelivery(delivery, canFail, signal));
  await demandLimits(entered, signal);
  if (targets.length > 0) {
    // As they were built: folded or not, steps have the layers that they made.
    const results = deliveries.flatMap(({ exporting }) => exporting.results);
    await (await import('./export-cache.ts')).exportCaches({ ...first.exporting, results }, targets, signal);
  }
  const written: WrittenDelivery[] = [];
  for (const each of entered) written.push(await writeDelivery(each, signal));
  const named = written.flatMap(({ finish }) => finish ?? []);
  if (named.length > 0) engine.database.transaction(() => named.forEach((finish) => finish()));
  return written.map(({ delivered }) => delivered);
}

/** Of images that are more than they may be nothing goes anywhere. */
async function demandLimits(entered: readonly EnteredDelivery[], signal: AbortSignal): Promise<void> {
  const [first] = entered;
  const { budgets = [] } = first?.exporting ?? {};
  if (first === undefined || budgets.length === 0) return;
  const { demandBudgets } = await import('./weigh-built.ts');
  await demandBudgets(
    first.exporting,
    entered.flatMap(({ made, exporting: { request } }) => made?.ledgers.map((ledger) => ({ ledger, target: request.target })) ?? []),
    budgets,
    signal,
  );
}

type EnteredDelivery = Delivery &
  Pick<Delivered, 'provenance'> & { readonly made: Entered | undefined; readonly canFail: boolean; readonly isKept: boolean };

async function enterDelivery({ exporting: built, tags }: Delivery, othersCanFail: boolean, signal: AbortSignal): Promise<EnteredDelivery> {
  const { request } = built;
  const { outputs } = request;
  const isTelling = request.attestations !== undefined || request.told !== undefined;
  const canFail = othersCanFail || outputs.length > 0 || isTelling;
  const isKept = outputs.length === 0 || tags.length > 0 || outputs.some((output) => output.kind === 'image' && output.isStored);
  const isImage = isKept || outputs.some(isOfImage);
  const exporting = isImage && foldMode(built.engine, request) === 'auto' ? await foldAll(built, signal) : built;
  const made = isImage ? await enterImages(exporting, { tags, canFail }, signal) : undefined;
  const { provenance, ...said } = isTelling ? await tell(exporting, made?.images ?? [], signal) : { provenance: [] };
  return { exporting: { ...exporting, ...said }, tags, made, canFail, isKept, provenance };
}

/** `finish`: what is left to be done in the store; undefined for nothing. */
type WrittenDelivery = { readonly delivered: Delivered; readonly finish: (() => void) | undefined };

async function writeDelivery(entered: EnteredDelivery, signal: AbortSignal): Promise<WrittenDelivery> {
  const { exporting, tags, made, canFail, isKept, provenance } = entered;
  const { payloads, hidden } = made ?? { payloads: [], hidden: [] };
  const ledgers = made?.isTold === true ? made.ledgers : [];
  const built = made && builtImages(exporting, made.images, { names: tags });
  if (exporting.request.outputs.length === 0) {
    const finish = canFail && built !== undefined ? (): void => name(exporting, built, tags) : undefined;
    const image = built && describe(exporting, built, { isKept, manifest: undefined });
    return { delivered: { image, names: tags, provenance, payloads, hidden, ledgers }, finish };
  }
  const written = await (await import('./outputs.ts')).writeOutputs(exporting, { images: made?.images ?? [], tags }, signal);
  const image = built && describe(exporting, written.first ?? built, { isKept, manifest: written.manifest });
  return {
    delivered: { image, names: [...new Set([...tags, ...written.names])], provenance, payloads, hidden, ledgers },
    finish: () => {
      if (built === undefined) return confirm(exporting);
      const kept = isKept ? (written.stored ?? built) : undefined;
      if (kept !== undefined) name(exporting, kept, [...new Set([...tags, ...written.storedNames])]);
      removeUnnamed(exporting, [...(made?.isNew ?? []), ...written.isNew], kept);
    },
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

function confirm({ engine, results, solved, isFurther }: Exporting): void {
  const vertices: Solved['vertices'] = isFurther === true || solved === undefined ? new Map() : solved.vertices;
  confirmUses(engine, solved && { vertices, results: results.map(({ top }) => snapshotResult(top)) });
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
type Entered = Omit<NewImages, 'keep'> & { readonly images: readonly ImageRecord[]; readonly isNew: readonly ImageRecord['imageId'][] };

type Naming = { readonly tags: readonly string[]; readonly canFail: boolean };

/** All of them, or none; without names where something else can still fail. */
async function enterImages(exporting: Exporting, { tags, canFail }: Naming, signal: AbortSignal): Promise<Entered> {
  const { engine, results, stepImages } = exporting;
  const entering: Entering[] = [];
  for (const result of results) entering.push(await prepare(exporting, result, signal));
  const { keep, ...found } = await lookAtNew(exporting, { entering, tags }, signal);
  return engine.database.transaction(() => {
    confirm(exporting);
    for (const { folded } of results) if (folded !== undefined) demandFolded(engine, folded);
    const isNew = entering.flatMap(({ imageId }) => (engine.images.get(imageId) === undefined ? [imageId] : []));
    const images = entering.map(({ enter }) => enter());
    keep();
    name(exporting, builtImages(exporting, images), canFail ? [] : tags);
    const [first] = images;
    if (first !== undefined) stepImages?.entered(first.imageId);
    return { images, isNew, ...found };
  });
}

/** Each result with layers that hide nothing of each other. */
async function foldAll(exporting: Exporting, signal: AbortSignal): Promise<Exporting> {
  const { foldResult } = await import('./fold-image.ts');
  const results: BuiltResult[] = [];
  for (const result of exporting.results) results.push(await foldResult(exporting.engine, result, signal));
  return { ...exporting, results };
}

/** What was folded may have been pruned since. Throws `engine/result-removed`. */
function demandFolded({ foldedChains }: Engine, { built, top }: FoldedResult): void {
  const known = foldedChains.find(built);
  if (known === undefined || known.top !== top) throw resultRemoved();
}

async function prepare(exporting: Exporting, result: BuiltResult, signal: AbortSignal): ReturnType<typeof prepareImage> {
  const { engine, request } = exporting;
  const inline = { result, isTelling: isInlineTelling(request) };
  const addMembers = async () => await (await import('./export-cache.ts')).inlineCache(exporting, inline, signal);
  return await prepareImage(engine, { ...result, top: imageTop(result), ...(isInlineWanted(request) ? { addMembers } : {}) }, signal);
}

function isInlineTelling({ cacheTo }: BuildRequest): boolean {
  return cacheTo.every((target) => target.kind !== 'inline' || target.isTelling);
}

function isInlineWanted({ cacheTo, buildArgs }: BuildRequest): boolean {
  return cacheTo.some(({ kind }) => kind === 'inline') || parseBoolean(buildArgs.get('BUILDKIT_INLINE_CACHE') ?? '') === true;
}
