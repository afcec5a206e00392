/** The processes of a container as `ps` of this machine shows them, or as the kernel tells where there is no `ps`. */
import { readFileSync } from 'node:fs';
import { JettisonError, isCode } from '#ground/base/errors.ts';
import { processesOf } from '#ground/linux/container-processes.ts';
import { readBootTime, readProcess, ticksPerSecond, type ProcessEntry } from '#ground/linux/process-table.ts';
import { runProcess } from '#ground/linux/spawn.ts';

export type ProcessList = { readonly titles: readonly string[]; readonly processes: readonly (readonly string[])[] };

const usualWords = '-ef';

export type TopWish = {
  /** Options of ps(1), '' for `-ef`. */
  readonly words: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Where programs are looked for. */
  readonly path: string;
};

/**
 * `first`: the container's first process, as this process counts. Throws `worker/bad-ps`, `worker/no-ps`.
 */
export async function listProcesses(first: number, { words, now, path }: TopWish, signal: AbortSignal): Promise<ProcessList> {
  const asked = words === '' ? usualWords : words;
  checkWords(asked);
  const pids = processesOf(first);
  try {
    return readOutput(await runPs(asked.split(' '), { pids, path }, signal), new Set(pids));
  } catch (error) {
    if (!isCode(error, 'linux/no-such-command')) throw error;
    if (asked === usualWords) return ownList(pids, now);
    throw new JettisonError('worker/no-ps', `There is no "ps" on this machine, which "${asked}" is for`, {
      fault: 'environment',
      hint: 'Leave the options out, or install it (package procps)',
      cause: error,
    });
  }
}

/** A column called PID must be the process's: by it the container's own are told from others. */
function checkWords(words: string): void {
  for (const [, column = '', title = ''] of words.matchAll(/\s+([^\s]*)=\s*(PID[^\s]*)/gu)) {
    if (column !== 'pid') throw new JettisonError('worker/bad-ps', `specifying "${column}=${title}" is not allowed`);
  }
}

/** Only of these processes where `ps` can be told so; some of its options do not go with that. */
async function runPs(
  words: readonly string[],
  { pids, path }: { readonly pids: readonly number[]; readonly path: string },
  signal: AbortSignal,
): Promise<string> {
  const run = async (given: readonly string[]) =>
    await runProcess({ command: 'ps', arguments: given, environment: { PATH: path }, captureLimit: 64 << 20 }, signal);
  const narrow = await run([...words, `-q${pids.join(',')}`]);
  const done = narrow.code === 0 ? narrow : await run(words);
  if (done.code === 0) return new TextDecoder().decode(done.stdout);
  const [why = ''] = new TextDecoder().decode(done.stderr).split('\n');
  throw new JettisonError('worker/bad-ps', `ps: ${why === '' ? `exit status ${done.code ?? done.signal}` : why}`, {
    hint: 'ps(1) has its options',
  });
}

/** Cells of the last column may hold blanks. */
function readOutput(output: string, pids: ReadonlySet<number>): ProcessList {
  const [head = '', ...lines] = output.split('\n');
  const titles = wordsOf(head);
  const column = titles.indexOf('PID');
  if (column < 0) throw new JettisonError('worker/bad-ps', "Couldn't find PID field in ps output", { hint: 'Add the column: -o pid,...' });
  const processes = lines.flatMap((line) => {
    const cells = wordsOf(line);
    if (!pids.has(Number(cells[column] ?? NaN))) return [];
    return [[...cells.slice(0, titles.length - 1), cells.slice(titles.length - 1).join(' ')]];
  });
  return { titles, processes };
}

function wordsOf(line: string): readonly string[] {
  return line.split(/[\t\n\v\f\r ]+/u).filter((word) => word !== '');
}

/** What `ps -ef` shows. */
function ownList(pids: readonly number[], now: number): ProcessList {
  const boot = readBootTime();
  const names = userNames();
  const processes = pids.flatMap((pid) => {
    const entry = readProcess(pid);
    return entry === undefined ? [] : [rowOf(entry, { boot, now: now / 1000, names })];
  });
  return { titles: ['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'], processes };
}

type Around = { readonly boot: number; readonly now: number; readonly names: ReadonlyMap<number, string> };

function rowOf(entry: ProcessEntry, { boot, now, names }: Around): readonly string[] {
  const { pid, parent, uid, name, words, terminal, started, ticks } = entry;
  const begun = boot + started / ticksPerSecond;
  const seconds = Math.floor(ticks / ticksPerSecond);
  const share = Math.min(99, Math.floor((seconds * 100) / Math.max(1, Math.floor(now - begun))));
  return [
    names.get(uid) ?? String(uid),
    String(pid),
    String(parent),
    String(share),
    startTime(begun, now),
    terminalName(terminal),
    clock(seconds),
    words.length === 0 ? `[${name}]` : words.join(' '),
  ];
}

const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** Seconds since the epoch: `10:15` of today, `Nov21` of this year, else the year. */
function startTime(begun: number, now: number): string {
  const [then, today] = [new Date(begun * 1000), new Date(now * 1000)];
  if (then.getFullYear() !== today.getFullYear()) return String(then.getFullYear());
  if (then.toDateString() !== today.toDateString()) return `${months[then.getMonth()]}${two(then.getDate())}`;
  return `${two(then.getHours())}:${two(then.getMinutes())}`;
}

function clock(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const rest = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(':');
  return days === 0 ? rest : `${two(days)}-${rest}`;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

/** Device numbers of the kernel's Documentation/admin-guide/devices.txt: 136 to 143 are `pts`, 4 `tty`. */
function terminalName(number: number): string {
  const [major, minor] = [(number >> 8) & 0xff, (number & 0xff) | ((number >> 12) & 0xfff00)];
  if (major >= 136 && major <= 143) return `pts/${(major - 136) * 256 + minor}`;
  return major === 4 ? `tty${minor}` : '?';
}

/** Of this machine's accounts; longer ones are shown by number, so that the columns stay. */
function userNames(): ReadonlyMap<number, string> {
  const lines = tryRead('/etc/passwd')
    .split('\n')
    .map((line) => line.split(':'));
  return new Map(lines.flatMap(([name = '', , uid = '']) => (name.length > 0 && name.length <= 8 ? [[Number(uid), name] as const] : [])));
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
