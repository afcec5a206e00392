/** Layers of new images without what later ones hide, and what a build says of it. Loaded where somebody asks for it, or where an image is new. */
import { neededFor } from '#formats/graph/vertex.ts';
import { diffIdsOf, type ImageConfig } from '#formats/oci/image-config.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import { clean } from '#ground/base/errors.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { FoldedLayers, HiddenLayer, LayersAbove } from '#execution/worker/contract.ts';
import type { FoldedChain } from './folded-chains.ts';
import type { HiddenReport, HidingStep } from './fold-requests.ts';
import type { BuiltResult, Exporting } from './gather-cache.ts';
import type { Engine } from './open.ts';

/** What was built, as an image without what is hidden is to be made of it: some of its instructions have no layer any more. Takes a worker where this chain was never folded. */
export async function foldResult(engine: Engine, result: BuiltResult, signal: AbortSignal): Promise<BuiltResult> {
  return await foldWith(result, async (built) => engine.foldedChains.find(built) ?? (await foldNow(engine, built, signal)));
}

/** The same by another who folds. */
export async function foldWith(
  result: BuiltResult,
  foldLayers: (built: LayersAbove) => Promise<FoldedChain & { readonly hidden?: readonly HiddenLayer[] }>,
): Promise<BuiltResult> {
  const built = layersAbove(result);
  if (built === undefined) return result;
  const folded = await foldLayers(built);
  const { drafted } = result;
  const kept = new Set(folded.kept);
  const imageConfig = withoutLayers(drafted.imageConfig, { own: drafted.layers.length, kept });
  return {
    ...result,
    drafted: { ...drafted, imageConfig, layers: drafted.layers.filter((_, index) => kept.has(index)) },
    folded: { top: folded.top, built, layers: drafted.layers, ...(folded.hidden === undefined ? {} : { hidden: folded.hidden }) },
  };
}

async function foldNow(engine: Engine, built: LayersAbove, signal: AbortSignal): Promise<FoldedLayers> {
  const worker = await engine.worker(signal);
  const folded = await worker.foldLayers(built, signal);
  engine.foldedChains.save(built, folded);
  return folded;
}

/** What layers of the build hide of an image that is new in the store; undefined for nothing. */
export async function reportHidden(
  exporting: Exporting,
  { result, imageId }: { readonly result: BuiltResult; readonly imageId: Digest },
  signal: AbortSignal,
): Promise<HiddenReport | undefined> {
  const { engine, origin } = exporting;
  const built = layersAbove(result);
  if (built === undefined) return undefined;
  const isFolded = result.folded !== undefined;
  const found = isFolded ? result.folded?.hidden : await (await engine.worker(signal)).findHidden(built, signal);
  if (found === undefined || found.length === 0) return undefined;
  const steps = stepsOf(exporting, result, found);
  const bytes = sum(found, (one) => one.bytes);
  return { imageId, platform: printPlatform(result.platform), isFolded, dockerfile: origin.source.name, bytes, steps };
}

/** The layers that this build has put over a base image; undefined where there are none. */
function layersAbove({ drafted, top, folded }: BuiltResult): LayersAbove | undefined {
  if (folded !== undefined) return folded.built;
  if (top === undefined || drafted.layers.length === 0) return undefined;
  return { top, base: drafted.baseImage === undefined ? 0 : diffIdsOf(drafted.baseImage.config).length };
}

/** Every instruction stays in the history; those that are not kept have no layer there. */
function withoutLayers(config: ImageConfig, { own, kept }: { readonly own: number; readonly kept: ReadonlySet<number> }): ImageConfig {
  const history = config.history ?? [];
  let at = own - history.filter((entry) => entry.empty_layer !== true).length;
  return {
    ...config,
    history: history.map((entry) => {
      if (entry.empty_layer === true) return entry;
      const index = at++;
      return index < 0 || kept.has(index) ? entry : { ...entry, empty_layer: true };
    }),
  };
}

function stepsOf({ guard }: Exporting, { drafted, folded }: BuiltResult, found: readonly HiddenLayer[]): readonly HidingStep[] {
  const labels = new Map(drafted.goal === undefined ? [] : neededFor(drafted.goal).map(({ digest, label }) => [digest, label]));
  const layers = folded?.layers ?? drafted.layers;
  const stepOf = (layer: number) => {
    const vertex = layers[layer];
    const label = vertex === undefined ? undefined : labels.get(vertex);
    return { text: guard.mask(clean(label?.text ?? '')), stage: label?.stage ?? null, line: label?.at?.[0]?.start.line ?? null };
  };
  return [...Map.groupBy(found, ({ by }) => by)].map(([by, hidden]) => ({
    ...stepOf(by),
    files: sum(hidden, ({ files }) => files),
    bytes: sum(hidden, ({ bytes }) => bytes),
    credentials: hidden.flatMap(({ credentials }) => credentials).map((path) => guard.mask(clean(path))),
    of: hidden.map(({ layer, files, bytes }) => {
      const { text, line } = stepOf(layer);
      return { text, line, files, bytes };
    }),
  }));
}

function sum(hidden: readonly HiddenLayer[], count: (one: HiddenLayer) => number): number {
  return hidden.reduce((total, one) => total + count(one), 0);
}
