/** `jettison check`, and the end of `jettison build`: would a container of the image start, and what does it lack? */
import { decodeImageConfig, type ContainerConfig, type ImageConfig } from '#formats/oci/image-config.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import type { OriginRecord } from '#formats/origins/record.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { Report } from '#formats/progress/event.ts';
import { parseSnapshotId, type FoundRemedy, type PayloadFinding, type PayloadRecord, type SnapshotId } from '#execution/worker/contract.ts';
import { unpackImage } from './fetch-image.ts';
import { findForPlatform, findImage } from './images.ts';
import { recordOf } from './known-origins.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import type { Engine } from './open.ts';
import type { CheckedFinding, Fix, PayloadCheck } from './payload-requests.ts';
import { copiedLayers, finalStage, fromWord, stagesOf, withStageNames, type StepFact } from './payload-steps.ts';
import { wishOf } from './start-settings.ts';

/** What a container has other than its image. */
export type StartChange = Pick<ContainerConfig, 'Entrypoint' | 'Cmd' | 'Env' | 'User' | 'WorkingDir' | 'Healthcheck'>;

/** An image of the store. What is known of the build that made it helps: its stages and lines. Throws `image/not-found`, `oci/no-such-platform`. */
export async function checkImage(
  engine: Engine,
  { name, platform, start }: { readonly name: string; readonly platform: string | undefined; readonly start?: StartChange },
  report: Report,
  signal: AbortSignal,
): Promise<PayloadCheck> {
  engine.hold();
  const record = platform === undefined ? findImage(engine, name) : findForPlatform(engine, name, platform);
  const check = async (): Promise<PayloadCheck> => {
    const top = await unpackImage(engine, record, report, signal);
    const origins = recordOf(engine, record.imageId);
    const { config, ...rest } = decodeImageConfig(record.config, record.imageId);
    return await checkFiles(
      engine,
      {
        imageId: record.imageId,
        config: { ...rest, config: { ...config, ...start } },
        top,
        steps: origins === undefined ? [] : stepsOf(origins),
        dockerfile: origins?.dockerfile || undefined,
        record: origins,
      },
      signal,
    );
  };
  return await withoutLostSnapshots(engine, check, report, signal);
}

export type CheckedImage = {
  readonly imageId: Digest;
  readonly config: ImageConfig;
  readonly top: SnapshotId | undefined;
  /** Of the build that made it; none where nobody knows. */
  readonly steps: readonly StepFact[];
  readonly dockerfile: string | undefined;
  /** How it came about; undefined where nobody knows. */
  readonly record: PayloadRecord | undefined;
};

export async function checkFiles(
  engine: Engine,
  { imageId, config, top, steps, dockerfile, record }: CheckedImage,
  signal: AbortSignal,
): Promise<PayloadCheck> {
  const worker = await engine.worker(signal);
  const wish = { top, ...wishOf(config), stages: stagesOf(steps), copies: copiedLayers(steps), record: record && withStageNames(record) };
  const gone = new Set(await worker.missing([...wish.stages.map((stage) => stage.top), ...wish.copies], signal));
  const here = {
    ...wish,
    stages: wish.stages.filter((stage) => !gone.has(stage.top)),
    copies: wish.copies.filter((snapshot) => !gone.has(snapshot)),
  };
  const found = await worker.findPayload(here, signal);
  const findings = found.findings.map((finding) => describe(finding, steps));
  const stage = finalStage(steps);
  const lines = [...new Set(findings.flatMap(({ fixes }) => fixes.map(({ line }) => line)))];
  return {
    imageId,
    platform: printPlatform(config),
    findings,
    programs: found.programs,
    lines,
    dockerfile,
    stage: stage === undefined ? undefined : fromWord(stage),
  };
}

function describe({ layer, remedies, ...finding }: PayloadFinding, steps: readonly StepFact[]): CheckedFinding {
  const step = layer === undefined ? undefined : steps.findLast(({ snapshot, text }) => snapshot === layer && !/^FROM\b/iu.test(text));
  return { ...finding, origin: step && { text: step.text, stage: step.stage, line: step.line }, fixes: remedies.map(fixOf) };
}

/** Both paths are words, in JSON too, in which variables, quotation marks and backslashes mean something. */
export function fixOf({ stage, source, destination }: FoundRemedy): Fix {
  const words = [patternFor(source), destination].map((path) => path.replaceAll(/[\\$"']/gu, '\\$&'));
  const paths = /\s/u.test(source + destination) ? JSON.stringify(words) : words.join(' ');
  return { stage, source, destination, line: `COPY --from=${stage} ${paths}` };
}

/** Names up to the first with a wildcard are taken as they stand, backslashes too; a wildcard behind a backslash is none, and the backslash stays. */
function patternFor(path: string): string {
  const names = path.split('/');
  const first = names.findIndex((name) => /[*?[]/u.test(name));
  if (first < 0) return path;
  return names.map((name, index) => (index < first ? name : name.replaceAll(/[*?[]/gu, '[$&]').replaceAll('\\', '\\\\'))).join('/');
}

/** The steps of the build that made an image, as the check takes them. */
function stepsOf(origins: OriginRecord): readonly StepFact[] {
  // Of a folded image the files of a step lie in the layer that is left of its own.
  const layers = new Map(origins.layers.map(({ step, snapshot }) => [step, snapshot]));
  return origins.steps.map(({ text, stage, line, snapshot: built }, place) => {
    const snapshot = layers.get(place) ?? built;
    return {
      text,
      stage: stage ?? undefined,
      line: line ?? undefined,
      snapshot: snapshot === null ? undefined : parseSnapshotId(snapshot),
    };
  });
}
