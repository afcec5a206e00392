/** The document of `jettison builds inspect --format json`. */
import type { BuildStep, PastBuildDetails } from '#engine/past-build-requests.ts';
import type { BuildRecordDocument, BuildRecordStep } from './build-record.ts';
import { rootsOf } from './make-why.ts';

export function buildRecordDocument({ why, steps, error, ...facts }: PastBuildDetails): BuildRecordDocument {
  return {
    Version: 1,
    ID: facts.id,
    Names: facts.names,
    Status: facts.status,
    Context: facts.context,
    Dockerfile: facts.dockerfile,
    Target: facts.target,
    Platform: facts.platform,
    StartedAt: new Date(facts.startedAt).toISOString(),
    CompletedAt: facts.finishedAt === 0 ? null : new Date(facts.finishedAt).toISOString(),
    Duration: facts.finishedAt === 0 ? null : facts.finishedAt - facts.startedAt,
    NumTotalSteps: facts.total,
    NumCachedSteps: facts.cached,
    NumWarnings: facts.warnings,
    ReadBytes: facts.readBytes,
    PulledBytes: facts.pulledBytes,
    ImageID: facts.imageId,
    Error: error === null ? null : { Code: error.code, Message: error.message },
    Steps: steps.map(stepDocument),
    Why: why === undefined ? null : { roots: rootsOf(why) },
  };
}

function stepDocument(step: BuildStep): BuildRecordStep {
  return {
    Vertex: step.vertex,
    Name: stepName(step),
    Line: step.line,
    State: step.state,
    StartedAt: step.startedAt === 0 ? null : new Date(step.startedAt).toISOString(),
    Duration: step.finishedAt === 0 ? null : step.finishedAt - step.startedAt,
    Key: step.key ?? null,
    Message: step.message ?? null,
  };
}

/** `[build 2/5] RUN make` */
export function stepName({ text: words, stage, step, steps }: Pick<BuildStep, 'text' | 'stage' | 'step' | 'steps'>): string {
  const place = [stage ?? '', step === null ? '' : `${step}/${steps ?? step}`].filter((part) => part !== '').join(' ');
  return place === '' ? words : `[${place}] ${words}`;
}
