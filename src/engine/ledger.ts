/** `jettison ledger`: what each stage of an image's build made, what of it is in the image, and what is different from the image before. */
import { JettisonError } from '#ground/base/errors.ts';
import type { Report } from '#formats/progress/event.ts';
import type { OriginRecord } from '#formats/origins/record.ts';
import type { HiddenLayer, Weights } from '#execution/worker/contract.ts';
import type { StoredLedger } from '#stores/image/ledgers.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { unpackImage } from './fetch-image.ts';
import { findForPlatform, findImage } from './images.ts';
import { assembleLedger } from './ledger/assemble.ts';
import type { KnownWeights } from './ledger/parts.ts';
import { describeStored, keptLedger, storedWeights } from './ledger/stored-weights.ts';
import { recordOf } from './known-origins.ts';
import type { Ledger } from './ledger-requests.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import type { Engine } from './open.ts';

/** How many of the largest files are told where nobody says how many. */
export const usualFiles = 10;

export type LedgerRequest = {
  /** undefined: the image of the last build that gave one. */
  readonly name: string | undefined;
  readonly platform: string | undefined;
  /** How many files are wanted. */
  readonly largest: number;
};

/** Of an image of the store; of one that no build of this store made, only its layers. Throws `image/not-found`, `oci/no-such-platform`. */
export async function ledgerOf(
  engine: Engine,
  { name, platform, largest }: LedgerRequest,
  report: Report,
  signal: AbortSignal,
): Promise<Ledger> {
  engine.hold();
  const wanted = name ?? (await lastBuilt(engine));
  const image = platform === undefined ? findImage(engine, wanted) : findForPlatform(engine, wanted, platform);
  return await withoutLostSnapshots(engine, async () => await weighImage(engine, { image, largest, report }, signal), report, signal);
}

async function lastBuilt(engine: Engine): Promise<string> {
  for (const { imageId, status } of (await engine.builds()).list()) {
    if (status === 'done' && imageId !== null && engine.images.find(imageId) !== undefined) return imageId;
  }
  throw new JettisonError('engine/no-built-image', 'No build that is listed here gave an image that is here', {
    hint: 'Name an image: "jettison ledger IMAGE"',
  });
}

type Wanted = { readonly image: ImageRecord; readonly largest: number; readonly report: Report };

export async function weighImage(engine: Engine, { image, largest, report }: Wanted, signal: AbortSignal): Promise<Ledger> {
  const { imageId, layers } = image;
  const record = recordOf(engine, imageId);
  const kept = keptLedger(engine, imageId);
  const found = record && (await weighRecord(engine, { image, record, largest, report }, signal));
  const weights = bestOf(found?.weights, kept);
  return assembleLedger({
    ...describeStored(engine, image),
    layers,
    record,
    weights,
    files: found?.weights?.files,
    hidden: found?.hidden,
    before: kept?.before ?? null,
  });
}

async function weighRecord(
  engine: Engine,
  { image, record, largest, report }: Wanted & { readonly record: OriginRecord },
  signal: AbortSignal,
): Promise<{ readonly weights: Weights | undefined; readonly hidden: readonly HiddenLayer[] }> {
  const top = await unpackImage(engine, image, report, signal);
  const worker = await engine.worker(signal);
  const weights = await worker.weighSteps({ record, largest }, signal);
  const base = image.layers.length - record.layers.length;
  return { weights, hidden: top === undefined ? [] : await worker.findHidden({ top, base }, signal) };
}

/** Stages whose files are gone by now were weighed when the image was built. */
function bestOf(found: Weights | undefined, kept: StoredLedger | undefined): KnownWeights | null {
  const known = kept?.weights ?? null;
  if (found === undefined) return known;
  const isWhole = found.steps.every(({ made }) => made !== undefined);
  return isWhole || known === null || known.steps.some(({ made }) => made === null) ? storedWeights(found) : known;
}
