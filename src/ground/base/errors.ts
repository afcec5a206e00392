/** The one error class of the product, and what every room needs to make and to recognise its errors. */
import type { Span } from './span.ts';

/** Who has to act: the person who typed, the machine it runs on, or us; `limit`: all went well, but what came of it is more than somebody allows. Decides the exit code and whether a stack is shown. */
export type Fault = 'user' | 'environment' | 'limit' | 'bug';

export type ErrorDetails = {
  readonly fault?: Fault;
  /** One sentence that says what to do. */
  readonly hint?: string;
  /** Places in a source text (Dockerfile), shown as an excerpt. */
  readonly at?: readonly Span[];
  readonly cause?: unknown;
  /** Only `retry.ts` reads it. */
  readonly retryable?: boolean;
  /** Further lines for people, such as the last output of a step. */
  readonly notes?: readonly string[];
};

/** `code` is public and stable: `room/kebab-case`. */
export class JettisonError extends Error {
  readonly code: string;
  readonly fault: Fault;
  readonly hint: string | undefined;
  readonly at: readonly Span[];
  readonly retryable: boolean;
  readonly notes: readonly string[];

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    super(clean(message), details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'JettisonError';
    this.code = code;
    this.fault = details.fault ?? 'user';
    this.hint = details.hint === undefined ? undefined : clean(details.hint);
    this.at = details.at ?? [];
    this.retryable = details.retryable ?? false;
    this.notes = details.notes ?? [];
  }

  /** The same error with what a caller further up knows: source places, a hint, notes. What is there already stays. */
  with(details: ErrorDetails): JettisonError {
    return new JettisonError(this.code, this.message, {
      fault: this.fault,
      retryable: this.retryable,
      cause: this,
      at: this.at.length > 0 ? this.at : (details.at ?? []),
      notes: [...this.notes, ...(details.notes ?? [])],
      ...((this.hint ?? details.hint) === undefined ? {} : { hint: this.hint ?? details.hint ?? '' }),
    });
  }
}

/** Is `error` a JettisonError with exactly this code? */
export function isCode(error: unknown, code: string): error is JettisonError {
  return error instanceof JettisonError && error.code === code;
}

/** The `code` of a Node system error (`ENOENT`), or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Of a disk that takes no more: the words for it. Undefined for any other error. */
export function fullDisk(error: unknown): string | undefined {
  const code = systemCode(error);
  if (code === 'ENOSPC') return 'no space left on device';
  return code === 'EDQUOT' ? 'disk quota exceeded' : undefined;
}

export const fullDiskHint = 'Free some space on that disk, then run the same command again';

/** Of a name, a link or a size that file systems do not take, whoever asked for it: the words for it. Undefined for any other error. */
export function refusedFile(error: unknown): string | undefined {
  const code = systemCode(error) ?? '';
  const isOwner = error instanceof Error && 'syscall' in error && /chown/u.test(String(error.syscall));
  if (isOwner && code === 'EINVAL') return 'its owner is an id that whoever builds does not have (/etc/subuid, /etc/subgid)';
  return refusedFiles.get(code);
}

const refusedFiles: ReadonlyMap<string, string> = new Map([
  ['ENAMETOOLONG', 'a name has more than 255 bytes, or a path more than 4095'],
  ['EINVAL', 'the kernel does not take its name or one of its numbers'],
  ['EILSEQ', 'the file system does not take the bytes of its name'],
  ['EFBIG', 'it is larger than a file can be here'],
  ['EOVERFLOW', 'one of its numbers is too large'],
  ['EMLINK', 'a file has more names than the file system takes'],
  ['EPERM', 'it is not permitted to this user, or on this file system'],
]);

/** What went wrong first, where clearing up after it went wrong, too. */
export function firstFailure(error: unknown): unknown {
  return error instanceof SuppressedError ? firstFailure(error.suppressed) : error;
}

/** Ends an exhaustive switch: a state the types rule out. */
export function unreachable(value: never, what: string): never {
  throw new JettisonError('base/unreachable', `Unexpected ${what}: ${JSON.stringify(value)}`, { fault: 'bug' });
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Text from outside may hold terminal escapes and passwords in URLs: neither reaches a message. */
export function clean(text: string): string {
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/gu, '\u{fffd}').replaceAll(/:\/\/[^/?#\s]+@/gu, '://***@');
}
