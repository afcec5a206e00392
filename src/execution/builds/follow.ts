/** What the events of one build say of its steps. */
import type { KeyParts } from '#execution/cache/key.ts';
import type { SolvedVertex, SolveObserver } from '#execution/solver/contract.ts';
import type { Vertex } from '#formats/graph/vertex.ts';
import type { ProgressEvent } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { clean, unreachable } from '#ground/base/errors.ts';
import { openLog, type LogWriter } from './logs.ts';
import type { BuildStep } from './past-build.ts';

/** What is known of one vertex. */
export type Followed = {
  readonly declared: Extract<ProgressEvent, { readonly kind: 'vertex' }>;
  /** Its number, from 1. */
  readonly number: number;
  vertex: Vertex | undefined;
  lookedUpBy: readonly KeyParts[];
  solved: SolvedVertex | undefined;
  /** Nothing was found: it ran, or tried to. */
  missed: boolean;
  state: BuildStep['state'];
  startedAt: number;
  finishedAt: number;
  message: string | undefined;
  log: LogWriter | undefined;
  logName: string | undefined;
};

export type Follower = {
  /** By vertex, inputs before what reads them. */
  readonly steps: ReadonlyMap<Digest, Followed>;
  readonly totals: { readonly pulledBytes: number; readonly warnings: number };
  readonly observer: SolveObserver;
  take(event: ProgressEvent): void;
};

export type FollowOptions = {
  /** Where logs are kept, and the id of the build that they are named after. */
  readonly folder: string;
  readonly id: string;
  /** Called once, before the first step runs. */
  readonly onFirstRun: () => void;
  /** Called once when logs cannot be kept. */
  readonly onBrokenLog: (error: unknown) => void;
};

export function createFollower(options: FollowOptions): Follower {
  const steps = new Map<Digest, Followed>();
  const totals = { pulledBytes: 0, warnings: 0 };
  let isLogging = true;
  let hasRun = false;
  /** What cannot be kept is no reason to fail: the image is what counts. */
  const guard = (work: () => void): void => {
    if (!isLogging) return;
    try {
      work();
    } catch (error) {
      isLogging = false;
      options.onBrokenLog(error);
    }
  };
  const end = (one: Followed | undefined, state: BuildStep['state'], time: number, message?: string): void => {
    if (one === undefined) return;
    one.state = state;
    if (state !== 'cached') one.finishedAt = time;
    if (message !== undefined) one.message = clean(message);
    guard(() => one.log?.[Symbol.dispose]());
    one.log = undefined;
  };
  const writeLog = (one: Followed | undefined, event: Extract<ProgressEvent, { readonly kind: 'output' }>): void => {
    if (one === undefined) return;
    guard(() => {
      one.logName ??= `${options.id}/${one.number}`;
      one.log ??= openLog(options.folder, one.logName);
      one.log.write({ after: Math.max(0, event.time - one.startedAt), stream: event.stream, text: event.text });
    });
  };

  return {
    steps,
    totals,
    observer: {
      missed(vertex, lookedUpBy) {
        const one = steps.get(vertex.digest);
        if (one !== undefined) Object.assign(one, { vertex, lookedUpBy, missed: true });
        if (!hasRun) options.onFirstRun();
        hasRun = true;
      },
      solved(vertex, solved) {
        const one = steps.get(vertex.digest);
        if (one === undefined) return;
        Object.assign(one, { vertex, solved, lookedUpBy: solved.lookedUpBy });
        if (solved.state === 'skipped') one.state = 'skipped';
      },
    },
    take(event) {
      switch (event.kind) {
        case 'vertex':
          steps.set(event.vertex, newStep(event, steps.size + 1));
          break;
        case 'vertex-started': {
          const one = steps.get(event.vertex);
          if (one !== undefined) one.startedAt = event.time;
          break;
        }
        case 'vertex-cached':
          end(steps.get(event.vertex), 'cached', event.time);
          break;
        case 'vertex-finished':
          end(steps.get(event.vertex), 'ran', event.time);
          break;
        case 'vertex-failed':
          end(steps.get(event.vertex), event.cancelled ? 'cancelled' : 'failed', event.time, event.message);
          break;
        case 'output':
          writeLog(steps.get(event.vertex), event);
          break;
        case 'transfer':
          if (event.direction === 'pull' && event.state === 'done') totals.pulledBytes += event.current;
          break;
        case 'warning':
          totals.warnings++;
          break;
        case 'note':
          break;
        default:
          unreachable(event, 'progress event');
      }
    },
  };
}

function newStep(declared: Followed['declared'], number: number): Followed {
  return {
    declared,
    number,
    vertex: undefined,
    lookedUpBy: [],
    solved: undefined,
    missed: false,
    state: 'waiting',
    startedAt: 0,
    finishedAt: 0,
    message: undefined,
    log: undefined,
    logName: undefined,
  };
}
