/** `--report STAGE:PATH=FOLDER`: files of a stage that leave the build whether it succeeds or fails, such as what tests wrote about themselves. */
import { join } from 'node:path';
import { shownStage, type Edge } from '#formats/graph/vertex.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { fromText } from '#ground/base/byte-string.ts';
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { formatSize } from '#ground/base/human.ts';
import type { Result, SolveObserver } from '#execution/solver/contract.ts';
import type { SnapshotId } from '#execution/worker/contract.ts';
import type { ReportRequest } from './build-requests.ts';
import type { StepFailure } from './keep-failure.ts';
import type { Engine } from './open.ts';
import type { DraftedStage } from './other-stages.ts';

export type BuildReports = {
  readonly observer: SolveObserver;
  /** The stages that are asked for, by their names as typed, for each platform. */
  plan(stages: ReadonlyMap<string, readonly DraftedStage[]>): void;
  /** Writes what there is, and says what there is not, once; `failure`: what failed the build. */
  write(failure: StepFailure | undefined, signal: AbortSignal): Promise<void>;
};

export type ReportTools = {
  readonly report: Report;
  readonly snapshotOf: (result: Result, signal: AbortSignal) => Promise<SnapshotId | undefined>;
};

const notReached = 'not written, as its stage was not reached';

export function createReports(engine: Engine, requests: readonly ReportRequest[], { report, snapshotOf }: ReportTools): BuildReports {
  const results = new Map<Digest, Result>();
  let stages: ReadonlyMap<string, readonly DraftedStage[]> = new Map();
  const left = [...requests];
  const write = async (request: ReportRequest, failure: StepFailure | undefined, signal: AbortSignal): Promise<void> => {
    const drafted = stages.get(request.stage);
    if (drafted === undefined) return say(request, notReached);
    for (const place of placesOf(request, drafted)) {
      try {
        await writeOne(place, failure, signal);
      } catch (error) {
        // The build ends as it ends, and this is no other end of it.
        if (!(error instanceof JettisonError) || error.fault === 'bug' || signal.aborted) throw error;
        say(place, `not written: ${messageOf(error)}`);
      }
    }
  };
  const say = ({ stage, path }: ReportRequest, text: string): void => report({ kind: 'note', text: `report ${stage}:${path}: ${text}` });
  const writeOne = async (place: ReportPlace, failure: StepFailure | undefined, signal: AbortSignal): Promise<void> => {
    const state = await stateOf(place.goal, failure, signal);
    if (typeof state === 'string') return say(place, state);
    const worker = await engine.worker(signal);
    const what = { trees: [{ snapshot: state.snapshot }], path: fromText(place.path) };
    const { entries, size } = await worker.exportTree({ ...what, to: { kind: 'folder', path: place.folder } }, report, signal);
    say(place, `${entries} file${entries === 1 ? '' : 's'}, ${formatSize(size)} in ${place.folder}`);
  };
  /** The files at the end of a stage, or where it failed; words for why there are none. */
  const stateOf = async (
    goal: Edge | undefined,
    failure: StepFailure | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly snapshot: SnapshotId | undefined } | string> => {
    if (goal === undefined) return { snapshot: undefined };
    const made = results.get(goal.vertex.digest);
    if (made !== undefined) return { snapshot: await snapshotOf(made, signal) };
    if (failure === undefined || shownStage(failure.vertex.label) !== shownStage(goal.vertex.label)) return notReached;
    const { snapshot, reason } = failure.kept;
    if (snapshot !== undefined) return { snapshot };
    return `not written: ${reason ?? 'its stage failed before it wrote anything'}`;
  };
  return {
    observer: {
      missed: () => undefined,
      solved: ({ digest }, { result }) => void (result !== undefined && results.set(digest, result)),
    },
    plan: (drafted) => {
      stages = drafted;
    },
    async write(failure, signal) {
      for (const request of left.splice(0)) await write(request, failure, signal);
    },
  };
}

type ReportPlace = ReportRequest & { readonly goal: Edge | undefined };

/** Of several platforms each has a folder in the one that was asked for, called as `-o` calls it. */
function placesOf(request: ReportRequest, drafted: readonly DraftedStage[]): readonly ReportPlace[] {
  return drafted.map(({ platform, drafted: { goal } }) => ({
    ...request,
    goal,
    folder: drafted.length === 1 ? request.folder : join(request.folder, printPlatform(platform).replaceAll('/', '_')),
  }));
}
