/** `--report STAGE:PATH=FOLDER`: files of a stage that leave the build whether it succeeds or fails, such as what tests wrote about themselves. */
import type { Edge } from '#formats/graph/vertex.ts';
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

export type BuildReports = {
  readonly observer: SolveObserver;
  /** The ends of the stages that are asked for; they are built, too. `goalOf` throws what is wrong with a stage. */
  plan(goalOf: (stage: string) => Promise<Edge | undefined>): Promise<readonly Edge[]>;
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
  const goals = new Map<string, Edge | undefined>();
  const left = [...requests];
  const say = ({ stage, path }: ReportRequest, text: string): void => report({ kind: 'note', text: `report ${stage}:${path}: ${text}` });
  const write = async (request: ReportRequest, failure: StepFailure | undefined, signal: AbortSignal): Promise<void> => {
    const state = await stateOf(request.stage, failure, signal);
    if (typeof state === 'string') return say(request, state);
    const worker = await engine.worker(signal);
    const what = { trees: [{ snapshot: state.snapshot }], path: fromText(request.path) };
    const { entries, size } = await worker.exportTree({ ...what, to: { kind: 'folder', path: request.folder } }, report, signal);
    say(request, `${entries} file${entries === 1 ? '' : 's'}, ${formatSize(size)} in ${request.folder}`);
  };
  /** The files at the end of a stage, or where it failed; words for why there are none. */
  const stateOf = async (
    stage: string,
    failure: StepFailure | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly snapshot: SnapshotId | undefined } | string> => {
    if (!goals.has(stage)) return notReached;
    const goal = goals.get(stage);
    if (goal === undefined) return { snapshot: undefined };
    const made = results.get(goal.vertex.digest);
    if (made !== undefined) return { snapshot: await snapshotOf(made, signal) };
    if (failure === undefined || failure.vertex.label.stage !== goal.vertex.label.stage) return notReached;
    const { snapshot, reason } = failure.kept;
    if (snapshot !== undefined) return { snapshot };
    return `not written: ${reason ?? 'its stage failed before it wrote anything'}`;
  };
  return {
    observer: {
      missed: () => undefined,
      solved: ({ digest }, { result }) => void (result !== undefined && results.set(digest, result)),
    },
    async plan(goalOf) {
      for (const { stage } of requests) if (!goals.has(stage)) goals.set(stage, await goalOf(stage));
      return [...goals.values()].flatMap((goal) => goal ?? []);
    },
    async write(failure, signal) {
      for (const request of left.splice(0)) {
        try {
          await write(request, failure, signal);
        } catch (error) {
          // The build ends as it ends, and this is no other end of it.
          if (!(error instanceof JettisonError) || error.fault === 'bug' || signal.aborted) throw error;
          say(request, `not written: ${messageOf(error)}`);
        }
      }
    },
  };
}
