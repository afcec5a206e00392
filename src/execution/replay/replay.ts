/** Does what a tutorial says and looks whether the same comes out. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { compareOutput, type DifferentLine } from '#languages/tutorial/compare.ts';
import type { Lines, Tutorial, TutorialStep } from '#languages/tutorial/tutorial.ts';
import type { Said, Shell } from './shell.ts';

export type Replayed = {
  readonly script: string;
  readonly at: Lines;
  /** What it wrote, to the last byte that was kept. */
  readonly output: string;
  readonly verdict: Verdict;
};

export type Verdict =
  | { readonly kind: 'same' }
  /** The tutorial shows nothing, and the exit code is the one that is expected. */
  | { readonly kind: 'nothing-shown' }
  | { readonly kind: 'different'; readonly lines: readonly DifferentLine[] }
  | { readonly kind: 'failed'; readonly code: number; readonly expected: number }
  | { readonly kind: 'timed-out' };

/** Told of each command when it begins and when it has ended. */
export type ReplayFollower = {
  readonly begins: (step: { readonly script: string; readonly at: Lines }) => void;
  readonly ended: (done: Replayed) => void;
};

/** Writes the files into `folder` and types the commands, in order. A command that fails or says something else does not end it: what follows may be right. */
export async function replayTutorial(
  tutorial: Tutorial,
  { folder, shell, follower }: { readonly folder: string; readonly shell: Shell; readonly follower: ReplayFollower },
  signal: AbortSignal,
): Promise<readonly Replayed[]> {
  const all: Replayed[] = [];
  for (const step of tutorial.steps) {
    signal.throwIfAborted();
    if (step.kind === 'file') {
      writeInto(folder, step);
      continue;
    }
    follower.begins(step);
    const said = await shell.type(step.script, { terminal: step.expects.wantsTerminal || asksForTerminal(step.script) }, signal);
    const done = { script: step.script, at: step.at, output: said.output, verdict: judge(step, said) };
    follower.ended(done);
    all.push(done);
  }
  return all;
}

function judge({ shown, expects }: Extract<TutorialStep, { kind: 'command' }>, said: Said): Verdict {
  if (said.isTimedOut) return { kind: 'timed-out' };
  if (expects.exit !== undefined && said.code !== expects.exit) return { kind: 'failed', code: said.code, expected: expects.exit };
  if (shown === undefined) return { kind: 'nothing-shown' };
  return compareOutput(shown.lines, said.output, expects.isExcerpt);
}

/** `docker run -it`, `exec -ti`: they refuse to work without one. */
function asksForTerminal(script: string): boolean {
  return /\b(?:run|exec|start|attach|create)\b(?:\s+\S+)*?\s+-(?:[a-z]*t[a-z]*)\b/u.test(script) && /\s-(?:it|ti|dit|itd)\b/u.test(script);
}

/** A link that a command left at this place is taken away, not followed. Throws `replay/cannot-write` where commands left something else in the way. */
function writeInto(folder: string, { path, text, at }: Extract<TutorialStep, { kind: 'file' }>): void {
  const target = join(folder, path);
  try {
    mkdirSync(dirname(target), { recursive: true });
    rmSync(target, { force: true });
    writeFileSync(target, text, { mode: text.startsWith('#!') ? 0o755 : 0o644 });
  } catch (error) {
    throw new JettisonError('replay/cannot-write', `Cannot write "${path}" of line ${at.from}: ${messageOf(error)}`, {
      fault: 'user',
      cause: error,
      hint: 'A command before it has made something else there',
    });
  }
}
