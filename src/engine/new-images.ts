/** What is found out about images before a build enters them, for its last lines and to be kept beside them. Only asks here; who answers is loaded where something is new. */
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import { originVersion } from '#formats/origins/version.ts';
import { digestOf } from '#ground/base/digest.ts';
import type { BuildOutcome } from './build-requests.ts';
import { foldMode, type HiddenReport } from './fold-requests.ts';
import type { BuiltResult, Exporting } from './gather-cache.ts';
import type { Ledger } from './ledger-requests.ts';
import type { PayloadCheck } from './payload-requests.ts';
import type { DescribedImages } from './record-origins.ts';
import { hasMadeFiles } from './results.ts';
import type { prepareImage } from './store-image.ts';
import type { WeighedImages } from './weigh-built.ts';

/** An image that is about to be entered. */
export type Entering = Awaited<ReturnType<typeof prepareImage>>;

export type NewImages = Pick<BuildOutcome, 'payloads' | 'hidden'> & {
  /** Where they were weighed. */
  readonly ledgers: readonly Ledger[];
  /** Is anything to be said of the weights? One of the images is new, or takes a name from another one. */
  readonly isTold: boolean;
  /** To be called in the transaction that enters the images, when they are there. */
  readonly keep: () => void;
};

type Image = Entering & {
  readonly result: BuiltResult;
  /** The store does not have it. */
  readonly isNew: boolean;
};

type Naming = { readonly entering: readonly Entering[]; readonly tags: readonly string[] };

/** `entering`: in the order of the results. Throws `engine/payload` for an image that would not start, where that is to be an error; then none has been entered. */
export async function lookAtNew(exporting: Exporting, { entering, tags }: Naming, signal: AbortSignal): Promise<NewImages> {
  const { engine, results } = exporting;
  const images = results.flatMap((result, at): readonly Image[] => {
    const image = entering[at];
    return image === undefined ? [] : [{ ...image, result, isNew: engine.images.get(image.imageId) === undefined }];
  });
  const payloads = await checkNew(exporting, images, tags, signal);
  const hidden = await hiddenInNew(exporting, images, signal);
  const described = await describeNew(exporting, images, signal);
  const weighed = await weighNew(exporting, { images, described, tags }, signal);
  const keep = (): void => {
    described?.keep();
    weighed?.keep();
  };
  return { payloads, hidden, ledgers: weighed?.ledgers ?? [], isTold: weighed?.isTold ?? false, keep };
}

/** A build that makes nothing new loads nothing for this, unless it is told to fail. */
async function checkNew(
  exporting: Exporting,
  images: readonly Image[],
  tags: readonly string[],
  signal: AbortSignal,
): Promise<readonly PayloadCheck[]> {
  const { check = 'off' } = exporting.request;
  if (check === 'off') return [];
  const checked = check === 'error' ? images : await withNewStart(exporting, images, tags);
  return checked.length === 0 ? [] : await (await import('./check-built.ts')).checkBuilt(exporting, checked, signal);
}

/** Those that the store does not have, and that start otherwise than what is called by the first of the names: where a label alone is another, no worker has to be started. */
async function withNewStart({ engine }: Exporting, images: readonly Image[], [tag]: readonly string[]): Promise<readonly Image[]> {
  const made = images.filter(({ isNew }) => isNew);
  const before = made.length === 0 || tag === undefined ? undefined : engine.images.find(tag);
  if (before === undefined) return made;
  const { startSame } = await import('./start-settings.ts');
  const known = decodeImageConfig(before.config, before.imageId);
  return made.filter(({ config }) => !startSame(config, known));
}

/** Of images that the store does not have: what was left out of them, or what their later layers hide, where the steps ran now and a worker is there. */
async function hiddenInNew(exporting: Exporting, images: readonly Image[], signal: AbortSignal): Promise<readonly HiddenReport[]> {
  const { engine, request, solved } = exporting;
  const mode = foldMode(engine, request);
  if (mode === 'off') return [];
  const isHinted = mode === 'hint' && hasMadeFiles(solved);
  const reports: HiddenReport[] = [];
  for (const { result, imageId, isNew } of images) {
    if (!isNew || !(isHinted || result.folded?.hidden !== undefined)) continue;
    const { reportHidden } = await import('./fold-image.ts');
    const report = await reportHidden(exporting, { result, imageId }, signal);
    if (report !== undefined) reports.push(report);
  }
  return reports;
}

/** How images came about that the store knows nothing of, or of another text, or in the form of another release. */
async function describeNew(exporting: Exporting, images: readonly Image[], signal: AbortSignal): Promise<DescribedImages | undefined> {
  const { engine, origin } = exporting;
  const source = digestOf(`${originVersion}\n${origin.source.name}\n${origin.source.text}`);
  const made = images.filter(({ imageId }) => engine.images.originsSource(imageId) !== source);
  if (made.length === 0) return undefined;
  const { keepingOrigins } = await import('./record-origins.ts');
  return await keepingOrigins(exporting, { made, source }, signal);
}

type Weighing = { readonly images: readonly Image[]; readonly described: DescribedImages | undefined; readonly tags: readonly string[] };

/** What the new ones weigh, and those that take a name from another image; all of them where there are limits. A build that changes nothing loads nothing for it. */
async function weighNew(
  exporting: Exporting,
  { images, described, tags }: Weighing,
  signal: AbortSignal,
): Promise<(WeighedImages & { readonly isTold: boolean }) | undefined> {
  const { engine, budgets = [] } = exporting;
  const [tag] = tags;
  const isMoved = tag !== undefined && !images.some(({ imageId }) => engine.images.find(tag)?.imageId === imageId);
  const isTold = isMoved || images.some(({ isNew }) => isNew);
  if (budgets.length === 0 && !isTold) return undefined;
  const { weighBuilt } = await import('./weigh-built.ts');
  const weighed = images.map((image) => ({ ...image, record: described?.records.get(image.imageId) }));
  return { ...(await weighBuilt(exporting, weighed, tags, signal)), isTold };
}
