/** Puts the ledger of an image together from its layers, the record of how it came about, and what its steps weigh. */
import { imageChain, makerOf } from '#formats/origins/chain.ts';
import type { OriginRecord, OriginStep } from '#formats/origins/record.ts';
import { familiarReference, parseReference } from '#formats/oci/reference.ts';
import { parseDigest } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import type { HiddenLayer, WeighedFile } from '#execution/worker/contract.ts';
import type { StoredLedger } from '#stores/image/ledgers.ts';
import type {
  Ledger,
  LedgerChange,
  LedgerCopy,
  LedgerFile,
  LedgerHidden,
  LedgerImage,
  LedgerLayer,
  LedgerLine,
  LedgerStage,
  LedgerStep,
} from '../ledger-requests.ts';
import { differencesOf, lineOf, partsOf, type KnownWeights } from './parts.ts';

export type LedgerFacts = Pick<Ledger, 'image' | 'names' | 'platform'> & {
  /** Bottom first. */
  readonly layers: readonly { readonly size: number }[];
  /** What the history says of each layer, for those that no record knows. */
  readonly words: readonly string[];
  readonly record: OriginRecord | undefined;
  readonly weights: KnownWeights | null;
  readonly files: readonly WeighedFile[] | undefined;
  readonly hidden: readonly HiddenLayer[] | undefined;
  readonly before: StoredLedger['before'];
  /** Bytes of an image's layers; undefined where it is not here. */
  readonly sizeOf: (imageId: string) => number | undefined;
};

export function assembleLedger(facts: LedgerFacts): Ledger {
  const { image, names, platform, record, weights, files, before } = facts;
  const size = facts.layers.reduce((sum, layer) => sum + layer.size, 0);
  const layers = layersOf(facts);
  const baseSize = layers.reduce((sum, layer) => (layer.isBase ? sum + layer.size : sum), 0);
  const change = changeOf(before, record && partsOf(record, weights, baseSize));
  const plain = { image, names, platform, size, layers, before: change };
  if (record === undefined)
    return {
      ...plain,
      dockerfile: undefined,
      base: undefined,
      stages: [],
      images: [],
      repeated: 0,
      copies: [],
      files: undefined,
      hidden: undefined,
    };
  const { base } = imageChain(record);
  const stages = stagesOf(record, weights);
  const images = imagesOf(facts, record, base);
  const carried = [...stages, ...images].reduce((sum, one) => sum + one.carried, 0);
  return {
    ...plain,
    dockerfile: record.dockerfile === '' ? undefined : record.dockerfile,
    base:
      base === undefined
        ? undefined
        : { name: imageName(record.steps[base]), size: baseSize, layers: layers.filter(({ isBase }) => isBase).length },
    stages,
    images,
    repeated: weights === null ? 0 : Math.max(0, size - baseSize - carried),
    copies: copiesOf(record, weights),
    files: files?.map((file) => describeFile(file, record)),
    hidden: hiddenOf(facts, layers),
  };
}

/** Only what takes up space. */
function hiddenOf({ hidden }: LedgerFacts, layers: readonly LedgerLayer[]): readonly LedgerHidden[] | undefined {
  const own = layers.filter(({ isBase }) => !isBase);
  const lineAt = (at: number): LedgerLine => {
    const { text, stage, line } = own[at] ?? { text: '', stage: undefined, line: undefined };
    return { text, stage, line };
  };
  return hidden
    ?.filter(({ bytes }) => bytes > 0)
    .map(({ by, layer, files, bytes }) => ({ ...lineAt(by), files, size: bytes, of: lineAt(layer) }))
    .toSorted((a, b) => b.size - a.size);
}

function layersOf({ layers, words, record }: LedgerFacts): readonly LedgerLayer[] {
  const inherited = layers.length - (record?.layers.length ?? 0);
  return layers.map(({ size }, index) => {
    const step = index < inherited ? undefined : record?.steps[makerOf(record, record.layers[index - inherited]?.step ?? -1)];
    const line = step === undefined ? { text: words[index] ?? '', stage: undefined, line: undefined } : lineOf(step);
    return { ...line, size, isBase: record !== undefined && index < inherited };
  });
}

/** Stages in the order in which they stand in the file; the one that the image is of is the last. */
function stagesOf({ steps }: OriginRecord, weights: KnownWeights | null): readonly LedgerStage[] {
  const last = steps.at(-1);
  const final = last && stageOf(last);
  const names = [...new Set(steps.flatMap((step) => stageOf(step) ?? []))];
  const stages = names.map((name): LedgerStage => {
    const own = steps.flatMap((step, place) => (stageOf(step) === name ? [{ step, place }] : []));
    const lines = own.flatMap(({ step }) => step.line ?? []);
    const made = own
      .filter(({ step }) => isInstruction(step))
      .map(({ step, place }): LedgerStep => {
        const weight = weights?.steps[place];
        return { ...lineOf(step), built: weight?.made ?? undefined, carried: weight?.carried ?? 0 };
      });
    const built = made.reduce<number | undefined>(
      (sum, step) => (sum === undefined || step.built === undefined ? undefined : sum + step.built),
      0,
    );
    const carried = made.reduce((sum, step) => sum + step.carried, 0);
    const jettisoned = built === undefined ? undefined : built - carried;
    return {
      name,
      line: lines.length === 0 ? undefined : Math.min(...lines),
      isFinal: name === final,
      built,
      carried,
      jettisoned,
      steps: made,
    };
  });
  return stages.toSorted((a, b) => Number(a.isFinal) - Number(b.isFinal) || (a.line ?? 0) - (b.line ?? 0));
}

/** A Dockerfile's only stage needs no name. */
function stageOf(step: OriginStep): string | undefined {
  return step.stage ?? (isInstruction(step) ? 'stage-0' : undefined);
}

function isInstruction({ op }: OriginStep): boolean {
  return op.kind === 'run' || op.kind === 'file' || op.kind === 'container';
}

/** Sources that are no stage's work. */
function imagesOf({ weights, sizeOf }: LedgerFacts, { steps }: OriginRecord, base: number | undefined): readonly LedgerImage[] {
  return steps.flatMap((step, place) => {
    if (isInstruction(step) || step.op.kind === 'merge') return [];
    const carried = weights?.steps[place]?.carried ?? 0;
    if (step.op.kind !== 'image') return carried === 0 ? [] : [{ name: step.text, size: undefined, carried }];
    if (place === base && carried === 0) return [];
    return [{ name: imageName(step), size: step.op.imageId === null ? undefined : sizeOf(step.op.imageId), carried }];
  });
}

function copiesOf({ steps, layers }: OriginRecord, weights: KnownWeights | null): readonly LedgerCopy[] {
  return (weights?.copies ?? []).flatMap(({ step: place, from }) => {
    const step = steps[place];
    if (step === undefined) return [];
    const by = new Map<string, number>();
    for (const { step: origin, bytes } of from) by.set(sourceName(steps[origin]), (by.get(sourceName(steps[origin])) ?? 0) + bytes);
    const size = layers.find((layer) => makerOf({ steps }, layer.step) === place)?.size ?? 0;
    return [
      { ...lineOf(step), bytes: size, from: [...by].map(([name, bytes]) => ({ name, bytes })).toSorted((a, b) => b.bytes - a.bytes) },
    ];
  });
}

function sourceName(step: OriginStep | undefined): string {
  return step?.op.kind === 'image' ? imageName(step) : (step?.stage ?? step?.text ?? '');
}

/** As people type it. */
function imageName(step: OriginStep | undefined): string {
  if (step?.op.kind !== 'image') return step?.text ?? '';
  try {
    return familiarReference(parseReference(step.op.name));
  } catch (error) {
    if (isCode(error, 'oci/invalid-reference')) return step.op.name;
    throw error;
  }
}

function describeFile({ path, bytes, step, origin }: WeighedFile, { steps }: OriginRecord): LedgerFile {
  return { path, size: bytes, layer: placedLine(steps[step]), origin: { ...placedLine(steps[origin.step]), path: origin.path } };
}

function placedLine(step: OriginStep | undefined): LedgerLine {
  return step === undefined ? { text: '', stage: undefined, line: undefined } : lineOf(step);
}

function changeOf(before: StoredLedger['before'], now: ReturnType<typeof partsOf> | undefined): LedgerChange | undefined {
  if (before === null) return undefined;
  const lines = before.parts === null || now === undefined ? undefined : differencesOf(before.parts, now);
  return { name: familiarReference(parseReference(before.name)), image: parseDigest(before.image), size: before.size, lines };
}
