/** Work done for vertices in one build: the first failure ends all of it, and is told apart from what ended because of it. */
import { cancelled, type ChildSignal } from '#ground/base/abort.ts';
import type { Digest } from '#ground/base/digest.ts';
import { firstFailure, JettisonError, messageOf, systemCode, refusedFile } from '#ground/base/errors.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Vertex } from '#formats/graph/vertex.ts';

export type Attempts = {
  readonly signal: AbortSignal;
  start(vertex: Vertex): void;
  finish(vertex: Vertex): void;
  /** `isSkipped`: as of the event. */
  cached(vertex: Vertex, isSkipped?: boolean): void;
  /** Does work for a vertex. Whatever it throws ends the build and is blamed on the vertex, unless the build was ending already. */
  attempt<T>(vertex: Vertex, work: () => Promise<T>): Promise<T>;
  /** Waits until all are settled, so that nothing goes on behind the caller's back; throws the failure that came first. */
  settle<T>(work: readonly Promise<T>[]): Promise<readonly T[]>;
};

export function createAttempts(own: ChildSignal, report: Report, now: () => number): Attempts {
  const { signal } = own;
  const running = new Set<Digest>();
  let failure: JettisonError | undefined;

  const start = ({ digest }: Vertex): void => {
    running.add(digest);
    report({ kind: 'vertex-started', vertex: digest, time: now() });
  };
  const fail = (vertex: Vertex, error: unknown): void => {
    const first = !signal.aborted;
    if (first) {
      failure = blame(error, vertex);
      if (!running.has(vertex.digest)) start(vertex);
      own.abort(cancelled(`Cancelled, because "${vertex.label.text}" failed`));
    }
    if (!running.delete(vertex.digest)) return;
    report({ kind: 'vertex-failed', vertex: vertex.digest, time: now(), message: messageOf(error), cancelled: !first });
  };
  return {
    signal,
    start,
    finish({ digest }) {
      running.delete(digest);
      report({ kind: 'vertex-finished', vertex: digest, time: now() });
    },
    cached({ digest }, isSkipped = false) {
      running.delete(digest);
      report({ kind: 'vertex-cached', vertex: digest, time: now(), ...(isSkipped ? { isSkipped } : {}) });
    },
    async attempt(vertex, work) {
      try {
        signal.throwIfAborted();
        return await work();
      } catch (thrown) {
        const error = firstFailure(thrown);
        fail(vertex, error);
        throw error;
      }
    },
    async settle(work) {
      const settled = await Promise.allSettled(work);
      if (failure !== undefined) throw failure;
      signal.throwIfAborted();
      return settled.map((one) => {
        if (one.status === 'rejected') throw one.reason;
        return one.value;
      });
    },
  };
}

function hintOf(error: unknown): { readonly hint?: string } {
  const refused = refusedFile(error);
  return refused === undefined ? {} : { hint: `Of a file or path of this step, ${refused}` };
}

function blame(error: unknown, { label }: Vertex): JettisonError {
  const known =
    error instanceof JettisonError
      ? error
      : new JettisonError('solver/step-failed', messageOf(error).slice(0, 1000), {
          fault: systemCode(error) === undefined ? 'bug' : 'environment',
          cause: error,
          ...hintOf(error),
        });
  // A place in the source says more than the words of the step.
  const at = label.at ?? [];
  return known.with({ at, notes: at.length > 0 ? [] : [`In the step "${label.text}"`] });
}
