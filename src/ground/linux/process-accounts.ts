/**
 * What the kernel writes down of each process that ends: BSD process accounting, acct(2) and acct(5), form 3. It is of a PID namespace, so the first process of one has it for itself and
 * what runs below: nobody else's accounts change. A record is 64 bytes, written once at the end of a process.
 */
import { fstatSync, ftruncateSync, openSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SystemCallError, check, libc, pathBytes } from './libc.ts';

/** `code` as a shell gives it: 128 + n for signal n. `name`: the first 15 bytes of the program's name; undefined where it is not known. */
export type EndedProcess = { readonly name: string | undefined; readonly code: number };

/**
 * `own`: as what the process itself ended; undefined where it became another program than it began as, and nobody knows which. `children` in the order of their ends, or of their
 * starts: the same for what runs one after the other. `isWhole`: none is missing.
 */
export type EndedProcesses = {
  readonly own: string | undefined;
  readonly children: readonly EndedProcess[];
  readonly isWhole: boolean;
  /** The name of the file that was started, where links were followed: /bin/sh may be dash. */
  readonly file?: string;
};

export type ProcessAccounts = {
  /** From now on; dispose it. Undefined where there are none after all. */
  follow(): Promise<FollowedProcesses | undefined>;
};

export type FollowedProcesses = Disposable & {
  /** What is followed has to be started inside this call, by this thread. */
  readonly around: <T>(start: () => T) => T;
  /** What has ended below a process; undefined where that process is not in the accounts. */
  endedBelow(first: FirstProcess): Promise<EndedProcesses | undefined>;
};

/** The first process of what was followed has ended. */
export type FirstProcess = {
  /** As this process counts; undefined where it never was there. */
  readonly pid: number | undefined;
  /** The path that it was started by. */
  readonly program: string;
  readonly code: number;
};

const recordSize = 64;
const version = 3;
/** Bytes that are read at most for one process, and after which accounts end. */
const mostRead = 16 * 1024 * 1024;
const mostKept = 64 * 1024 * 1024;
const mostChildren = 1000;
/** How often it is looked whether the accounts have grown too long, in milliseconds. */
const looking = 10_000;

/** Begins them, in a file of `folder`; undefined where this is not the first process of a namespace, or may not. */
export function openProcessAccounts(folder: string): ProcessAccounts | undefined {
  if (process.pid !== 1) return undefined;
  const path = join(folder, 'processes');
  writeFileSync(path, '', { mode: 0o600 });
  const account = libc.func('int acct(const uint8_t*)');
  try {
    check(Number(account(pathBytes(path))), 'acct', path);
  } catch (error) {
    if (error instanceof SystemCallError) return undefined;
    throw error;
  }
  const file = openSync(path, 'r+');
  let followers = 0;
  return {
    async follow() {
      // Nobody reads what was written before.
      if (followers++ === 0) ftruncateSync(file, 0);
      const since = fstatSync(file).size;
      const timer = setInterval(() => void (fstatSync(file).size > mostKept && account(null)), looking);
      timer.unref();
      return await Promise.resolve({
        around: (start) => start(),
        endedBelow: async ({ pid }) => await Promise.resolve(pid === undefined ? undefined : readAccounts(file, pid, since)),
        [Symbol.dispose]: () => {
          followers--;
          clearInterval(timer);
        },
      } satisfies FollowedProcesses);
    },
  };
}

function readAccounts(file: number, pid: number, since: number): EndedProcesses | undefined {
  const { size } = fstatSync(file);
  const start = Math.max(since, size - mostRead);
  const bytes = new Uint8Array(Math.max(0, size - start));
  const read = readSync(file, bytes, 0, bytes.length, start);
  const view = new DataView(bytes.buffer, 0, read);
  const isLittle = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
  const children: EndedProcess[] = [];
  for (let at = 0; at + recordSize <= read; at += recordSize) {
    if ((view.getUint8(at + 1) & 0x7f) !== version) return undefined;
    const own = view.getUint32(at + 16, isLittle);
    const parent = view.getUint32(at + 20, isLittle);
    if (own === pid)
      return {
        own: nameAt(bytes, at),
        children: children.slice(-mostChildren),
        isWhole: start === since && children.length <= mostChildren,
      };
    if (parent === pid) children.push({ name: nameAt(bytes, at), code: codeOf(view.getUint32(at + 4, isLittle)) });
  }
  return undefined;
}

function nameAt(bytes: Uint8Array, at: number): string {
  const name = bytes.subarray(at + 48, at + recordSize);
  const end = name.indexOf(0);
  return new TextDecoder().decode(end < 0 ? name : name.subarray(0, end));
}

/** Of the status that wait(2) gives. */
function codeOf(status: number): number {
  const signal = status & 0x7f;
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal;
}
