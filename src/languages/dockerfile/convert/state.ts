/** A stage while its instructions are applied one after the other. */
import { clean, JettisonError } from '#ground/base/errors.ts';
import { parseDigest, type Digest } from '#ground/base/digest-form.ts';
import type { Span } from '#ground/base/span.ts';
import type { Edge, Label } from '#formats/graph/vertex.ts';
import { copyFolder } from '#formats/graph/copy.ts';
import type { FileOp, Op } from '#formats/graph/op.ts';
import { normalPlatform, platformRank, printPlatform, type Platform } from '#formats/oci/platform.ts';
import { proxyEnvironment } from '#languages/frontend/arguments.ts';
import { addHistory, defaultPath, draftOf, draftOn, emptyDraft, type ConfigDraft } from '#languages/frontend/config-draft.ts';
import type { DraftedStep, ResolvedImage } from '#languages/frontend/contract.ts';
import { createExpander, type Expand, type WordRules } from '#languages/frontend/words.ts';
import type { StageFacts, StepFacts } from './facts.ts';
import { resolvePath } from './paths.ts';
import {
  isCalled,
  stageLabel,
  type NamedFolder,
  type Origin,
  type Plan,
  type PlannedStage,
  type PlannedStep,
  type WantedImage,
} from './plan.ts';
import type { ResolvedImages } from './resolve.ts';

export type StageState = {
  readonly stage: PlannedStage;
  readonly draft: ConfigDraft;
  /** What a process would see: the image's environment and the build arguments in force. */
  readonly variables: Map<string, string>;
  /** Build arguments declared so far, in order; undefined for one without a value. */
  readonly arguments: Map<string, string | undefined>;
  readonly platform: Platform;
  readonly baseImage: ResolvedImage | undefined;
  /** The files so far; undefined for none. */
  files: Edge | undefined;
  readonly layers: Digest[];
  /** A CMD came in this very stage. */
  hasCommand: boolean;
  hasWorkdir: boolean;
  readonly steps: StepFacts[];
  readonly facts: Omit<StageFacts, 'steps'>;
  /** Numbers for the labels of vertices. */
  step: number;
  readonly stepCount: number;
  /** Then its name is not shown. */
  readonly isOnlyStage: boolean;
  /** Is its platform? */
  readonly showsPlatform: boolean;
};

export type Conversion = {
  readonly plan: Plan;
  readonly images: ResolvedImages;
  readonly states: Map<PlannedStage, StageState>;
  readonly context: Edge;
  readonly proxies: readonly string[];
  /** Only facts are wanted (linting): no layers are made. */
  readonly isDry: boolean;
  readonly makeEdge: MakeEdge;
  readonly budget: Budget;
  /** With a limit on what all words together may come to. */
  readonly expandWord: Expand;
  /** What the words of instructions follow, unless something else is said. */
  readonly wordRules: WordRules;
  /** Filled where they are wanted: see `steps.ts`. */
  readonly drafted: DraftedStep[];
};

/** What is left of what a file may cost: a hostile one would fill memory with copies of long values, or search long for suggestions. */
type Budget = { characters: number; suggestions: number };

/** Characters of environments and history that all vertices and stages together may hold. */
const mostCharacters = 1 << 26;
/** What an entry of a list costs beside its characters. */
const entryCost = 32;
const mostSuggestions = 100;

/** Makes a vertex and gives its output. Handed in, so that linting needs no hashing and runs where there is no Node. */
export type MakeEdge = (op: Op, inputs: readonly Edge[], label: Label) => Edge;

const noDigest = parseDigest(`sha256:${'0'.repeat(64)}`);
const dryEdge: MakeEdge = (op, inputs, label) => ({ vertex: { digest: noDigest, op, inputs, label }, output: 0 });

/** `makeEdge` undefined: only facts are wanted (linting). */
export function createConversion(plan: Plan, images: ResolvedImages, makeEdge: MakeEdge | undefined): Conversion {
  const make = makeEdge ?? dryEdge;
  return {
    plan,
    images,
    states: new Map(),
    context: make({ kind: 'source-local', name: 'context' }, [], { text: 'load build context' }),
    proxies: proxyEnvironment(plan.options.buildArgs),
    isDry: makeEdge === undefined,
    makeEdge: make,
    expandWord: createExpander(mostCharacters),
    wordRules: { escape: plan.dockerfile.escape },
    drafted: [],
    budget: { characters: mostCharacters, suggestions: mostSuggestions },
  };
}

/** The stage before its first instruction. */
export function openStage(stage: PlannedStage, conversion: Conversion): StageState {
  const below = stage.base.kind === 'stage' ? conversion.states.get(stage.base.stage) : undefined;
  if (below) {
    const entries = below.draft.history.length + below.layers.length;
    spend(conversion, entries * entryCost + costOf(below.variables), [stage.source.from.span]);
  }
  const state = below ? stageOnStage(stage, below, conversion) : stageOnImage(stage, conversion);
  const { draft, variables } = state;
  if (!draft.variables.has('PATH')) draft.variables.set('PATH', defaultPath);
  for (const [name, value] of draft.variables) variables.set(name, value);
  if (draft.workingDirectory !== '')
    draft.workingDirectory = draft.workingDirectory.startsWith('/') ? draft.workingDirectory : resolvePath('/', draft.workingDirectory);
  return state;
}

/** Counts characters that are kept once more. Throws `dockerfile/too-large` when it is too many. */
export function spend({ budget }: Conversion, characters: number, at: readonly Span[]): void {
  budget.characters -= characters;
  if (budget.characters >= 0) return;
  throw new JettisonError(
    'dockerfile/too-large',
    'The Dockerfile makes a graph that is too large: too many stages or steps with too long values',
    {
      at,
      hint: 'Cut it into several files, or set fewer and shorter variables',
    },
  );
}

function costOf(variables: ReadonlyMap<string, string>): number {
  let cost = variables.size * entryCost;
  for (const [name, value] of variables) cost += name.length + value.length;
  return cost;
}

function stageOnStage(stage: PlannedStage, below: StageState, { plan }: Conversion): StageState {
  return {
    ...blankState(stage, { plan, hasWorkdir: below.hasWorkdir }),
    draft: draftOn(below.draft),
    variables: new Map(below.variables),
    arguments: new Map(below.arguments),
    platform: below.platform,
    baseImage: below.baseImage,
    files: below.files,
    layers: [...below.layers],
    facts: { stage, hasWorkdir: below.hasWorkdir, baseIsKnown: below.facts.baseIsKnown, mismatch: undefined },
  };
}

function stageOnImage(stage: PlannedStage, conversion: Conversion): StageState {
  const { plan, images } = conversion;
  const { options } = plan;
  const blank = blankState(stage, { plan, hasWorkdir: false });
  const nothing = { variables: new Map<string, string>(), arguments: new Map<string, string | undefined>(), layers: [] };
  if (stage.base.kind !== 'image') {
    const facts = { stage, hasWorkdir: false, baseIsKnown: true, mismatch: undefined };
    const state: StageState = {
      ...blank,
      ...nothing,
      draft: emptyDraft(options.platform),
      platform: options.platform,
      baseImage: undefined,
      files: undefined,
      facts,
    };
    if (stage.base.kind === 'folder') addFolder(state, stage.base, conversion);
    return state;
  }
  const wanted = stage.base.image;
  const image = images.get(wanted);
  const platform = stage.platform ?? options.platform;
  const got = image?.config;
  const differs = got !== undefined && (got.os !== platform.os || got.architecture !== platform.architecture);
  const state: StageState = {
    ...blank,
    ...nothing,
    draft: image ? draftOf(image.config) : emptyDraft(platform),
    platform,
    baseImage: image,
    files: undefined,
    facts: {
      stage,
      hasWorkdir: false,
      baseIsKnown: image !== undefined,
      mismatch: differs ? { wanted: platform, got: { os: got.os, architecture: got.architecture } } : undefined,
    },
  };
  state.files = image && imageFiles(conversion, image, { ...labelFor(state, [stage.source.from.span]), ...imageLabel(image) });
  return state;
}

const makesLayer: ReadonlySet<string> = new Set(['run', 'copy', 'add', 'workdir']);

function blankState(stage: PlannedStage, { plan, hasWorkdir }: { readonly plan: Plan; readonly hasWorkdir: boolean }) {
  let stepCount = stage.base.kind === 'image' || stage.base.kind === 'folder' ? 1 : 0;
  for (const { instruction } of stage.steps) if (makesLayer.has(instruction.kind)) stepCount++;
  return {
    stage,
    hasCommand: false,
    hasWorkdir,
    steps: [],
    step: 0,
    stepCount,
    isOnlyStage: plan.stages.length === 1,
    showsPlatform: plan.options.isOneOfSeveral === true,
  };
}

/** A stage on a named context that is no image: its files are the first layer. */
function addFolder(state: StageState, folder: NamedFolder, conversion: Conversion): void {
  if (conversion.isDry) return;
  const label = { ...labelFor(state, [state.stage.source.from.span]), text: `FROM ${folder.name}` };
  state.files = conversion.makeEdge({ kind: 'file', base: null, actions: [copyFolder('/')] }, [folderFiles(folder, conversion)], label);
  state.layers.push(state.files.vertex.digest);
  addHistory(state.draft, `FROM ${folder.name} # build context`, true);
}

function folderFiles({ name, op }: NamedFolder, { makeEdge }: Conversion): Edge {
  return makeEdge(op, [], { text: `load build context ${name}` });
}

function imageLabel({ name, shown, config }: ResolvedImage): Label {
  return { text: `FROM ${shown}`, written: `FROM ${name}`, platform: printPlatform(config) };
}

/** undefined for an image without layers. */
function imageFiles({ makeEdge }: Conversion, image: ResolvedImage, label: Label): Edge | undefined {
  if (image.config.rootfs.diff_ids.length === 0) return undefined;
  return makeEdge({ kind: 'source-image', name: image.name, manifest: image.manifest }, [], label);
}

/** The files that a COPY or a mount reads; undefined for an empty tree. */
export function filesOf(
  origin: Origin,
  step: { readonly state: StageState; readonly conversion: Conversion; readonly at: readonly Span[] },
): Edge | undefined {
  const { state, conversion, at } = step;
  switch (origin.kind) {
    case 'context':
      return conversion.context;
    case 'scratch':
      return undefined;
    case 'folder':
      return folderFiles(origin, conversion);
    case 'image':
      return externalFiles(origin.image, conversion);
    case 'stage': {
      const from = conversion.states.get(origin.stage);
      if (from && origin.stage !== state.stage) return from.files;
      throw new JettisonError(
        'dockerfile/stage-order',
        `Cannot copy from stage "${origin.written}", it needs to be defined before current stage "${stageLabel(state.stage)}"`,
        { at, hint: `Move the stage "${origin.written}" up` },
      );
    }
    default:
      return unknownOrigin(origin);
  }
}

function externalFiles(wanted: WantedImage, conversion: Conversion): Edge | undefined {
  const image = conversion.images.get(wanted);
  return image && imageFiles(conversion, image, { ...imageLabel(image), at: wanted.at });
}

function unknownOrigin(origin: never): never {
  throw new JettisonError('dockerfile/unreachable', `Unexpected origin ${JSON.stringify(origin)}`, { fault: 'bug' });
}

/** Makes an op the newest layer of the stage, shown as the instruction (and `suffix`). */
export function addLayer(context: StepContext, makeOp: () => Op, inputs: readonly Edge[], suffix = ''): void {
  if (context.conversion.isDry) return;
  const label = layerLabel(context);
  const files = context.conversion.makeEdge(makeOp(), inputs, { ...label, text: `${label.text}${suffix}` });
  context.state.files = files;
  context.state.layers.push(files.vertex.digest);
}

/** Makes an op over nothing and puts its layer over the stage's: it is the same whatever is below, and does not wait for it. */
export function addLinkedLayer(context: StepContext, makeOp: () => FileOp & { readonly base: null }, inputs: readonly Edge[]): void {
  const { state, conversion } = context;
  if (conversion.isDry) return;
  const label = layerLabel(context);
  const linked = conversion.makeEdge(makeOp(), inputs, label);
  const merge = (base: Edge): Edge => conversion.makeEdge({ kind: 'merge' }, [base, linked], { ...label, isPart: true });
  state.files = state.files ? merge(state.files) : linked;
  state.layers.push(linked.vertex.digest);
}

function layerLabel(context: StepContext): Label {
  const { state, conversion, at } = context;
  spend(conversion, costOf(state.variables), at);
  const isRun = context.step.instruction.kind === 'run';
  return {
    ...labelFor(state, at),
    text: titleOf(context),
    ...originsOf(context, isRun),
    ...(ignoresCache(context) ? { ignoreCache: true } : {}),
    ...(isRun ? foreignPlatform(state, conversion) : {}),
    ...(isRun && conversion.proxies.length > 0 ? { quietEnvironment: conversion.proxies } : {}),
  };
}

/** What the programs of the stage's image are for, where that is not the platform that builds. Of a stage on no image nothing is known. */
function foreignPlatform({ baseImage }: StageState, { plan }: Conversion): Pick<Label, 'platform'> {
  if (baseImage === undefined || platformRank(baseImage.config, plan.options.buildPlatform) !== undefined) return {};
  return { platform: printPlatform(normalPlatform(baseImage.config)) };
}

/** What the op was made of, to say later which part of it differs from another time. */
function originsOf({ state, step }: StepContext, isRun: boolean): Pick<Label, 'written' | 'argumentNames' | 'variables'> {
  const { source } = step.instruction;
  const named = new Set(isRun ? [] : [...source.matchAll(/\$\{?([A-Za-z_]\w*)/gu)].map((match) => match[1] ?? ''));
  const variables = [...named].flatMap((name) => {
    const value = state.variables.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const declared = [...state.arguments.keys()].filter((name) => state.variables.has(name) && (isRun || named.has(name)));
  return {
    written: step.instruction.kind === 'add' ? clean(source) : source,
    ...(declared.length > 0 ? { argumentNames: declared } : {}),
    ...(variables.length > 0 ? { variables: Object.fromEntries(variables) } : {}),
  };
}

/** Stage, number and place of the next vertex; counts it. */
function labelFor(state: StageState, at: readonly Span[]): Omit<Label, 'text'> {
  return {
    ...(state.isOnlyStage ? {} : { stage: stageLabel(state.stage) }),
    ...(state.showsPlatform ? { stagePlatform: platformLabel(state) } : {}),
    step: ++state.step,
    steps: state.stepCount,
    at,
  };
}

/** BuildKit's form: `linux/arm64`; `linux/amd64->arm64` for a stage of this platform that has been told what it compiles for. */
function platformLabel({ platform, arguments: declared, variables }: StageState): string {
  const told = (name: string): string | undefined => (declared.has(name) ? variables.get(name) : undefined);
  const whole = told('TARGETPLATFORM')?.split('/');
  const [os, architecture, variant] = whole ?? [told('TARGETOS'), told('TARGETARCH'), told('TARGETVARIANT')];
  const target = normalPlatform({
    os: os || platform.os,
    architecture: architecture || platform.architecture,
    ...(variant ? { variant } : {}),
  });
  const own = printPlatform(platform);
  if (target.os !== platform.os) return `${own}->${printPlatform(target)}`;
  if (target.architecture === platform.architecture) return own;
  return `${own}->${printPlatform(target).slice(target.os.length + 1)}`;
}

/** What the linter may know of a stage. */
export function factsOf({ facts, steps }: StageState): StageFacts {
  return { ...facts, steps };
}

/** A step on its way through the conversion: what a converter of an instruction is handed. */
export type StepContext = {
  readonly state: StageState;
  readonly conversion: Conversion;
  readonly step: PlannedStep;
  readonly at: readonly Span[];
  readonly facts: StepFacts;
};

/** The instruction as shown while it runs: in upper case, known variables filled in. */
function titleOf({ step, state, conversion }: StepContext): string {
  const { keyword, source } = step.instruction;
  const rules: WordRules = { escape: conversion.plan.dockerfile.escape, keepQuotes: true, keepEscapes: true, keepUnset: true };
  const expansion = conversion.expandWord(source, state.variables, rules);
  const text = expansion.fault === undefined ? expansion.text : source;
  const shown = step.instruction.kind === 'add' ? clean(text) : text;
  return `${step.anchor ? 'ONBUILD ' : ''}${keyword.text.toUpperCase()}${shown.slice(keyword.text.length)}`;
}

/** Must the step run although its result is known? */
function ignoresCache({ state, conversion }: StepContext): boolean {
  const { noCache, noCacheStages } = conversion.plan.options;
  return noCache || noCacheStages.some((name) => isCalled(state.stage, name));
}
