/**
 * What the kernel writes down of each process that ends: BSD process accounting, acct(2) and acct(5), form 3. It is of a PID namespace, so the first process of one has it for itself and
 * what runs below: nobody else's accounts change. A record is 64 bytes, written once at the end of a process.
 */
import { fstatSync, ftruncateSync, openSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SystemCallError, check, libc, pathBytes } from './libc.ts';

/** `code` as a shell gives it: 128 + n for signal n. `name`: the first 15 bytes of the program's name. */
export type EndedProcess = { readonly name: string; readonly code: number };

/** `own`: as what the process itself ended; `children` in the order of their ends. `isWhole`: none is missing. */
export type EndedProcesses = { readonly own: string; readonly children: readonly EndedProcess[]; readonly isWhole: boolean };

export type ProcessAccounts = {
  /** From now on; dispose it. */
  follow(): FollowedProcesses;
};

export type FollowedProcesses = Disposable & {
  /** What has ended below process `pid`, as this one counts; undefined where that process is not in the accounts. */
  endedBelow(pid: number): EndedProcesses | undefined;
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
    follow() {
      // Nobody reads what was written before.
      if (followers++ === 0) ftruncateSync(file, 0);
      const since = fstatSync(file).size;
      const timer = setInterval(() => void (fstatSync(file).size > mostKept && account(null)), looking);
      timer.unref();
      return {
        endedBelow: (pid) => readAccounts(file, pid, since),
        [Symbol.dispose]: () => {
          followers--;
          clearInterval(timer);
        },
      };
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
