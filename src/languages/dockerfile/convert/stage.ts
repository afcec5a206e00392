/** Applies the steps of a stage one after the other. */
import { unreachable } from '#ground/base/errors.ts';
import { goList } from '#languages/frontend/go-format.ts';
import { convertCopy, convertWorkdir } from './copy.ts';
import type { StepFacts } from './facts.ts';
import type { PlannedStage, PlannedStep } from './plan.ts';
import { convertRun } from './run.ts';
import {
  convertArg,
  convertCmd,
  convertEntrypoint,
  convertEnv,
  convertExpose,
  convertHealthcheck,
  convertLabel,
  convertStopSignal,
  convertUser,
  convertVolume,
} from './settings.ts';
import { record, recordClassic } from './history.ts';
import { openStage, spend, type Conversion, type StageState, type StepContext } from './state.ts';
import { addDraftedStep } from './steps.ts';

/** Stages that this one needs must have been converted before. */
export function convertStage(stage: PlannedStage, conversion: Conversion): StageState {
  const state = openStage(stage, conversion);
  conversion.states.set(stage, state);
  addDraftedStep(state, undefined, conversion);
  for (const step of stage.steps) {
    convertStep(state, step, conversion);
    addDraftedStep(state, step, conversion);
  }
  return state;
}

const none: readonly never[] = [];

function convertStep(state: StageState, step: PlannedStep, conversion: Conversion): void {
  const { instruction } = step;
  const at = [step.anchor ?? instruction.span];
  const facts: StepFacts = {
    instruction,
    at,
    undefinedVariables: undefined,
    names: none,
    arguments: none,
    mounts: none,
    path: '',
    ports: none,
    contextPaths: none,
    shell: state.draft.shell,
  };
  state.steps.push(facts);
  const { history } = state.draft;
  const before = history.length;
  apply({ state, conversion, step, at, facts });
  if (history.length > before) spend(conversion, history.at(-1)?.created_by?.length ?? 0, at);
}

function apply(context: StepContext): void {
  const { draft } = context.state;
  const { instruction } = context.step;
  switch (instruction.kind) {
    case 'arg':
      return convertArg(context, instruction);
    case 'env':
      return convertEnv(context, instruction);
    case 'label':
      return convertLabel(context, instruction);
    case 'run':
      return convertRun(context, instruction);
    case 'cmd':
      return convertCmd(context, instruction);
    case 'entrypoint':
      return convertEntrypoint(context, instruction);
    case 'copy':
    case 'add':
      return convertCopy(context, instruction);
    case 'workdir':
      return convertWorkdir(context, instruction);
    case 'user':
      return convertUser(context, instruction);
    case 'stopsignal':
      return convertStopSignal(context, instruction);
    case 'expose':
      return convertExpose(context, instruction);
    case 'volume':
      return convertVolume(context, instruction);
    case 'healthcheck':
      return convertHealthcheck(context, instruction);
    case 'shell':
      draft.shell = instruction.arguments.map((word) => word.text);
      return record(context, () => `SHELL ${goList(draft.shell)}`);
    case 'maintainer':
      draft.author = instruction.name.text;
      return record(context, () => `MAINTAINER ${draft.author}`);
    case 'onbuild':
      draft.onBuild.push(instruction.expression);
      return recordClassic(context, `ONBUILD ${instruction.expression}`);
    default:
      return unreachable(instruction, 'instruction');
  }
}
