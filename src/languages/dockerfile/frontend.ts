/** The Dockerfile frontend: text to graph and image config. */
import { JettisonError } from '#ground/base/errors.ts';
import { createVertex, outputOf } from '#formats/graph/vertex.ts';
import type { ImageConfig } from '#formats/oci/image-config.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import { readEpoch, refuseUnbuiltArguments, unusedArguments } from '#languages/frontend/arguments.ts';
import { finishDraft } from '#languages/frontend/config-draft.ts';
import { goList } from '#languages/frontend/go-format.ts';
import type { DraftedStep, Frontend, FrontendOptions, StageUse } from '#languages/frontend/contract.ts';
import type { Dockerfile } from './ast.ts';
import { checkOptionsOf, failOnFindings, findingsOf } from './convert/findings.ts';
import { createSubject } from './convert/facts.ts';
import { failAtFirst } from './convert/faults.ts';
import { readHeads } from './convert/globals.ts';
import { findTarget, isCalled, neededStages, planStages, type Plan, type PlannedStage } from './convert/plan.ts';
import { resolveImages } from './convert/resolve.ts';
import { scansOf } from './convert/scans.ts';
import { convertStage } from './convert/stage.ts';
import { createConversion, factsOf, type StageState } from './convert/state.ts';
import { addLabelStep, globalSteps } from './convert/steps.ts';
import { readMarks } from './marks.ts';
import { parseDockerfile } from './parse.ts';

/**
 * Converts the stages that the target needs; images of other stages are not looked up. Throws one JettisonError with its places for
 * the first fault, `dockerfile/...` or whatever `outside` threw.
 */
export const dockerfileFrontend: Frontend = async (source, options, outside, signal) => {
  const { dockerfile, diagnostics } = parseDockerfile(source, options.file);
  failAtFirst(diagnostics);
  refuseForeignSyntax(dockerfile, options);
  refuseUnbuiltArguments(options.buildArgs);
  const epoch = readEpoch(options.buildArgs);
  const check = checkOptionsOf(dockerfile, options);
  const heads = readHeads(dockerfile, options);
  const plan = planStages(dockerfile, options, heads);
  const target = findTarget(plan);
  const images = await resolveImages(plan, [target], outside, signal);
  const conversion = createConversion(plan, images, (op, inputs, label) => outputOf(createVertex(op, inputs, label)));
  for (const stage of neededStages(target)) convertStage(stage, conversion);
  const stages = [...conversion.states.values()].map(factsOf);
  const findings = findingsOf(createSubject({ dockerfile, ...heads, stages, ignorePatterns: options.ignorePatterns ?? [] }), check);
  failOnFindings(findings, check);
  const state = conversion.states.get(target);
  if (!state) throw new JettisonError('dockerfile/unreachable', 'The target was not converted', { fault: 'bug' });
  for (const [name, value] of options.labels) state.draft.labels.set(name, value);
  if (options.isClassic === true) addLabelStep(state, conversion);
  return {
    goal: state.files,
    imageConfig: forPlatform(finishDraft(state.draft), options),
    layers: state.layers,
    baseImage: state.baseImage,
    diagnostics: findings,
    notes: [
      ...notesOn(unusedArguments(options.buildArgs, declaredIn(dockerfile, conversion.states.values()))),
      ...options.noCacheStages.filter((name) => !plan.stages.some((stage) => isCalled(stage, name))).map(noStageNote),
    ],
    scans: scansOf(target, conversion),
    epoch,
    stages: stageUses(plan, conversion.states),
    ...(options.isClassic === true
      ? { steps: [...globalSteps(dockerfile), ...conversion.drafted.map((step) => stepFor(step, options))] }
      : {}),
  };
};

/** What becomes of each stage of the file. */
function stageUses({ dockerfile, stages, byName }: Plan, needed: ReadonlyMap<PlannedStage, StageState>): readonly StageUse[] {
  const { gates } = readMarks(dockerfile);
  return stages.map((stage) => ({
    index: stage.index,
    // Of two of one name, the later has it.
    name: stage.name !== undefined && byName.get(stage.name) === stage ? stage.name : undefined,
    at: stage.source.from.span,
    isNeeded: needed.has(stage),
    isGate: gates.has(stage.source),
    runs: stage.source.instructions.some(({ kind }) => kind === 'run'),
  }));
}

/** Names that an ARG declares anywhere in the file, or in a trigger of a base. */
function declaredIn(dockerfile: Dockerfile, states: Iterable<StageState>): ReadonlySet<string> {
  const instructions = [...dockerfile.globalArguments, ...dockerfile.stages.flatMap((stage) => stage.instructions)];
  const written = instructions.flatMap((each) => (each.kind === 'arg' ? each.arguments.map(({ name }) => name.text) : []));
  return new Set([...written, ...[...states].flatMap((state) => [...state.arguments.keys()])]);
}

/** The classic builder's words. */
function notesOn(unused: readonly string[]): readonly string[] {
  return unused.length === 0 ? [] : [`[Warning] One or more build-args ${goList(unused)} were not consumed`];
}

/** Whoever misspells a stage would take old results for new ones. */
function noStageNote(name: string): string {
  return `[Warning] --no-cache-filter: there is no stage "${name}"`;
}

/** `# syntax=` (or BUILDKIT_SYNTAX) may name any version of Docker's own frontend: this one stands in for it. Another language is refused. */
function refuseForeignSyntax(dockerfile: Dockerfile, options: FrontendOptions): void {
  const directive = dockerfile.directives.find(({ name }) => name === 'syntax');
  const wanted = (options.buildArgs.get('BUILDKIT_SYNTAX') ?? directive?.value ?? '').split(/\s/u, 1)[0] ?? '';
  if (wanted === '' || /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?:[:@]|$)/u.test(wanted)) return;
  throw new JettisonError(
    'dockerfile/foreign-syntax',
    `Syntax image "${wanted.slice(0, 200)}" is not supported: only docker/dockerfile is built in`,
    {
      at: directive ? [directive.span] : [],
      hint: 'Remove the syntax line if the file is an ordinary Dockerfile',
    },
  );
}

function stepFor(step: DraftedStep, options: FrontendOptions): DraftedStep {
  return step.image === undefined ? step : { ...step, image: { ...step.image, config: forPlatform(step.image.config, options) } };
}

/** An image built for another platform than this machine's says so, whatever its base said. */
function forPlatform(image: ImageConfig, { platform, buildPlatform }: FrontendOptions): ImageConfig {
  if (printPlatform(platform) === printPlatform(buildPlatform)) return image;
  const { variant: _variant, ...rest } = image;
  return {
    ...rest,
    os: platform.os,
    architecture: platform.architecture,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
  };
}
