/** Commands that go on until somebody has seen enough. */
import { isCode } from '#ground/base/errors.ts';

/** Does `work`; Ctrl-C is how it usually ends, and nothing to complain about. Gives the exit code: 0, or 130 after Ctrl-C. */
export async function untilInterrupted(work: () => Promise<void>): Promise<number> {
  try {
    await work();
    return 0;
  } catch (error) {
    if (isCode(error, 'base/cancelled')) return 130;
    throw error;
  }
}
