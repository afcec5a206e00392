/** Stages beside what is built: those that must succeed before it gets its name, those that `--report` takes files of, and those that nobody asked for. */
import type { Edge } from '#formats/graph/vertex.ts';
import type { Platform } from '#formats/oci/platform.ts';
import { suggest } from '#ground/base/human.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { dockerfileFrontend } from '#languages/dockerfile/frontend.ts';
import type { FrontendResult, StageUse } from '#languages/frontend/contract.ts';
import type { BaseImages } from './base-images.ts';
import type { BuildRequest, UnbuiltStage } from './build-requests.ts';
import type { BuildSource } from './build-source.ts';
import { frontendOptions } from './frontend-options.ts';
import type { Engine } from './open.ts';
import { platformsOf } from './platform.ts';

/** What a frontend made of one stage for one platform. */
export type DraftedStage = { readonly platform: Platform; readonly drafted: FrontendResult };

/** For each platform; the last stage without a name. */
export type DraftStage = (target: string | undefined) => Promise<readonly DraftedStage[]>;

export function stageDrafter(
  {
    engine,
    request,
    source,
    bases,
  }: { readonly engine: Engine; readonly request: BuildRequest; readonly source: BuildSource; readonly bases: BaseImages },
  signal: AbortSignal,
): DraftStage {
  return async (target) => {
    const drafted: DraftedStage[] = [];
    for (const platform of platformsOf(request)) {
      const options = { ...(await frontendOptions({ engine, request, source }, platform)), target };
      drafted.push({ platform, drafted: await dockerfileFrontend(source.text, options, bases, signal) });
    }
    return drafted;
  };
}

export type OtherStages = {
  readonly gates: readonly DraftedStage[];
  /** By name as asked for. */
  readonly reported: ReadonlyMap<string, readonly DraftedStage[]>;
  readonly unbuilt: readonly UnbuiltStage[];
};

type Wanted = Pick<BuildRequest, 'gates' | 'reports'> & { readonly targets: readonly string[] };

/** `--gate none`: no stage that the Dockerfile marks. */
const noGates = 'none';

/** `main`: what is built. Throws `engine/unknown-stage`, and what a frontend says of a stage. */
export async function draftOthers(
  { gates = [], reports = [], targets }: Wanted,
  main: readonly DraftedStage[],
  draftStage: DraftStage,
): Promise<OtherStages> {
  const stages = main[0]?.drafted.stages ?? [];
  const leavesOut = gates.includes(noGates) && find(stages, noGates) === undefined;
  const named = leavesOut ? gates.filter((gate) => gate !== noGates) : gates;
  for (const gate of named) requireStage(stages, '--gate', gate);
  for (const { stage } of reports) requireStage(stages, '--report', stage);
  const marked = leavesOut ? [] : stages.filter(({ isGate }) => isGate);
  const gating = new Set([...named.flatMap((gate) => find(stages, gate) ?? []), ...marked]);
  const drafted = new Map<string, readonly DraftedStage[]>();
  const draft = async (stage: string): Promise<readonly DraftedStage[]> => {
    const made = drafted.get(stage) ?? (await draftStage(stage));
    drafted.set(stage, made);
    return made;
  };
  const gateDrafts: DraftedStage[] = [];
  for (const stage of gating) gateDrafts.push(...(await draft(callOf(stage))));
  const reported = new Map<string, readonly DraftedStage[]>();
  for (const { stage } of reports) reported.set(stage, await draft(callOf(requireStage(stages, '--report', stage))));
  return {
    gates: gateDrafts,
    reported,
    unbuilt: unbuiltOf([...main, ...drafted.values().flatMap((each) => each)], { targets, leavesOut }),
  };
}

export function goalsOf({ gates, reported }: OtherStages): readonly Edge[] {
  return [...gates, ...[...reported.values()].flat()].flatMap(({ drafted }) => drafted.goal ?? []);
}

/** Stages that none of these needs, in the order of the file. */
function unbuiltOf(
  drafted: readonly DraftedStage[],
  { targets, leavesOut }: { readonly targets: readonly string[]; readonly leavesOut: boolean },
): readonly UnbuiltStage[] {
  const stages = drafted[0]?.drafted.stages ?? [];
  const needed = new Set(drafted.flatMap((each) => each.drafted.stages ?? []).flatMap(({ index, isNeeded }) => (isNeeded ? [index] : [])));
  const last = stages.at(-1);
  const goals = targets.length > 0 || last?.name === undefined ? targets : [last.name];
  const built = goals.length > 0 ? goals.map((name) => `"${name}"`).join(', ') : 'the last stage';
  return stages
    .filter(({ index }) => !needed.has(index))
    .map((stage) => {
      const reason = stage.isGate && leavesOut ? 'gates are left out (--gate none)' : `not needed for ${built}`;
      return { stage: callOf(stage), file: stage.at.file, line: stage.at.start.line, runs: stage.runs, reason };
    });
}

function requireStage(stages: readonly StageUse[], option: string, name: string): StageUse {
  const found = find(stages, name);
  if (found !== undefined) return found;
  const names = stages.flatMap((stage) => stage.name ?? []);
  const near = suggest(name, names);
  const all = names.length === 0 ? 'Stages are numbered from 0' : `Stages are: ${names.map((one) => `"${one}"`).join(', ')}`;
  throw new JettisonError('engine/unknown-stage', `${option}: there is no stage "${name}"`, {
    hint: near === undefined ? all : `Did you mean "${near}"?`,
  });
}

function find(stages: readonly StageUse[], name: string): StageUse | undefined {
  return stages.find((stage) => stage.name === name.toLowerCase()) ?? stages.find(({ index }) => String(index) === name);
}

/** What `--target` takes for it. */
function callOf(stage: StageUse): string {
  return stage.name ?? String(stage.index);
}
