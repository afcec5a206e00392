/** What a target of a Dockerfile takes from outside: build arguments, secrets, ssh agents, cache mounts. */
import type { Span } from '#ground/base/span.ts';
import type { FrontendOptions, Outside } from '#languages/frontend/contract.ts';
import { createExpander, type Expand } from '#languages/frontend/words.ts';
import type { ArgInstruction, Comment } from './ast.ts';
import type { StageFacts } from './convert/facts.ts';
import { failAtFirst } from './convert/faults.ts';
import { findTarget, neededStages, planStages, stagesBelow, type Plan, type PlannedStage } from './convert/plan.ts';
import { readHeads } from './convert/globals.ts';
import { resolveImages } from './convert/resolve.ts';
import { convertStage } from './convert/stage.ts';
import { createConversion, factsOf } from './convert/state.ts';
import { parseDockerfile } from './parse.ts';
import { describe } from './targets.ts';

export type Outline = {
  /** The target's name; undefined for a stage without AS. */
  readonly name: string | undefined;
  /** The comment above its FROM, when it begins with the stage's name. */
  readonly description: string | undefined;
  /** Arguments that the target and what it needs use, in the order of the file, each name once: the nearest to the target. */
  readonly arguments: readonly OutlineArgument[];
  readonly secrets: readonly OutlineNeed[];
  readonly ssh: readonly OutlineNeed[];
  readonly caches: readonly { readonly id: string; readonly at: readonly Span[] }[];
};

export type OutlineArgument = {
  readonly name: string;
  /** With the build's own arguments; undefined for none. */
  readonly value: string | undefined;
  /** The comment above its ARG, when it begins with the argument's name. */
  readonly description: string | undefined;
  readonly at: readonly Span[];
};

export type OutlineNeed = { readonly id: string; readonly required: boolean; readonly at: readonly Span[] };

/** An argument above the first FROM, and which others its default value names. */
type GlobalArgument = OutlineArgument & { readonly uses: ReadonlySet<string> };

/** Throws the first fault of the text or of what the target needs, or whatever `outside` threw. */
export async function outlineDockerfile(text: string, options: FrontendOptions, outside: Outside, signal: AbortSignal): Promise<Outline> {
  const { dockerfile, diagnostics } = parseDockerfile(text, options.file);
  failAtFirst(diagnostics);
  const plan = planStages(dockerfile, options, readHeads(dockerfile, options));
  const target = findTarget(plan);
  const conversion = createConversion(plan, await resolveImages(plan, [target], outside, signal), undefined);
  const facts = new Map(neededStages(target).map((stage) => [stage, factsOf(convertStage(stage, conversion))]));
  const stages = fromTarget(target);
  const needs = stages
    .flatMap((stage) => facts.get(stage)?.steps ?? [])
    .flatMap(({ mounts, at }) => mounts.map((mount) => ({ mount, at })));
  const { name } = target;
  return {
    name,
    description: name === undefined ? undefined : describe(name, target.source.from),
    arguments: argumentsOf(stages, facts, plan),
    secrets: inOrder(needs.flatMap(({ mount, at }) => (mount.kind === 'secret' ? [{ id: mount.id, required: mount.required, at }] : []))),
    ssh: inOrder(needs.flatMap(({ mount, at }) => (mount.kind === 'ssh' ? [{ id: mount.id, required: mount.required, at }] : []))),
    caches: inOrder(needs.flatMap(({ mount, at }) => (mount.kind === 'cache' ? [{ id: mount.id, at }] : []))),
  };
}

/** The target and what it needs, the target first: each stage before those it stands on or copies from. */
function fromTarget(target: PlannedStage): readonly PlannedStage[] {
  const found = new Set([target]);
  for (const stage of found) for (const below of stagesBelow(stage)) found.add(below);
  return [...found];
}

/** The first of each id, in the order of the file. */
function inOrder<T extends { readonly id: string; readonly at: readonly Span[] }>(all: readonly T[]): readonly T[] {
  const byId = new Map<string, T>();
  for (const one of all) if (!byId.has(one.id)) byId.set(one.id, one);
  return [...byId.values()].toSorted(byLine);
}

function byLine(a: { readonly at: readonly Span[] }, b: { readonly at: readonly Span[] }): number {
  return (a.at[0]?.start.line ?? 0) - (b.at[0]?.start.line ?? 0);
}

/** Characters that looking for the names in ARG and FROM may come to. */
const mostWork = 1 << 26;

function argumentsOf(
  stages: readonly PlannedStage[],
  facts: ReadonlyMap<PlannedStage, StageFacts>,
  plan: Plan,
): readonly OutlineArgument[] {
  const expandWord = createExpander(mostWork);
  const globals = globalArguments(plan, expandWord);
  const found = new Map<string, OutlineArgument>();
  const addGlobal = (first: string): void => {
    // A Set gives what is added to it while it is walked: chains may be long, so nothing here recurses.
    const names = new Set([first]);
    for (const name of names) {
      const argument = globals.get(name);
      if (!argument || found.has(name)) continue;
      const { uses, ...rest } = argument;
      found.set(name, rest);
      for (const other of uses) names.add(other);
    }
  };
  for (const stage of stages) {
    // The last declaration in a stage is the one that counts.
    const own = new Map<string, OutlineArgument | undefined>();
    for (const { instruction, arguments: declared, at } of facts.get(stage)?.steps ?? []) {
      if (instruction.kind !== 'arg') continue;
      for (const { name, value, isInherited } of declared)
        if (!isInherited) own.set(name, { name, value, description: describeArgument(name, instruction.comments), at });
        else if (!own.has(name)) own.set(name, undefined);
    }
    for (const [name, argument] of own) {
      if (argument === undefined) addGlobal(name);
      else if (!found.has(name)) found.set(name, argument);
    }
    for (const name of usedInFrom(stage, plan, expandWord)) addGlobal(name);
  }
  return [...found.values()].toSorted(byLine);
}

function globalArguments({ dockerfile, globals }: Plan, expandWord: Expand): ReadonlyMap<string, GlobalArgument> {
  const all = new Map<string, GlobalArgument>();
  for (const instruction of dockerfile.globalArguments) {
    for (const { name, value } of instruction.arguments) {
      const uses = value ? expandWord(value.text, globals, dockerfile).matched : new Set<string>();
      all.set(name.text, {
        name: name.text,
        value: globals.get(name.text),
        description: describeArgument(name.text, instruction.comments),
        at: [instruction.span],
        uses,
      });
    }
  }
  return all;
}

function usedInFrom({ source: { from } }: PlannedStage, { dockerfile, globals }: Plan, expandWord: Expand): readonly string[] {
  const words = [from.image, ...(from.platform ? [from.platform] : [])];
  return words.flatMap(({ text }) => [...expandWord(text, globals, dockerfile).matched]);
}

function describeArgument(name: string, comments: ArgInstruction['comments']): string | undefined {
  const comment = comments.find(({ text }: Comment) => text.startsWith(`${name} `));
  return comment?.text.slice(name.length + 1);
}
