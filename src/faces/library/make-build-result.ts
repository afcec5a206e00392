/** A build's outcome for other programs. */
import { checkDocument } from '#faces/documents/make-check.ts';
import { ledgerDocument } from '#faces/documents/make-ledger.ts';
import { rootsOf } from '#faces/documents/make-why.ts';
import type { BuildOutcome } from '#engine/build-requests.ts';
import type { HiddenReport } from '#engine/fold-requests.ts';
import type { BuildResult, BuiltImage, HiddenFiles } from './build-result.ts';

export function buildResult(outcome: BuildOutcome): BuildResult {
  const { id, image, names, steps, unbuilt, payloads, ledgers, hidden, targets = [], why, timing } = outcome;
  return {
    build: id,
    image: builtImage(image),
    names,
    steps,
    unbuilt,
    checks: payloads.map(checkDocument),
    ledgers: ledgers.map(ledgerDocument),
    hidden: hidden.map(hiddenFiles),
    targets: targets.map((one) => ({ target: one.target, image: builtImage(one.image), names: one.names })),
    why: rootsOf(why),
    timing,
  };
}

function hiddenFiles({ imageId, platform, isFolded, dockerfile, bytes, steps }: HiddenReport): HiddenFiles {
  return {
    image: imageId,
    platform,
    folded: isFolded,
    dockerfile,
    size: bytes,
    steps: steps.map(({ text, stage, line, files, bytes: size, credentials, of }) => ({
      instruction: text,
      stage,
      line,
      files,
      size,
      credentials,
      of: of.map((one) => ({ instruction: one.text, line: one.line, files: one.files, size: one.bytes })),
    })),
  };
}

function builtImage(image: BuildOutcome['image']): BuiltImage | null {
  if (image === undefined) return null;
  const { id, all, created, isKept, manifest } = image;
  return {
    id,
    all: all.map((one) => ({ platform: one.platform, id: one.id })),
    created: new Date(created).toISOString(),
    isKept,
    manifest: manifest === undefined ? null : { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.size },
  };
}
