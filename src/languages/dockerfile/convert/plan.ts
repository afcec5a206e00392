/** Which stages a Dockerfile has, what each stands on and copies from. Nothing outside is asked yet. */
import { suggest } from '#ground/base/human.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Span } from '#ground/base/span.ts';
import type { SourceGitOp, SourceHttpOp, SourceLocalOp } from '#formats/graph/op.ts';
import { parsePlatform, type Platform } from '#formats/oci/platform.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { FrontendOptions } from '#languages/frontend/contract.ts';
import { contextName } from '#languages/frontend/named-context.ts';
import { expandWord, type Expansion } from '#languages/frontend/words.ts';
import type { Dockerfile, Stage, StageInstruction, Word } from '../ast.ts';
import type { FromFacts, Heads } from './globals.ts';
import { badExpansion } from './words.ts';

/** Where the files of a COPY or a mount come from. */
export type Origin =
  | { readonly kind: 'context' }
  | { readonly kind: 'scratch' }
  | NamedFolder
  | { readonly kind: 'stage'; readonly stage: PlannedStage; readonly written: string }
  | { readonly kind: 'image'; readonly image: WantedImage };

/** A named context that is no image: a folder of the client, or files from elsewhere. */
export type NamedFolder = {
  readonly kind: 'folder';
  readonly name: string;
  readonly op: SourceLocalOp | SourceGitOp | SourceHttpOp;
};

/** An image to be looked up. */
export type WantedImage = {
  /** With tag or digest, in full. */
  readonly reference: string;
  /** As the Dockerfile has it, variables expanded. */
  readonly written: string;
  readonly platform: Platform;
  readonly at: readonly Span[];
};

export type PlannedStep = {
  readonly instruction: StageInstruction;
  /** For a trigger the FROM that set it off, in place of the words' own spans. */
  readonly anchor: Span | undefined;
  /** For COPY one; for RUN one for each mount; else none. */
  readonly origins: readonly Origin[];
};

export type Base =
  | { readonly kind: 'scratch' }
  | NamedFolder
  | { readonly kind: 'stage'; readonly stage: PlannedStage }
  | { readonly kind: 'image'; readonly image: WantedImage };

export type PlannedStage = {
  readonly index: number;
  readonly source: Stage;
  /** In lower case; undefined without AS. */
  readonly name: string | undefined;
  readonly base: Base;
  /** `--platform`, if there is one. */
  readonly platform: Platform | undefined;
  /** A named context stands in its place: its instructions do not count. */
  readonly isReplaced: boolean;
  /** Triggers of the base come first; they are added once the base is known. */
  readonly steps: PlannedStep[];
};

export type Plan = {
  readonly dockerfile: Dockerfile;
  readonly options: FrontendOptions;
  readonly globals: ReadonlyMap<string, string>;
  readonly stages: readonly PlannedStage[];
  readonly byName: ReadonlyMap<string, PlannedStage>;
};

/** Throws `dockerfile/...` errors with places for whatever is wrong in a FROM or in the name of a source. */
export function planStages(dockerfile: Dockerfile, options: FrontendOptions, { globals, froms }: Heads): Plan {
  if (globals.fault) throw globals.fault;
  const stages: PlannedStage[] = [];
  const byName = new Map<string, PlannedStage>();
  const plan: Plan = { dockerfile, options, globals: globals.values, stages, byName };
  for (const from of froms) {
    const stage = planStage(from, plan);
    stages.push(stage);
    if (stage.name !== undefined) byName.set(stage.name, stage);
  }
  for (const stage of stages) {
    if (stage.isReplaced) continue;
    for (const instruction of stage.source.instructions) stage.steps.push(planStep(instruction, plan, undefined));
  }
  checkCircles(stages);
  return plan;
}

/** The stage asked for: by name, else by number, else the last one. */
export function findTarget({ options, stages, byName, dockerfile }: Plan): PlannedStage {
  const { target } = options;
  const last = stages.at(-1);
  const found = target === undefined || target === '' ? last : (byName.get(target.toLowerCase()) ?? stageAt(stages, target));
  if (found) return found;
  const names = [...byName.keys()];
  const near = suggest(target ?? '', names);
  throw new JettisonError('dockerfile/unknown-target', `Target stage "${target ?? ''}" could not be found in ${dockerfile.file}`, {
    hint: near === undefined ? `Stages are ${names.map((name) => `"${name}"`).join(', ') || 'numbered from 0'}` : `Did you mean "${near}"?`,
  });
}

const noOrigins: readonly Origin[] = [];
const onlyContext: readonly Origin[] = [{ kind: 'context' }];
const noVariables: ReadonlyMap<string, string> = new Map();

/** A step with its sources looked up; `anchor` for triggers. */
export function planStep(instruction: StageInstruction, plan: Plan, anchor: Span | undefined): PlannedStep {
  if (instruction.kind !== 'copy' && instruction.kind !== 'run') return { instruction, anchor, origins: noOrigins };
  const at = (word: Span): readonly Span[] => [anchor ?? (word.start.line === instruction.span.start.line ? word : instruction.span)];
  if (instruction.kind === 'copy') {
    const { from } = instruction;
    return { instruction, anchor, origins: from ? [originOf(from, plan, at(from.span))] : onlyContext };
  }
  if (instruction.mounts.length === 0) return { instruction, anchor, origins: noOrigins };
  const origins = instruction.mounts.map((mount): Origin =>
    mount.from === '' ? { kind: 'context' } : lookUp(mount.from, plan, at(mount.span)),
  );
  return { instruction, anchor, origins };
}

/** Stages that `stage` needs directly. */
export function stagesBelow(stage: PlannedStage): readonly PlannedStage[] {
  const copied = copyEdges(stage).map(({ to }) => to);
  return stage.base.kind === 'stage' ? [stage.base.stage, ...copied] : copied;
}

/** `stage` and all that it needs, in the order of the file. */
export function neededStages(stage: PlannedStage): readonly PlannedStage[] {
  const found = new Set<PlannedStage>([stage]);
  for (const each of found) for (const below of stagesBelow(each)) found.add(below);
  return [...found].toSorted((a, b) => a.index - b.index);
}

function planStage({ stage: source, image, platform: platformWord }: FromFacts, plan: Plan): PlannedStage {
  const { from } = source;
  const { options, stages } = plan;
  if (image.fault !== undefined) throw badExpansion(from.image.text, image.fault, [from.image.span]);
  const written = image.text;
  if (written === '') {
    const near = nearestArgument(image.unmatched, plan);
    throw new JettisonError('dockerfile/blank-base', `Base name (${from.image.text}) should not be blank`, {
      at: [from.image.span],
      hint: near === undefined ? 'Give the argument a default: ARG NAME=image before the first FROM' : `Did you mean "$${near}"?`,
    });
  }
  // `--platform=` without a value is as if it were not there; one whose variables are empty is an error.
  const platform = from.platform && from.platform.text !== '' && platformWord ? readPlatform(from.platform, platformWord, plan) : undefined;
  const name = from.alias?.name.text.toLowerCase();
  const wanted = { platform: platform ?? options.platform, at: [from.image.span] };
  const instead = name === undefined ? undefined : namedContext(name, plan, wanted);
  const above = plan.byName.get(written.toLowerCase());
  const base: Base =
    instead ??
    (above
      ? { kind: 'stage', stage: above }
      : written === 'scratch'
        ? { kind: 'scratch' }
        : (namedContext(written, plan, wanted) ?? { kind: 'image', image: wantedImage(written, wanted) }));
  return { index: stages.length, source, name, base, platform, isReplaced: instead !== undefined, steps: [] };
}

/** What `--build-context` says that a name means, if it says anything. */
function namedContext(
  written: string,
  { options }: Plan,
  wanted: Wanted,
): NamedFolder | { readonly kind: 'image'; readonly image: WantedImage } | undefined {
  if (options.contexts === undefined || options.contexts.size === 0) return undefined;
  const name = contextName(written);
  const context = name === undefined ? undefined : options.contexts.get(name);
  if (name === undefined || context === undefined) return undefined;
  if (context.kind === 'folder') return { kind: 'folder', name, op: { kind: 'source-local', name } };
  if (context.kind === 'remote') return { kind: 'folder', name, op: context.op };
  return { kind: 'image', image: { reference: context.reference, written, ...wanted } };
}

/** How many names of a FROM without a value are compared with the arguments above it. */
const mostCompared = 10;

/** An argument above the first FROM that is called nearly as one of these. */
function nearestArgument(names: Iterable<string>, { dockerfile }: Plan): string | undefined {
  const declared = new Set(dockerfile.globalArguments.flatMap((one) => one.arguments.map(({ name }) => name.text)));
  const unknown = [...names].filter((name) => !declared.has(name)).slice(0, mostCompared);
  return unknown.flatMap((name) => suggest(name, declared) ?? [])[0];
}

function readPlatform(word: Word, expansion: Expansion, plan: Plan): Platform {
  if (expansion.fault !== undefined) throw badExpansion(word.text, expansion.fault, [word.span]);
  if (expansion.text === '') {
    const [missing = ''] = expansion.unmatched;
    const near = suggest(missing, plan.globals.keys());
    throw new JettisonError('dockerfile/bad-platform', `Empty platform value from expression ${word.text}`, {
      at: [word.span],
      hint: near === undefined ? 'Declare the argument before the first FROM' : `Did you mean "$${near}"?`,
    });
  }
  try {
    return parsePlatform(expansion.text, plan.options.buildPlatform);
  } catch (error) {
    throw error instanceof JettisonError
      ? new JettisonError('dockerfile/bad-platform', `Failed to parse platform ${word.text}: ${error.message}`, {
          at: [word.span],
          cause: error,
          ...(error.hint === undefined ? {} : { hint: error.hint }),
        })
      : error;
  }
}

function originOf(from: Word, plan: Plan, at: readonly Span[]): Origin {
  const expansion = expandWord(from.text, noVariables, { escape: plan.dockerfile.escape });
  if (expansion.fault !== undefined) throw badExpansion(from.text, expansion.fault, at);
  if (expansion.text !== from.text)
    throw new JettisonError('dockerfile/variable-in-from', 'Variable expansion is not supported for --from', {
      at,
      hint: 'Add a stage "FROM $NAME AS alias" and copy from the alias',
    });
  return lookUp(from.text, plan, at);
}

/** What a name after --from means: a stage by name or number, nothing, or an image. */
function lookUp(name: string, plan: Plan, at: readonly Span[]): Origin {
  const stage = plan.byName.get(name.toLowerCase());
  if (stage) return { kind: 'stage', stage, written: name };
  if (/^-?\d{1,9}$/u.test(name)) {
    const numbered = stageAt(plan.stages, name);
    if (numbered) return { kind: 'stage', stage: numbered, written: name };
    throw new JettisonError('dockerfile/unknown-stage', `Invalid stage index ${name}: there are ${plan.stages.length} stages`, {
      at,
      hint: `Stages are numbered from 0 to ${plan.stages.length - 1}`,
    });
  }
  if (name.toLowerCase() === 'scratch') return { kind: 'scratch' };
  const wanted = { platform: plan.options.platform, at };
  return namedContext(name, plan, wanted) ?? { kind: 'image', image: wantedImage(name, wanted) };
}

function stageAt(stages: readonly PlannedStage[], number: string): PlannedStage | undefined {
  return /^\d{1,9}$/u.test(number) ? stages[Number(number)] : undefined;
}

type Wanted = Pick<WantedImage, 'platform' | 'at'>;

function wantedImage(written: string, { platform, at }: Wanted): WantedImage {
  try {
    return { reference: printReference(withDefaultTag(parseReference(written))), written, platform, at };
  } catch (error) {
    const shown = written.length > 120 ? `${written.slice(0, 120)}...` : written;
    const reason = error instanceof JettisonError && error.message.includes('must be lowercase') ? ': names must be lowercase' : '';
    throw new JettisonError('dockerfile/bad-reference', `Failed to parse stage name "${shown}": invalid reference format${reason}`, {
      at,
      cause: error,
      hint: (error instanceof JettisonError ? error.hint : undefined) ?? 'Image names are in lower case: name, name:tag, registry/name:tag',
    });
  }
}

type CopyEdge = { readonly step: PlannedStep; readonly to: PlannedStage };
/** A stage on the way that is being looked at, and the step that led to it. */
type OpenStage = { readonly stage: PlannedStage; readonly through: CopyEdge | undefined; readonly edges: Iterator<CopyEdge> };

/** Throws for stages that copy from each other in a circle. */
function checkCircles(stages: readonly PlannedStage[]): void {
  const state = new Map<PlannedStage, 'open' | 'done'>();
  for (const start of stages) {
    const path: OpenStage[] = [];
    const enter = (stage: PlannedStage, through?: CopyEdge): void => {
      state.set(stage, 'open');
      path.push({ stage, through, edges: copyEdges(stage).values() });
    };
    if (!state.has(start)) enter(start);
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const edge = top.edges.next();
      if (edge.done === true) {
        state.set(top.stage, 'done');
        path.pop();
      } else if (state.get(edge.value.to) === 'open') throw circle(edge.value, path);
      else if (!state.has(edge.value.to)) enter(edge.value.to, edge.value);
    }
  }
}

function copyEdges(stage: PlannedStage): readonly CopyEdge[] {
  const edges: CopyEdge[] = [];
  for (const step of stage.steps) {
    // Most have none; a loop over nothing costs an iterator.
    if (step.origins.length === 0 || step.origins === onlyContext) continue;
    for (const origin of step.origins) if (origin.kind === 'stage') edges.push({ step, to: origin.stage });
  }
  return edges;
}

/** The places are those of all the steps of the circle, the one that closes it first. */
function circle(last: CopyEdge, path: readonly OpenStage[]): JettisonError {
  const first = path.findIndex(({ stage }) => stage === last.to);
  const others = path.slice(first + 1).flatMap(({ through }) => (through ? [through] : []));
  return new JettisonError('dockerfile/circular-stages', `Circular dependency detected on stage: ${stageLabel(last.to)}`, {
    at: [last, ...others].map(({ step }) => step.anchor ?? step.instruction.span),
    hint: 'A stage can only copy from stages that do not copy from it',
  });
}

/** How people see a stage: its name, or `stage-N`. */
export function stageLabel(stage: PlannedStage): string {
  return stage.name ?? `stage-${stage.index}`;
}

/** Does `name`, in any case, or as a number, mean this stage? */
export function isCalled(stage: Pick<PlannedStage, 'name' | 'index'>, name: string): boolean {
  return name.toLowerCase() === stage.name || name === String(stage.index);
}
