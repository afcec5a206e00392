/** What the images of a build weigh: told at its end, kept beside each of them, and held against the limits that somebody set. */
import type { OriginRecord } from '#formats/origins/record.ts';
import { familiarReference, parseReference } from '#formats/oci/reference.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import type { ImageConfig } from '#formats/oci/image-config.ts';
import { parseDigest, type Digest } from '#ground/base/digest.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import type { LayerIdentity, Weights } from '#execution/worker/contract.ts';
import { openImageLedgers, type StoredLedger } from '#stores/image/ledgers.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { BuiltResult, Exporting } from './gather-cache.ts';
import { findForPlatform } from './images.ts';
import { assembleLedger } from './ledger/assemble.ts';
import { beforeOf, describeImage, keptLedger, storedWeights } from './ledger/stored-weights.ts';
import { recordOf } from './known-origins.ts';
import type { Span } from '#ground/base/span.ts';
import { breachesOf, type Breach } from './budgets.ts';
import { weighImage } from './ledger.ts';
import { hasMadeFiles } from './results.ts';
import type { BudgetLimit, Ledger } from './ledger-requests.ts';
import { whichImage } from './which-image.ts';

/** More than this are not looked at just to say something at the end of a build. */
const mostFiles = 20_000;

export type BuiltImage = {
  readonly result: BuiltResult;
  readonly imageId: Digest;
  readonly config: ImageConfig;
  readonly layers: readonly LayerIdentity[];
  /** Made by this build; undefined where the store has one already. */
  readonly record: OriginRecord | undefined;
};

export type WeighedImages = {
  readonly ledgers: readonly Ledger[];
  /** To be called in the transaction that enters the images, when they are there. */
  keep(): void;
};

/** So many files are looked at to say which one is too large, or new. */
const filesForBudgets = 1000;

/** The first of the names is the one whose image before is told. Starts no worker where no step ran and nothing had to be folded, unless there are limits. */
export async function weighBuilt(
  exporting: Exporting,
  images: readonly BuiltImage[],
  tags: readonly string[],
  signal: AbortSignal,
): Promise<WeighedImages> {
  const { engine, budgets = [] } = exporting;
  const largest = budgets.length > 0 ? filesForBudgets : 0;
  const ledgers: Ledger[] = [];
  const kept: { readonly imageId: Digest; readonly stored: StoredLedger }[] = [];
  for (const image of images) {
    const { imageId, config, layers } = image;
    const record = image.record ?? recordOf(engine, imageId);
    const found = record && (await weigh(exporting, { record, largest }, signal));
    const known = keptLedger(engine, imageId);
    const before = imageBefore(exporting, image, tags);
    const weights = found === undefined ? (known?.weights ?? weightsOfSame(exporting, record, before)) : storedWeights(found);
    const stored: StoredLedger = {
      version: 1,
      weights,
      before: before === undefined ? (known?.before ?? null) : beforeOf(engine, before.image, before.name),
    };
    kept.push({ imageId, stored });
    ledgers.push(
      assembleLedger({
        ...describeImage(engine, imageId, config),
        names: tags.map((tag) => familiarReference(parseReference(tag))),
        layers,
        record,
        weights,
        files: largest === 0 ? undefined : found?.files,
        hidden: undefined,
        before: stored.before,
      }),
    );
  }
  const store = openImageLedgers(engine.database);
  const keep = (): void => {
    for (const { imageId, stored } of kept) store.keep(imageId, stored);
  };
  return { ledgers, keep };
}

async function weigh(
  { engine, solved, results }: Exporting,
  { record, largest }: { readonly record: OriginRecord; readonly largest: number },
  signal: AbortSignal,
): Promise<Weights | undefined> {
  const wasFolded = results.some(({ folded }) => folded?.hidden !== undefined);
  if (largest === 0 && !wasFolded && !hasMadeFiles(solved)) return undefined;
  const worker = await engine.worker(signal);
  return await worker.weighSteps({ record, largest, ...(largest === 0 ? { mostFiles } : {}) }, signal);
}

type Before = { readonly image: ImageRecord; readonly name: string };

/** What the name stands for until now, if that is another image. */
function imageBefore({ engine, results }: Exporting, { imageId, result }: BuiltImage, [name]: readonly string[]): Before | undefined {
  if (name === undefined) return undefined;
  const image = results.length === 1 ? engine.images.find(name) : findOrNothing(exportingPlatform(engine, name, result));
  return image === undefined || image.imageId === imageId ? undefined : { image, name };
}

function exportingPlatform(engine: Exporting['engine'], name: string, { platform }: BuiltResult): () => ImageRecord {
  return () => findForPlatform(engine, name, printPlatform(platform));
}

function findOrNothing(find: () => ImageRecord): ImageRecord | undefined {
  try {
    return find();
  } catch (error) {
    if (isCode(error, 'image/not-found') || isCode(error, 'oci/no-such-platform')) return undefined;
    throw error;
  }
}

/** Where nothing but settings is new, the image before was made by the same steps. */
function weightsOfSame({ engine }: Exporting, record: OriginRecord | undefined, before: Before | undefined): StoredLedger['weights'] {
  if (record === undefined || before === undefined) return null;
  const other = recordOf(engine, before.image.imageId);
  const same =
    other?.steps.length === record.steps.length &&
    other.steps.every(({ snapshot }, place) => snapshot === record.steps[place]?.snapshot) &&
    // Of one of them something may have been left out.
    other.layers.map(({ diffId }) => diffId).join() === record.layers.map(({ diffId }) => diffId).join();
  return same ? (keptLedger(engine, before.image.imageId)?.weights ?? null) : null;
}

/**
 * Throws `engine/budget` for images that are more than they may be; they stay in the store, without a name. `made`: all images of the build.
 */
export async function demandBudgets(
  exporting: Exporting,
  made: readonly { readonly ledger: Ledger; readonly target: string | undefined }[],
  budgets: readonly BudgetLimit[],
  signal: AbortSignal,
): Promise<void> {
  const breaches: (Breach & { readonly ledger: Ledger })[] = [];
  const byTarget = differ(made.map(({ target }) => target));
  const byPlatform = differ(made.map(({ ledger }) => ledger.platform));
  for (const { ledger, target } of made) {
    if (breachesOf({ ledger, filesBefore: undefined }, budgets).length === 0) continue;
    const filesBefore = await filesOfBefore(exporting, ledger, signal);
    const prefix = whichImage({ target: byTarget ? target : undefined, platform: byPlatform ? ledger.platform : undefined });
    breaches.push(...breachesOf({ ledger, filesBefore }, budgets).map(({ text, line }) => ({ text: `${prefix}${text}`, line, ledger })));
  }
  const [first, ...others] = breaches;
  if (first === undefined) return;
  const { image, before } = first.ledger;
  const kept = before === undefined ? 'It is kept without a name' : `It is kept without a name, and ${before.name} is what it was`;
  const [name] = exporting.engine.images.get(parseDigest(image))?.names ?? [];
  throw new JettisonError('engine/budget', `The image is over its budget: ${first.text}`, {
    fault: 'limit',
    at: first.line?.line === undefined ? [] : [wholeLine(exporting.origin.source.name, first.line.line)],
    notes: others.map(({ text }) => `The image is over its budget: ${text}`),
    hint: `${name === undefined ? kept : `It was here before, as ${familiarReference(parseReference(name))}`}: "jettison ledger ${image.slice(7, 19)}" says more`,
  });
}

function differ(words: readonly (string | undefined)[]): boolean {
  return new Set(words).size > 1;
}

function wholeLine(file: string, line: number): Span {
  return { file, start: { line, column: 1 }, end: { line: line + 1, column: 1 } };
}

async function filesOfBefore(
  { engine, report }: Exporting,
  { before }: Ledger,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number> | undefined> {
  const image = before && engine.images.get(before.image);
  if (image === undefined) return undefined;
  const { files } = await weighImage(engine, { image, largest: filesForBudgets, report }, signal);
  return files && new Map(files.map(({ path, size }) => [path, size]));
}
