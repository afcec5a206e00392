/** Limits for a git that talks to a server: it has none of its own over `git://`, and none for how much it fetches. */
import { formatSize } from '#ground/base/human.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { activityOf } from '#ground/linux/process-activity.ts';
import { bytesBelow } from './note.ts';

export type GitLimits = {
  /** Milliseconds without any byte; five times as long below 1 kB a second. */
  readonly idle: number;
  /** Bytes that a repository may take up on disk, and those that its files may have. */
  readonly largest: number;
  /** How often something that may pass is tried, and the milliseconds before the second try. */
  readonly tries: number;
  readonly firstPause: number;
  /** Told, as a sentence, of long waits. */
  readonly onWait: (text: string) => void;
};

export const defaultGitLimits: GitLimits = {
  idle: 60_000,
  largest: 32 * 2 ** 30,
  tries: 5,
  firstPause: 1000,
  onWait: () => undefined,
};

export type GitNetwork = {
  readonly limits: GitLimits;
  /** For messages: without a password. */
  readonly address: string;
  /** What grows. */
  readonly folder?: string;
  /** Removes what a try that failed left behind. */
  readonly clearUp?: () => void;
};

/** Least bytes and processor time (milliseconds) in a second that count as being at work. */
const leastPace = { bytes: 1024, cpu: 20 };
const notices = [10_000, 30_000];
const measureEvery = 2000;
/** Of a folder of many files this many times what the last measure took. */
const measureRest = 20;

/** Looks at the git `pid` until it is disposed; calls `end` once with what is wrong. */
export function watchNetwork(network: GitNetwork, pid: number, end: (error: JettisonError) => void): Disposable {
  const { idle } = network.limits;
  const pace = createPace(network, performance.now());
  let nextMeasure = performance.now() + Math.min(measureEvery, idle);
  const timer = setInterval(
    () => {
      const now = performance.now();
      const activity = activityOf(pid);
      let trouble = activity && pace(activity, now);
      if (now >= nextMeasure) {
        trouble ??= sizeTrouble(network);
        const took = performance.now() - now;
        nextMeasure = now + Math.max(Math.min(measureEvery, idle), measureRest * took);
      }
      if (trouble === undefined) return;
      clearInterval(timer);
      end(trouble);
    },
    Math.min(1000, idle / 4),
  );
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Throws `context/git-too-large` when what has been fetched is more than may be. */
export function checkSize(network: GitNetwork): void {
  const trouble = sizeTrouble(network);
  if (trouble !== undefined) throw trouble;
}

type Activity = NonNullable<ReturnType<typeof activityOf>>;

function createPace({ address, limits: { idle, onWait } }: GitNetwork, started: number) {
  let last: Activity = { bytes: 0, cpu: 0 };
  let moved = started;
  let window = { since: started, bytes: 0, cpu: 0 };
  let said = 0;
  return (activity: Activity, now: number): JettisonError | undefined => {
    const bytes = Math.abs(activity.bytes - last.bytes);
    const cpu = Math.abs(activity.cpu - last.cpu);
    last = activity;
    if (bytes > 0 || cpu > 0) [moved, said] = [now, 0];
    window = { ...window, bytes: window.bytes + bytes, cpu: window.cpu + cpu };
    const least = idle / 1000;
    if (window.bytes >= leastPace.bytes * least || window.cpu >= leastPace.cpu * least) window = { since: now, bytes: 0, cpu: 0 };
    if (now - moved >= idle) return tooSlow(address, 'sent nothing more', idle);
    if (now - window.since >= 5 * idle) return tooSlow(address, 'sent almost nothing', 5 * idle);
    const notice = notices.findLast((one) => one <= now - moved) ?? 0;
    if (notice > said) onWait(`Still waiting: "${address}" sent nothing more for ${notice / 1000} of at most ${idle / 1000} seconds`);
    said = Math.max(said, notice);
    return undefined;
  };
}

function tooSlow(address: string, what: string, milliseconds: number): JettisonError {
  return new JettisonError('context/git-too-slow', `Git failed: "${address}" ${what} for ${Math.round(milliseconds / 100) / 10} seconds`, {
    fault: 'environment',
    retryable: true,
    hint: 'Check the server and the network in between; a slow one gets more time by "network" in the configuration',
  });
}

function sizeTrouble({ address, folder, limits }: GitNetwork): JettisonError | undefined {
  if (folder === undefined || bytesBelow(folder) <= limits.largest) return undefined;
  return tooLarge(address, limits);
}

/** `what` has become too much. */
export function tooLarge(address: string, { largest }: Pick<GitLimits, 'largest'>, what = 'the repository'): JettisonError {
  return new JettisonError('context/git-too-large', `Git failed: "${address}": ${what} has more than ${formatSize(largest)}`, {
    fault: 'environment',
    hint: 'Fetch what is needed of it with a program of your own, and give the files as a folder',
  });
}
