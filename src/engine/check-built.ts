/** The payload check at the end of a build: of images that start in a new way, or whose check somebody insists on. */
import { neededFor } from '#formats/graph/vertex.ts';
import type { ImageConfig } from '#formats/oci/image-config.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Digest } from '#ground/base/digest.ts';
import { checkFiles } from './check-payload.ts';
import type { BuiltResult, Exporting } from './gather-cache.ts';
import type { PayloadCheck } from './payload-requests.ts';
import type { StepFact } from './payload-steps.ts';
import { recordOfResult } from './record-origins.ts';
import { stepSnapshot } from './step-snapshot.ts';

/** Throws `engine/payload` for an image that is certain not to start, where the request asks for that; then no image has been entered. */
export async function checkBuilt(
  exporting: Exporting,
  images: readonly { readonly result: BuiltResult; readonly imageId: Digest; readonly config: ImageConfig }[],
  signal: AbortSignal,
): Promise<readonly PayloadCheck[]> {
  const { engine, origin, request } = exporting;
  const checks: PayloadCheck[] = [];
  for (const { result, imageId, config } of images) {
    const steps = stepsOf(exporting, result);
    checks.push(
      await checkFiles(
        engine,
        { imageId, config, top: result.top, steps, dockerfile: origin.source.name, record: recordOfResult(exporting, result) },
        signal,
      ),
    );
  }
  const errors = checks.flatMap(({ findings }) => findings.filter(({ severity }) => severity === 'error'));
  const [first] = errors;
  if (request.check !== 'error' || first === undefined) return checks;
  const lines = [...new Set(checks.flatMap((check) => check.lines))];
  const notes = errors.slice(1).map(({ message }) => message);
  const hint = lines.length > 0 ? `Add to the final stage:\n${lines.join('\n')}` : first.hint;
  throw new JettisonError('engine/payload', `The image would not start: ${first.message}`, {
    notes,
    ...(hint === undefined ? {} : { hint }),
  });
}

function stepsOf(exporting: Exporting, { drafted }: BuiltResult): readonly StepFact[] {
  if (drafted.goal === undefined || exporting.solved === undefined) return [];
  return neededFor(drafted.goal).map(({ digest, label: { text, stage, at } }) => ({
    text,
    stage,
    line: at?.[0]?.start.line,
    snapshot: stepSnapshot(exporting, digest),
  }));
}
