/** This process's stdin as that of a program in a container. */
import { closeSync, fstatSync } from 'node:fs';
import { Socket } from 'node:net';
import { isatty } from 'node:tty';
import { makePipe } from '#ground/linux/syscall.ts';

/** Disposing it copies no more. */
export type OwnInput = Disposable & {
  /** What the program gets. */
  readonly file: number;
  /** The program has it, or will never have it. */
  release(): void;
};

/**
 * Pipes and files are handed on as they are. Sockets and terminals are copied into a pipe, as docker's client copies all of them: a program that hands them on with sendfile(2), as
 * busybox's cat does, waits for more while it holds the lock of the pipe that it writes to, and who reads that pipe, this process, would stand still until there is more.
 */
export function openOwnInput(): OwnInput {
  if (!fstatSync(0).isSocket() && !isatty(0)) return { file: 0, release: nothing, [Symbol.dispose]: nothing };
  const { readEnd, writeEnd } = makePipe();
  const { stdin } = process;
  const pipe = new Socket({ fd: writeEnd, readable: false, writable: true });
  const end = (): void => void pipe.end();
  // A program that closes its stdin, or ends, wants no more of it; a client that went away has nothing more to say.
  pipe.on('error', () => pipe.destroy());
  stdin.on('error', end).pipe(pipe);
  let isOpen = true;
  const release = (): void => {
    if (isOpen) closeSync(readEnd);
    isOpen = false;
  };
  return {
    file: readEnd,
    release,
    [Symbol.dispose]() {
      release();
      stdin.unpipe(pipe).off('error', end).pause();
      pipe.destroy();
    },
  };
}

function nothing(): void {}
