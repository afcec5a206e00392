/** Keeps the step that failed a build: what it left, and all that is needed to look at it and to run it again. */
import type { ExecOp } from '#formats/graph/op.ts';
import type { Vertex } from '#formats/graph/vertex.ts';
import { digestOf } from '#ground/base/digest.ts';
import { messageOf } from '#ground/base/errors.ts';
import type { KeptFailure, TreeSource } from '#execution/worker/contract.ts';
import type { FailedInput, FailedStep } from '#execution/builds/failed-step.ts';
import type { Report } from '#formats/progress/event.ts';
import { rememberedWords } from './asked.ts';
import type { BuildRequest } from './build-requests.ts';
import type { BuildSource } from './build-source.ts';
import type { Engine } from './open.ts';

/** A RUN whose process failed. */
export type StepFailure = {
  readonly vertex: Vertex;
  readonly op: ExecOp;
  readonly inputs: readonly (TreeSource | undefined)[];
  readonly kept: KeptFailure;
};

export type FailureToKeep = {
  readonly failure: StepFailure;
  readonly build: { readonly id: string; readonly project: string };
  readonly request: BuildRequest;
  readonly source: BuildSource;
  readonly message: string;
  /** Name of its log. */
  readonly log: string | undefined;
  /** What may be shown of a text. */
  readonly mask: (text: string) => string;
};

/** Enters it, after its build; gives what was entered. What cannot be kept is reported, not thrown. */
export async function keepFailure(engine: Engine, given: FailureToKeep, report: Report): Promise<FailedStep | undefined> {
  try {
    const { describeFailed } = await import('#execution/builds/failed-step.ts');
    const { vertex, op, inputs, kept } = given.failure;
    const root = op.root === null ? undefined : inputs[op.root];
    const step: FailedStep = {
      ...describeFailed(vertex, op),
      code: kept.code,
      message: given.mask(given.message),
      inputs: inputs.map(toInput),
      state: kept.snapshot ?? (root?.kind === 'snapshot' ? root.snapshot : null),
      wrote: kept.snapshot !== undefined,
      reason: kept.reason === undefined ? null : given.mask(kept.reason),
      log: given.log ?? null,
      request: requestOf(given),
      source: sourceOf(given),
    };
    (await engine.failedSteps()).keep({ project: given.build.project, build: given.build.id, failedAt: engine.now(), step });
    return step;
  } catch (error) {
    report({ kind: 'note', text: `The state of the failed step is not kept: ${messageOf(error)}` });
    return undefined;
  }
}

function toInput(source: TreeSource | undefined): FailedInput {
  if (source === undefined) return { kind: 'empty' };
  return source.kind === 'snapshot' ? source : { ...source, ignore: [...source.ignore] };
}

function requestOf(given: FailureToKeep): FailedStep['request'] {
  const asked = rememberedWords(given.request, given.mask);
  return asked === undefined ? null : { words: [...asked.words], folder: asked.folder, source: sourceOf(given) };
}

/** The edited command failed once more: it is still the line of the file that was edited. */
function sourceOf({ request: { edit }, source, failure }: FailureToKeep): string {
  const isEdited = edit !== undefined && failure.vertex.label.at?.[0]?.start.line === edit.line;
  return isEdited ? edit.source : digestOf(source.text);
}
