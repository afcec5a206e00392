/**
 * The one way out of JavaScript: libc functions that Node does not have, through koffi. The files that call them (`syscall.ts` and its neighbours) declare what they
 * need. Load them in the worker process, and elsewhere only where it saves more than it costs (some milliseconds). Every call is synchronous. Paths are byte strings;
 * a failing call throws a SystemCallError with `code` (`ENOENT`).
 */
import { getSystemErrorName } from 'node:util';
import { bytesOf, type ByteString } from '#ground/base/byte-string.ts';
import { koffi } from './foreign.ts';

export const libc = koffi.load('libc.so.6');
export class SystemCallError extends Error {
  readonly code: string;
  readonly syscall: string;
  constructor(syscall: string, errno: number, subject: string) {
    const code = getSystemErrorName(-errno);
    super(`${code}: ${syscall} '${subject}'`);
    this.name = 'SystemCallError';
    this.code = code;
    this.syscall = syscall;
  }
}

/** Used in turns: more than any call takes. A new array for each name of a large tree costs more than the call. */
const shortPaths = Array.from({ length: 8 }, () => new Uint8Array(256));
let nextShort = 0;

/** Bytes with the NUL that C wants, good for the next call. A NUL inside a name is refused: it would cut the name short. */
export function pathBytes(path: ByteString | string): Uint8Array {
  if (path.includes('\0')) throw new SystemCallError('path', 22, path);
  const short = path.length < 256 ? shortPaths[(nextShort = (nextShort + 1) % shortPaths.length)] : undefined;
  if (short !== undefined) {
    for (let index = 0; index < path.length; index++) short[index] = path.charCodeAt(index);
    short[path.length] = 0;
    return short;
  }
  const bytes = new Uint8Array(path.length + 1);
  bytes.set(bytesOf(path as ByteString)); // oxlint-disable-line typescript/no-unsafe-type-assertion
  return bytes;
}

/** Gives `result` of a call that tells of failure by a negative number; throws what went wrong otherwise. */
export function check(result: number, syscall: string, subject: string): number {
  if (result < 0) throw new SystemCallError(syscall, koffi.errno(), subject);
  return result;
}

/** `errno` of the call before this one. */
export function lastError(): number {
  return koffi.errno();
}
