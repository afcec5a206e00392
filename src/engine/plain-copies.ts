/** `jettison check --libs`: the plain instructions that stand for each `COPY --libs` of the build that made an image, for builders that do not know the flag. */
import { JettisonError } from '#ground/base/errors.ts';
import type { OriginStep } from '#formats/origins/record.ts';
import { parseSnapshotId, type BroughtLibrary } from '#execution/worker/contract.ts';
import { fixOf } from './check-payload.ts';
import { findForPlatform, findImage } from './images.ts';
import { recordOf } from './known-origins.ts';
import type { Engine } from './open.ts';
import type { PlainCopies } from './payload-requests.ts';
import { fromOf } from './payload-steps.ts';

/** Throws `image/not-found`, `oci/no-such-platform`, `engine/no-libs`. */
export async function plainCopies(
  engine: Engine,
  { name, platform }: { readonly name: string; readonly platform: string | undefined },
  signal: AbortSignal,
): Promise<PlainCopies> {
  engine.hold();
  const { imageId } = platform === undefined ? findImage(engine, name) : findForPlatform(engine, name, platform);
  const origins = recordOf(engine, imageId);
  const steps = origins?.steps.filter(({ text }) => libs.test(text)) ?? [];
  if (origins === undefined || steps.length === 0) {
    const why = origins === undefined ? `It is not known which build made "${name}"` : `"${name}" was built without "COPY --libs"`;
    throw new JettisonError('engine/no-libs', why, {
      hint:
        origins === undefined ? 'Build it again in this store' : '"jettison check" says what an image lacks, and the lines that bring it',
    });
  }
  const snapshots = steps.map((step) => parseSnapshotId(step.snapshot ?? lost(step)));
  const found = await (await engine.worker(signal)).listLibraries(snapshots, signal);
  const copies = steps.map((step, index) => ({ step, lines: linesOf(step, found[index] ?? lost(step)) }));
  return {
    dockerfile: origins.dockerfile,
    copies: copies.map(({ step: { text, stage, line }, lines }) => ({
      instruction: text,
      stage: stage ?? undefined,
      line: line ?? undefined,
      lines,
    })),
  };
}

const libs = /^COPY\s(?:--\S+\s+)*--libs(?:=true)?\s/iu;

function linesOf({ text }: OriginStep, brought: readonly BroughtLibrary[]): readonly string[] {
  const stage = fromOf(text) ?? '';
  const plain = text.replace(/\s--libs(?:=true)?(?=\s)/iu, '');
  return [plain, ...brought.map(({ source, destination }) => fixOf({ stage, source, destination }).line)];
}

/** It was pruned, or came from a cache elsewhere, where nobody keeps this. */
function lost({ text }: OriginStep): never {
  throw new JettisonError('engine/no-libs', `What "${text}" brought is not known in this store`, {
    hint: 'Build it again, without the cache ("--no-cache") where the step came from one of another store',
  });
}
