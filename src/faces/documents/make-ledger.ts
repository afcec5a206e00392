/** The document of `jettison ledger --json` from a ledger. */
import type { Ledger, LedgerLine } from '#engine/ledger-requests.ts';
import type { LedgerDocument, LedgerLineDocument } from './ledger.ts';

export function ledgerDocument(ledger: Ledger): LedgerDocument {
  const { image, names, platform, dockerfile, size, base, repeated, before } = ledger;
  return {
    version: 1,
    image,
    names,
    platform,
    dockerfile: dockerfile ?? null,
    size,
    base: base ?? null,
    stages: ledger.stages.map(({ name, line, isFinal, built, carried, jettisoned, steps }) => ({
      name,
      line: line ?? null,
      final: isFinal,
      built: built ?? null,
      carried,
      jettisoned: jettisoned ?? null,
      steps: steps.map((step) => ({ ...lineDocument(step), built: step.built ?? null, carried: step.carried })),
    })),
    images: ledger.images.map((one) => ({ name: one.name, size: one.size ?? null, carried: one.carried })),
    repeated,
    copies: ledger.copies.map((copy) => ({
      ...lineDocument(copy),
      size: copy.bytes,
      from: copy.from.map(({ name, bytes }) => ({ name, size: bytes })),
    })),
    layers: ledger.layers.map((layer) => ({ ...lineDocument(layer), size: layer.size, base: layer.isBase })),
    files: (ledger.files ?? []).map(({ path, size: bytes, layer, origin }) => ({
      path,
      size: bytes,
      layer: lineDocument(layer),
      origin: { ...lineDocument(origin), path: origin.path },
    })),
    hidden: ledger.hidden?.map((one) => ({ ...lineDocument(one), files: one.files, size: one.size, of: lineDocument(one.of) })) ?? null,
    before:
      before === undefined
        ? null
        : {
            name: before.name,
            image: before.image,
            size: before.size,
            lines: before.lines?.map((line) => ({ ...lineDocument(line), before: line.before, size: line.size })) ?? null,
          },
  };
}

function lineDocument({ text, stage, line }: LedgerLine): LedgerLineDocument {
  return { instruction: text, stage: stage ?? null, line: line ?? null };
}
