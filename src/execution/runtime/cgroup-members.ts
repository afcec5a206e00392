/** Who stands in a cgroup: cgroups(7). */
import { writeFileSync } from 'node:fs';
import { JettisonError, systemCode } from '#ground/base/errors.ts';

/** What forks meanwhile has a child that is seen in the next round. */
const mostRounds = 100;

/** Puts processes under limits that began outside of them, until `processes` gives none that are new. `entrances`: `cgroup.procs` of each cgroup. Throws `runtime/limit-refused`. */
export function moveAll(entrances: readonly string[], processes: () => readonly number[]): void {
  if (entrances.length === 0) return;
  const moved = new Set<number>();
  for (let round = 0; round < mostRounds; round++) {
    const left = processes().filter((pid) => !moved.has(pid));
    if (left.length === 0) return;
    for (const pid of left) {
      for (const entrance of entrances) moveInto(entrance, pid);
      moved.add(pid);
    }
  }
}

function moveInto(entrance: string, pid: number): void {
  try {
    writeFileSync(entrance, String(pid), { flag: 'r+' });
  } catch (error) {
    // It has ended meanwhile.
    if (systemCode(error) !== 'ESRCH') throw limitRefused('A process cannot be put under the limit', error);
  }
}

/** `runtime/limit-refused` */
export function limitRefused(message: string, cause: unknown): JettisonError {
  const why = systemCode(cause) ?? '';
  return new JettisonError('runtime/limit-refused', `${message}${why === '' ? '' : ` (${why})`}`, {
    fault: 'environment',
    cause,
    hint:
      why === 'EBUSY'
        ? 'Processes stand in a cgroup that would have to hand limits on: name another "--cgroup-parent"'
        : 'Leave the limit out',
  });
}
