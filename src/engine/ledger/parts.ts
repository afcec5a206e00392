/** The bytes of an image by the instruction that made them, and what is different between two images. */
import { imageChain, makerOf } from '#formats/origins/chain.ts';
import type { OriginRecord, OriginStep } from '#formats/origins/record.ts';
import type { LedgerDifference, LedgerLine } from '../ledger-requests.ts';

/** Weights of the steps of a record, by place, as they are kept. */
export type KnownWeights = {
  readonly steps: readonly { readonly made: number | null; readonly wrote: number | null; readonly carried: number }[];
  readonly copies: readonly { readonly step: number; readonly from: readonly { readonly step: number; readonly bytes: number }[] }[];
};

export type Part = { readonly text: string; readonly stage: string | null; readonly line: number | null; readonly bytes: number };

/** All bytes of the image's layers, each with one instruction; without weights that of its layer. What came from an image has the COPY that brought it. */
export function partsOf(record: OriginRecord, weights: KnownWeights | null, baseSize: number): readonly Part[] {
  const { steps, layers } = record;
  const bytes = new Map<number, number>();
  const add = (place: number, count: number): void => void bytes.set(place, (bytes.get(place) ?? 0) + count);
  for (const { step: made, size } of layers) {
    const step = makerOf(record, made);
    const copied = weights?.copies.find((copy) => copy.step === step);
    if (copied === undefined) add(step, size);
    else for (const { step: origin, bytes: count } of copied.from) add(isMaker(steps[origin]) ? origin : step, count);
  }
  const parts = [...bytes]
    .toSorted(([a], [b]) => a - b)
    .flatMap(([place, count]) => (count === 0 ? [] : [{ ...placed(steps[place]), bytes: count }]));
  const { base } = imageChain(record);
  return baseSize === 0 || base === undefined ? parts : [{ ...placed(steps[base]), bytes: baseSize }, ...parts];
}

function isMaker(step: OriginStep | undefined): boolean {
  return step?.op.kind === 'run' || step?.op.kind === 'file' || step?.op.kind === 'container';
}

function placed(step: OriginStep | undefined): Omit<Part, 'bytes'> {
  return { text: step?.text ?? '', stage: step?.stage ?? null, line: step?.line ?? null };
}

/** Largest change first. An instruction is the same when its words and its stage are, else when only one of its kind in its stage is left on both sides. */
export function differencesOf(before: readonly Part[], now: readonly Part[]): readonly LedgerDifference[] {
  const left = [...before];
  const take = (matches: (one: Part) => boolean): Part | undefined => {
    const at = left.findIndex(matches);
    return at < 0 ? undefined : left.splice(at, 1)[0];
  };
  const pairs = new Map<Part, Part>();
  for (const isSame of sameness) {
    for (const one of now) {
      const other = pairs.has(one) ? undefined : take((old) => isSame(one, old));
      if (other !== undefined) pairs.set(one, other);
    }
  }
  const changes = now.map((one) => ({ ...lineOf(one), before: pairs.get(one)?.bytes ?? 0, size: one.bytes }));
  const gone = left.map((one) => ({ ...lineOf(one), before: one.bytes, size: 0 }));
  return [...changes, ...gone]
    .filter(({ before: old, size }) => old !== size)
    .toSorted((a, b) => Math.abs(b.size - b.before) - Math.abs(a.size - a.before));
}

const sameness: readonly ((one: Part, old: Part) => boolean)[] = [
  (one, old) => one.text === old.text && one.stage === old.stage,
  (one, old) => one.text === old.text,
  (one, old) => one.stage === old.stage && keyword(one) === keyword(old),
];

function keyword({ text }: Part): string {
  return text.slice(0, Math.max(0, text.indexOf(' '))).toUpperCase();
}

export function lineOf({ text, stage, line }: Omit<Part, 'bytes'>): LedgerLine {
  return { text, stage: stage ?? undefined, line: line ?? undefined };
}
