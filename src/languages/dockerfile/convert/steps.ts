/** What each instruction makes of the image, for whoever shows and keeps all steps: `FrontendResult.steps`. */
import type { Digest } from '#ground/base/digest-form.ts';
import { addClassicHistory, finishDraft } from '#languages/frontend/config-draft.ts';
import type { DraftedImage, DraftedStep } from '#languages/frontend/contract.ts';
import type { Dockerfile } from '../ast.ts';
import type { PlannedStep } from './plan.ts';
import { noCommand } from './history.ts';
import { spend, type Conversion, type StageState } from './state.ts';

/** What an entry of a history that is kept once more costs. */
const entryCost = 8;

/** After `step` was applied; undefined: after FROM. Does nothing where nobody wants the steps. */
export function addDraftedStep(state: StageState, step: PlannedStep | undefined, conversion: Conversion): void {
  if (conversion.plan.options.isClassic !== true || conversion.isDry) return;
  const { from } = state.stage.source;
  spend(conversion, state.draft.history.length * entryCost, [from.span]);
  const before = conversion.drafted.at(-1)?.image;
  const vertex =
    before?.stage === state.stage.index && before.files === state.files?.vertex.digest ? undefined : state.files?.vertex.digest;
  conversion.drafted.push({
    text: step === undefined ? from.source : step.instruction.source,
    kind: step === undefined ? 'from' : kindOf(step, vertex),
    isTrigger: step?.anchor !== undefined,
    line: (step?.anchor ?? step?.instruction.span ?? from.span).start.line,
    vertex,
    images: step === undefined ? baseOf(state) : imagesOf(state, step),
    image: imageOf(state),
  });
}

function kindOf({ instruction }: PlannedStep, vertex: Digest | undefined): DraftedStep['kind'] {
  if (instruction.kind === 'copy' || instruction.kind === 'add') return 'copy';
  return vertex === undefined ? 'settings' : 'run';
}

function baseOf({ stage, files }: StageState): readonly Digest[] {
  return stage.base.kind === 'image' && files !== undefined ? [files.vertex.digest] : [];
}

/** Those that the step reads beside what is below it. */
function imagesOf({ files }: StageState, { origins }: PlannedStep): readonly Digest[] {
  if (!origins.some(({ kind }) => kind === 'image')) return [];
  const own = files?.vertex;
  const copying = own?.op.kind === 'merge' ? own.inputs.map(({ vertex }) => vertex) : [];
  return [own, ...copying]
    .flatMap((one) => (one?.inputs ?? []).map(({ vertex }) => vertex))
    .flatMap(({ op, digest }) => (op.kind === 'source-image' ? [digest] : []));
}

function imageOf(state: StageState): DraftedImage {
  return {
    stage: state.stage.index,
    config: finishDraft(state.draft),
    files: state.files?.vertex.digest,
    layers: state.layers.length,
    baseImage: state.baseImage,
  };
}

/** The ARG instructions above the first FROM: steps without an image. */
export function globalSteps({ globalArguments }: Dockerfile): readonly DraftedStep[] {
  return globalArguments.map(({ source }) => ({
    text: source,
    kind: 'global',
    isTrigger: false,
    vertex: undefined,
    images: [],
    image: undefined,
  }));
}

/** `--label` is one more LABEL at the end, by name. */
export function addLabelStep(state: StageState, { plan, drafted }: Conversion): void {
  const { labels } = plan.options;
  if (labels.size === 0) return;
  const pairs = [...labels].map(([name, value]) => `${name}=${value}`).toSorted();
  const text = `LABEL ${pairs.join(' ')}`;
  addClassicHistory(state.draft, noCommand(state.draft, ` ${text}`), false);
  drafted.push({ text, kind: 'settings', isTrigger: false, vertex: undefined, images: [], image: imageOf(state) });
}
