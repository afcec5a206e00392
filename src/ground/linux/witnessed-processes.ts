/** Accounts of processes where the kernel keeps none for this one: somebody outside of its namespaces sees processes start and end, and is asked. */
import { randomHex } from '#ground/base/random.ts';
import type { EndedProcess, ProcessAccounts } from './process-accounts.ts';
import { ownName, renameThread } from './process-events.ts';
import type { SeenProcess, SeenProcesses } from './process-families.ts';

/** Whoever watches (`ProcessWatch`), as far as it can be reached from here. */
export type ProcessWitness = {
  /** False: it cannot, and never will. */
  follow(mark: string): Promise<boolean>;
  endedBelow(mark: string, code: number): Promise<SeenProcesses | undefined>;
  leave(mark: string): void;
};

export function witnessedAccounts(witness: ProcessWitness): ProcessAccounts {
  let isOver = false;
  return {
    async follow() {
      const mark = randomHex(7);
      isOver ||= !(await witness.follow(mark));
      if (isOver) return undefined;
      return {
        around: (start) => bearing(mark, start),
        endedBelow: async ({ program, code }) => {
          const found = await witness.endedBelow(mark, code);
          if (found === undefined) return undefined;
          const { own, children, isWhole } = found;
          const first = programName(program);
          return {
            own: own.laterName ?? (own.programs === 1 ? first : own.programs === 2 ? own.name : undefined),
            children: children.map((child) => asEnded(child, first)),
            isWhole,
          };
        },
        [Symbol.dispose]: () => witness.leave(mark),
      };
    },
  };
}

/** This thread has another name while `start` runs. */
function bearing<T>(mark: string, start: () => T): T {
  const before = ownName();
  renameThread(new TextEncoder().encode(`${mark}\0`));
  try {
    return start();
  } finally {
    renameThread(before);
  }
}

/** What became no program is what the first process was when it started it: a copy. Of one that became several, the name that is known is not that of the first. */
function asEnded({ name, laterName, programs, code }: SeenProcess, first: string): EndedProcess {
  if (programs === 0) return { name: laterName ?? first, code };
  return { name: programs === 1 ? name : undefined, code };
}

function programName(path: string): string {
  return new TextDecoder().decode(new TextEncoder().encode(path.slice(path.lastIndexOf('/') + 1)).subarray(0, 15));
}
