/** Work of the engine itself that people see as a step. */
import type { Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { messageOf } from '#ground/base/errors.ts';
import type { Engine } from './open.ts';

export type ShownStep = {
  readonly engine: Pick<Engine, 'now'>;
  readonly report: Report;
  readonly step: { readonly vertex: Digest; readonly text: string };
};

/** The step begins and ends with `work`, and fails with it. Throws what `work` throws. */
export async function showAsStep<T>({ engine, report, step }: ShownStep, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const { vertex, text } = step;
  report({ kind: 'vertex', vertex, text });
  report({ kind: 'vertex-started', vertex, time: engine.now() });
  try {
    const done = await work();
    report({ kind: 'vertex-finished', vertex, time: engine.now() });
    return done;
  } catch (error) {
    report({ kind: 'vertex-failed', vertex, time: engine.now(), message: messageOf(error), cancelled: signal.aborted });
    throw error;
  }
}
