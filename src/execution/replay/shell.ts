/** Types the commands of a tutorial: each in a shell of its own that begins with the folder and the variables that the one before it left. */
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withinTime } from '#ground/base/abort.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { runProcess } from '#ground/linux/spawn.ts';
import { sendSignal, signalNumber } from '#ground/linux/child.ts';

export type Said = {
  /** 128 + n where signal n ended it. */
  readonly code: number;
  /** Standard output and error as they came, the first `outputLimit` bytes. */
  readonly output: string;
  readonly isTimedOut: boolean;
};

export type Shell = Disposable & {
  /** Runs a script to its end. Rejects with the signal's reason when that aborts; then nothing of it runs any more. */
  type(script: string, options: { readonly terminal: boolean }, signal: AbortSignal): Promise<Said>;
};

export type ShellOptions = {
  /** Where the commands begin. */
  readonly folder: string;
  /** For what is kept between commands: private to this shell. */
  readonly state: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Milliseconds that one command may take. */
  readonly timeout: number;
};

const outputLimit = 4 << 20;

/** bash where it is there, else sh. Disposing it ends what commands left running behind them. */
export function openShell({ folder, state, environment, timeout }: ShellOptions): Shell {
  const program = ['/bin/bash', '/usr/bin/bash'].find((path) => existsSync(path)) ?? '/bin/sh';
  mkdirSync(state, { recursive: true, mode: 0o700 });
  const file = (name: string): string => join(state, name);
  writeFileSync(file('folder'), `${folder}\n`);
  writeFileSync(file('variables'), '');
  writeFileSync(file('around'), around);
  const mark = `JETTISON_REPLAY=${randomUUID()}`;
  const sessions = new Set<number>();
  return {
    async type(script, { terminal }, signal) {
      writeFileSync(file('command'), `${script}\n`);
      const output = openSync(file('output'), 'w+', 0o600);
      try {
        const words = [program, file('around'), state];
        const [command = program, ...rest] = terminal ? inTerminal(words, file('keyboard')) : words;
        const run = async (within: AbortSignal): Promise<number> => {
          const { code, signal: killed } = await runProcess(
            {
              command,
              arguments: rest,
              environment: { ...environment, JETTISON_REPLAY: mark.slice(mark.indexOf('=') + 1) },
              cwd: folder,
              stdout: output,
              stderr: output,
              endsAll: true,
              onStart: (pid) => sessions.add(pid),
            },
            within,
          );
          return code ?? 128 + (signalNumber(killed ?? '') ?? 0);
        };
        const late = new JettisonError('replay/timed-out', 'A command took too long', { fault: 'user' });
        const code = await withinTime(timeout, late, run, signal).catch((error: unknown) => {
          if (error === late) return undefined;
          throw error;
        });
        return { code: code ?? 124, output: readBack(output), isTimedOut: code === undefined };
      } finally {
        closeSync(output);
      }
    },
    [Symbol.dispose]: () => {
      for (const pid of leftRunning(mark, sessions)) sendSignal(pid, 15);
    },
  };
}

/** What commands started and left running in their own session; what made itself a session (a container that goes on) is not among it. A number that was used again belongs to somebody without the mark. */
function leftRunning(mark: string, sessions: ReadonlySet<number>): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .filter((pid) => sessions.has(Number(sessionOf(pid))) && readProcess(pid, 'environ').split('\0').includes(mark))
    .map(Number);
}

/** Field 6 of /proc/PID/stat, counted behind the name, which may hold anything: proc(5). */
function sessionOf(pid: string): string | undefined {
  const text = readProcess(pid, 'stat');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[3];
}

function readProcess(pid: string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes(systemCode(error) ?? '')) return '';
    throw error;
  }
}

/** `$1` is the folder of the state. What the command sets is kept also when it calls `exit`. */
const around = `jettison_state=$1
set -a
. "$jettison_state/variables"
set +a
cd "$(cat "$jettison_state/folder")" || exit 1
jettison_keep() {
  jettison_code=$?
  trap - EXIT
  pwd >"$jettison_state/folder"
  export -p | sed -e '/^declare -[a-z]*r/d' -e '/ _=/d' >"$jettison_state/variables"
  exit "$jettison_code"
}
trap jettison_keep EXIT
[ "$(wc -l <"$jettison_state/command")" -gt 1 ] && set -e
. "$jettison_state/command"
`;

/**
 * The program script of util-linux gives a command a terminal. Nobody types there, but its keyboard (a named pipe that is open for writing, too) does not end: the end would
 * be typed. Throws `replay/no-terminal`.
 */
function inTerminal(words: readonly string[], keyboard: string): readonly string[] {
  const program = ['/usr/bin/script', '/bin/script'].find((path) => existsSync(path));
  if (program === undefined) {
    throw new JettisonError('replay/no-terminal', 'A command wants a terminal, and the program "script" is not there to make one', {
      fault: 'environment',
      hint: 'Install the package bsdutils (Debian) or util-linux',
    });
  }
  const line = words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');
  const open = '[ -p "$1" ] || mkfifo "$1" || exit 1; exec "$2" -qefc "$3" /dev/null <>"$1"';
  return ['/bin/sh', '-c', open, 'sh', keyboard, program, line];
}

function readBack(file: number): string {
  const bytes = new Uint8Array(Math.min(fstatSync(file).size, outputLimit));
  let length = 0;
  while (length < bytes.length) {
    const count = readSync(file, bytes, length, bytes.length - length, length);
    if (count === 0) break;
    length += count;
  }
  return new TextDecoder().decode(bytes.subarray(0, length));
}
