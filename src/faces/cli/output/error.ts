/** An error as people see it, printed once. */
import { clean, fullDisk, fullDiskHint, isCode, JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import type { Output } from '../command.ts';
import { harmless } from './text.ts';

/** Exit code for what is our fault: EX_SOFTWARE of sysexits.h. */
const bugCode = 70;
/** Exit code where all went well, but what came of it is more than was allowed. */
const limitCode = 4;
/** System errors that say something about the machine, wherever they turn up. */
const machineErrors = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EMFILE', 'ENFILE', 'ENOMEM', 'EIO', 'EACCES']);

/** Mistakes in the line itself are told in docker's words, as cobra, its command line library, puts them. */
const mistakes: ReadonlyMap<string, number> = new Map([
  ['cli/unknown-flag', 125],
  ['cli/flag-value', 125],
  ['cli/argument-count', 1],
  ['cli/no-terminal', 1],
  ['cli/unknown-command', 1],
]);

/** The exit code of a mistake on the command line; undefined for any other error. */
export function mistakeCode(error: unknown): number | undefined {
  return error instanceof JettisonError ? mistakes.get(error.code) : undefined;
}

/** Writes notes, message and hint to `stderr`, a stack too when it is a bug or when `debug`; gives the exit code: `failureCode`, 4 for a limit that was passed, or 70 for a bug. */
export function printError(error: unknown, stderr: Output, failureCode: number, debug = false): number {
  const isBug = !isExpected(error);
  stderr.write(describeError(error, stderr.isTTY === true));
  if (debug && !isBug && error instanceof Error) stderr.write(`${[clean(error.stack ?? ''), ...causes(error)].join('\n')}\n`);
  if (error instanceof JettisonError && error.fault === 'limit') return limitCode;
  return isBug ? bugCode : failureCode;
}

/** The lines of `printError`. */
export function describeError(error: unknown, colours: boolean): string {
  if (error instanceof SuppressedError) return describeError(error.error, colours) + describeError(error.suppressed, colours);
  const known = error instanceof JettisonError ? error : undefined;
  const notes = (known?.notes ?? []).flatMap((note) => note.split('\n').map((line) => harmless(line, colours)));
  const stack = isExpected(error) || !(error instanceof Error) ? [] : [clean(error.stack ?? ''), ...causes(error)];
  const report = isExpected(error) ? [] : ['This is a bug of jettison: please report it with the lines above'];
  const hint = known?.hint ?? (fullDisk(error) === undefined ? undefined : fullDiskHint);
  return `${[
    ...notes,
    `${isBare(error) ? '' : 'ERROR: '}${clean(
      messageOf(error)
        .trim()
        .replaceAll(/\s*[\r\n]+\s*/gu, ' '),
    )}`,
    ...(hint === undefined ? [] : [hint]),
    ...stack,
    ...report,
  ].join('\n')}\n`;
}

/** Docker's own lines: of mistakes, and what the kernel says of a program that is there while its interpreter is not, or that is none. */
function isBare(error: unknown): boolean {
  const isOfKernel = isCode(error, 'runtime/no-interpreter') || isCode(error, 'runtime/not-a-program');
  return mistakeCode(error) !== undefined || (isOfKernel && messageOf(error).startsWith('exec '));
}

function causes(error: Error): readonly string[] {
  return error.cause instanceof Error ? [`Caused by: ${clean(error.cause.stack ?? error.cause.message)}`, ...causes(error.cause)] : [];
}

function isExpected(error: unknown): boolean {
  if (error instanceof JettisonError) return error.fault !== 'bug';
  if (error instanceof SuppressedError) return isExpected(error.suppressed);
  return machineErrors.has(systemCode(error) ?? '');
}
