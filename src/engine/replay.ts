/** `jettison replay`: is what a tutorial shows what its reader sees? */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import { readAtMost } from '#ground/base/read-at-most.ts';
import { makeFolders } from '#ground/base/make-folders.ts';
import { readTutorial } from '#languages/tutorial/read.ts';
import type { Tutorial } from '#languages/tutorial/tutorial.ts';
import { rewriteShown } from '#languages/tutorial/rewrite.ts';
import { replayTutorial } from '#execution/replay/replay.ts';
import { openShell } from '#execution/replay/shell.ts';
import type { ReplayFollower, ReplayPlan, ReplayRequest, Replayed } from './replay-requests.ts';

/** What surrounds the commands. */
export type ReplaySurroundings = { readonly currentFolder: string; readonly environment: Readonly<Record<string, string | undefined>> };

const longest = 4 << 20;

/** What would be done, in order. Throws `engine/bad-tutorial` and what reading the text throws. */
export function planReplay(request: Pick<ReplayRequest, 'file'>, { currentFolder }: ReplaySurroundings): ReplayPlan {
  const { tutorial } = open(request.file, currentFolder);
  return {
    commands: tutorial.steps.flatMap((step) => (step.kind === 'command' ? [{ script: step.script, line: step.at.from }] : [])),
    files: tutorial.steps.flatMap((step) => (step.kind === 'file' ? [{ path: step.path, line: step.at.from }] : [])),
  };
}

/** Gives what came of each command. Throws `engine/bad-tutorial`, `engine/folder-not-empty` and what reading the text throws, before anything is done. */
export async function replay(
  request: ReplayRequest,
  { currentFolder, environment }: ReplaySurroundings,
  follower: ReplayFollower,
  signal: AbortSignal,
): Promise<readonly Replayed[]> {
  const { path, text, tutorial } = open(request.file, currentFolder);
  using scratch = makeScratch();
  const folder = request.folder === undefined ? join(scratch.folder, 'tutorial') : resolve(currentFolder, request.folder);
  const copy = request.copy === undefined ? undefined : resolve(currentFolder, request.copy);
  if (copy !== undefined) checkFolder(copy, 'copied');
  if (prepare(folder).length > 0) {
    throw new JettisonError('engine/folder-not-empty', `The folder "${folder}" is not empty`, {
      hint: 'What the tutorial writes would mix with what is there: name another',
    });
  }
  if (copy !== undefined) cpSync(copy, folder, { recursive: true, verbatimSymlinks: true });
  const programs = join(scratch.folder, 'programs');
  mkdirSync(programs);
  for (const alias of new Set(['jettison', ...request.aliases])) writeAlias(join(programs, alias), request.program);
  using shell = openShell({
    folder,
    state: join(scratch.folder, 'state'),
    environment: environmentOf(environment, programs),
    timeout: request.timeout,
  });
  const done = await replayTutorial(tutorial, { folder, shell, follower }, signal);
  if (request.writes)
    writeFileSync(
      path,
      rewriteShown(
        text,
        tutorial,
        new Map(done.map(({ at, output, verdict }) => [at.from, verdict.kind === 'different' ? output : undefined])),
      ),
    );
  return done;
}

/** Gives what is in the folder, which is made where it is missing. Throws `engine/not-a-folder`. */
function prepare(folder: string): readonly string[] {
  try {
    makeFolders(folder);
    return readdirSync(folder);
  } catch (error) {
    throw notAFolder(folder, 'typed in', error);
  }
}

function checkFolder(path: string, use: string): void {
  try {
    readdirSync(path);
  } catch (error) {
    throw notAFolder(path, use, error);
  }
}

function notAFolder(path: string, use: string, cause: unknown): JettisonError {
  return new JettisonError('engine/not-a-folder', `"${path}" cannot be ${use}: ${messageOf(cause)}`, { cause, hint: 'Name a folder' });
}

function open(file: string, currentFolder: string): { readonly path: string; readonly text: string; readonly tutorial: Tutorial } {
  const path = resolve(currentFolder, file);
  const text = readText(path);
  const tutorial = readTutorial(text, basename(path));
  if (tutorial.steps.some(({ kind }) => kind === 'command')) return { path, text, tutorial };
  throw new JettisonError('engine/bad-tutorial', `There is no command in "${file}"`, {
    hint: 'Commands stand in fenced blocks of a shell: ```console with "$ " before each, or ```sh',
  });
}

function readText(path: string): string {
  try {
    const bytes = readAtMost(path, longest);
    if (bytes === undefined) throw new JettisonError('engine/bad-tutorial', `"${path}" is longer than ${longest >> 20} MiB`, {});
    return new TextDecoder().decode(bytes);
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    throw new JettisonError('engine/bad-tutorial', `Cannot read "${path}": ${messageOf(error)}`, {
      hint: 'Name a Markdown file',
      cause: error,
    });
  }
}

function makeScratch(): Disposable & { readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-replay-'));
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

function writeAlias(file: string, program: readonly string[]): void {
  const words = program.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');
  writeFileSync(file, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
}

function environmentOf(environment: ReplaySurroundings['environment'], programs: string): Readonly<Record<string, string>> {
  const kept = Object.entries(environment).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  return { ...Object.fromEntries(kept), PATH: `${programs}:${environment['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'}` };
}
