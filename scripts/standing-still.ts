/** A test that waits for ever would hold up the whole run without a word of which it was: its processes are shown, and ended. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export type Watch = Disposable & {
  /** Something was printed. */
  moved(): void;
};

/**
 * Calls `tell` with the words to print once nothing has moved for `limit` milliseconds, and again after each such time; then all processes are ended that have
 * `mark` ("NAME=value") in their environment, but for this one and `spared`.
 */
export function watchStandstill(limit: number, mark: string, spared: number, tell: (words: string) => void): Watch {
  let last = performance.now();
  const timer = setInterval(() => {
    const since = performance.now() - last;
    if (since < limit) return;
    last = performance.now();
    // The wait channel says in which of the kernel's functions a process sleeps.
    const { stdout } = spawnSync(
      'ps',
      ['--ppid', '2', '-p', '2', '--deselect', '-o', 'pid,ppid,stat,etimes,wchan:20,args', '--forest', '-w', '-w'],
      {
        encoding: 'utf8',
      },
    );
    const pids = marked(mark).filter((pid) => pid !== process.pid && pid !== spared);
    tell(
      `nothing was printed for ${Math.round(since / 60_000)} minutes; these processes are there, ${pids.length} of them are ended now:\n${stdout}`,
    );
    for (const pid of pids) endProcess(pid);
  }, 10_000);
  return { moved: () => void (last = performance.now()), [Symbol.dispose]: () => clearInterval(timer) };
}

function marked(mark: string): readonly number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/u.test(name)) return [];
    try {
      return readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(mark) ? [Number(name)] : [];
    } catch {
      // It has just ended.
      return [];
    }
  });
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}
