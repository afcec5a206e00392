import { planReplay, replay } from '#engine/replay.ts';
import type { DifferentLine, Replayed, ReplayPlan } from '#engine/replay-requests.ts';
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { confirm } from '../confirm.ts';
import { parseDuration } from '#engine/space-filters.ts';
import { badValue, flag, list, parsed, text } from '../option.ts';
import { harmless } from '../output/text.ts';

const usualTimeout = 900_000;

export const replayCommand = defineCommand({
  name: 'replay',
  summary: 'Type the commands of a Markdown tutorial and see whether it shows what they print',
  usage: '[OPTIONS] TUTORIAL.md',
  options: {
    alias: list('alias', { value: 'name', help: 'Also find this program under the name, beside "docker"' }),
    copy: text('copy', { value: 'folder', help: 'Begin with a copy of the files of this folder' }),
    dryRun: flag('dry-run', { help: 'Only show the files and commands' }),
    folder: text('folder', { value: 'folder', help: 'Type in this empty folder, which stays (default: one that is removed)' }),
    force: flag('force', { short: 'f', help: 'Do not ask before the commands are run' }),
    timeout: parsed(
      'timeout',
      { value: 'duration', initial: usualTimeout, help: 'How long each command may take (default "15m")' },
      readTimeout,
    ),
    verbose: flag('verbose', { short: 'v', help: 'Show what the commands print' }),
    write: flag('write', { short: 'w', help: 'Put what was printed into the tutorial where it shows something else' }),
  },
  arguments: [1, 1],
  async run({ options, arguments: [file = ''] }, around, signal) {
    const { stdout } = around.streams;
    const say = (line: string): void => void stdout.write(`${harmless(line, false)}\n`);
    const plan = planReplay({ file }, around);
    if (options.dryRun || !options.force) tell(plan, file, say);
    if (options.dryRun) return 0;
    if (!options.force && !(await mayRun(around, signal))) return 1;
    const request = {
      file,
      copy: options.copy,
      folder: options.folder,
      aliases: ['docker', ...options.alias],
      // Node looks for its own options (`--env-file`) in all words behind it, unless `--` comes first.
      program: [process.execPath, '--', ...process.argv.slice(1, 2)],
      timeout: options.timeout,
      writes: options.write,
    };
    const follower = {
      begins: () => undefined,
      ended: (done: Replayed) => {
        for (const line of linesFor(done, file)) say(line);
        if (options.verbose) for (const line of done.output.trimEnd().split(/\r?\n/u)) say(`      ${line}`);
      },
    };
    const all = await replay(request, around, follower, signal);
    const wrong = all.filter(({ verdict }) => !isRight(verdict.kind));
    const compared = all.filter(({ verdict }) => verdict.kind === 'same').length;
    say(
      `${all.length} commands, ${compared} print what is shown, ${all.length - compared - wrong.length} show nothing, ${wrong.length} differ`,
    );
    return wrong.length === 0 ? 0 : 1;
  },
});

function readTimeout(value: string): number {
  const found = parseDuration(value);
  if (found !== undefined && found > 0) return found;
  throw badValue('timeout', value, 'use a duration such as "15m"');
}

function isRight(kind: Replayed['verdict']['kind']): boolean {
  return kind === 'same' || kind === 'nothing-shown';
}

function tell({ files, commands }: ReplayPlan, file: string, say: (line: string) => void): void {
  for (const { path, line } of files) say(`${file}:${line}: writes ${path}`);
  for (const { script, line } of commands) say(`${file}:${line}: $ ${script.replaceAll('\n', '\n    ')}`);
}

/** What a tutorial from elsewhere says is done with the rights of its reader. */
async function mayRun(around: Surroundings, signal: AbortSignal): Promise<boolean> {
  if (around.streams.stdin.isTTY === true) return await confirm('Run these commands as they stand?', around, signal);
  throw new JettisonError('cli/usage', 'There is nobody to ask whether these commands may be run', {
    hint: 'Read them, and give "--force"',
  });
}

/** How many lines of a failed command are told. */
const lastLines = 12;

function linesFor({ script, at, output, verdict }: Replayed, file: string): readonly string[] {
  const [first = '', ...more] = script.split('\n');
  const command = `${file}:${at.from}: $ ${first}${more.length > 0 ? ' ...' : ''}`;
  switch (verdict.kind) {
    case 'same':
      return [`same    ${command}`];
    case 'nothing-shown':
      return [`ran     ${command}`];
    case 'timed-out':
      return [`TOOK TOO LONG ${command}`, ...endOf(output)];
    case 'failed':
      return [`FAILED  ${command}`, `    exit code ${verdict.code}, expected ${verdict.expected}`, ...endOf(output)];
    case 'different':
      return [`DIFFERS ${command}`, ...verdict.lines.map((line) => `    ${marks[line.kind]} ${line.text}`.trimEnd())];
    default:
      return unreachable(verdict, 'verdict');
  }
}

function endOf(output: string): readonly string[] {
  return output
    .trimEnd()
    .split(/\r?\n/u)
    .slice(-lastLines)
    .map((line) => `      ${line}`);
}

const marks: Readonly<Record<DifferentLine['kind'], string>> = { both: ' ', shown: '-', printed: '+', 'left-out': ' ' };
