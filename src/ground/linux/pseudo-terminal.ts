/** Pseudo-terminals: pts(4), ioctl_tty(2). */
import { closeSync, constants, openSync, readdirSync, readlinkSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import type { Duplex } from 'node:stream';
import { systemCode } from '#ground/base/errors.ts';
import { check, libc } from './libc.ts';

export type TerminalSize = { readonly rows: number; readonly columns: number };

export type PseudoTerminal = {
  /** What is read and written at the master's side; it ends when nobody has the other side open. Destroy it at the end. */
  readonly master: Duplex;
  /** An open file for the process whose terminal it is. It neither echoes nor changes anything. */
  readonly slave: number;
  resize(size: TerminalSize): void;
  /** The master's side as an open file for another program, when this one reads it no more. */
  blockingMaster(): number;
};

const native = {
  ioctl: libc.func('int ioctl(int, unsigned long, _Inout_ uint8_t*)'),
  syscall: libc.func('long syscall(long, int, int, uint32_t)'),
  fcntl: libc.func('int fcntl(int, int, int)'),
  getattr: libc.func('int tcgetattr(int, _Out_ uint8_t*)'),
  setattr: libc.func('int tcsetattr(int, int, const uint8_t*)'),
  makeRaw: libc.func('void cfmakeraw(_Inout_ uint8_t*)'),
};

const F_SETFL = 4;
const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;
const TIOCSPTLCK = 0x40045431;
const TIOCGPTN = 0x80045430;
const TIOCSWINSZ = 0x5414;
const OPOST = 1;
/** Where c_oflag stands in a termios. */
const outputFlags = 4;
/** More than what any libc's termios takes (glibc: 60 bytes). */
const termiosSize = 256;

/** Throws system errors: `ENOENT` where there is no /dev/ptmx. */
export function openPseudoTerminal(size: TerminalSize): PseudoTerminal {
  const master = openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY);
  let slave = -1;
  try {
    check(native.ioctl(master, TIOCSPTLCK, new Uint8Array(4)), 'ioctl', 'TIOCSPTLCK');
    const number = new Uint8Array(4);
    check(native.ioctl(master, TIOCGPTN, number), 'ioctl', 'TIOCGPTN');
    slave = openSync(`/dev/pts/${new DataView(number.buffer).getUint32(0, true)}`, constants.O_RDWR | constants.O_NOCTTY);
    makeRaw(slave);
    forbidChanges(slave);
    setSize(master, size);
    return {
      master: new ReadStream(master),
      slave,
      resize: (changed) => setSize(master, changed),
      blockingMaster() {
        native.fcntl(master, F_SETFL, constants.O_RDWR);
        return master;
      },
    };
  } catch (error) {
    if (slave >= 0) closeSync(slave);
    closeSync(master);
    throw error;
  }
}

/**
 * Every key is passed on as it is typed, and nothing that is written is changed (Node's own raw mode adds carriage returns). Gives what brings back the terminal as it was; it may be
 * called at the end of the process. Throws system errors: `ENOTTY`.
 */
export function makeRaw(file: number): () => void {
  const before = new Uint8Array(termiosSize);
  check(native.getattr(file, before), 'tcgetattr', String(file));
  const settings = before.slice();
  native.makeRaw(settings);
  check(native.setattr(file, 0, settings), 'tcsetattr', String(file));
  // The terminal may be gone by then.
  return () => void native.setattr(file, 0, before);
}

/** Whoever switches the changing of output on again (OPOST: runc does) has switched on nothing. */
function forbidChanges(file: number): void {
  const settings = new Uint8Array(termiosSize);
  check(native.getattr(file, settings), 'tcgetattr', String(file));
  new DataView(settings.buffer).setUint32(outputFlags, 0, true);
  check(native.setattr(file, 0, settings), 'tcsetattr', String(file));
}

export type TerminalSettings = {
  /** What is written to it is not passed on as it is: line feeds get carriage returns, for one (OPOST). */
  readonly changesOutput: boolean;
};

/** How the terminal is set whose master's side the process `pid` holds; undefined where it holds none, or it cannot be told (see `resizeTerminalsOf`). */
export function readTerminal(pid: number): TerminalSettings | undefined {
  let found: TerminalSettings | undefined;
  eachMaster(pid, (master) => {
    const settings = new Uint8Array(termiosSize);
    if (native.getattr(master, settings) < 0) return;
    found = { changesOutput: (new DataView(settings.buffer).getUint32(outputFlags, true) & OPOST) !== 0 };
  });
  return found;
}

/**
 * Gives the terminals whose master's side the process `pid` holds another size: pidfd_getfd(2). Nothing happens where the kernel is older than 5.6, the process has ended, or it is none of
 * ours.
 */
export function resizeTerminalsOf(pid: number, size: TerminalSize): void {
  eachMaster(pid, (master) => setSize(master, size));
}

function eachMaster(pid: number, use: (master: number) => void): void {
  const process = Number(native.syscall(SYS_PIDFD_OPEN, pid, 0, 0));
  if (process < 0) return;
  try {
    for (const file of mastersOf(pid)) {
      const own = Number(native.syscall(SYS_PIDFD_GETFD, process, file, 0));
      if (own < 0) continue;
      try {
        use(own);
      } finally {
        closeSync(own);
      }
    }
  } finally {
    closeSync(process);
  }
}

function mastersOf(pid: number): readonly number[] {
  const folder = `/proc/${pid}/fd`;
  const files = unlessGone(() => readdirSync(folder)) ?? [];
  // One that is closed meanwhile is none of a terminal in use.
  return files.filter((name) => unlessGone(() => readlinkSync(`${folder}/${name}`))?.endsWith('/ptmx')).map(Number);
}

function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}

function setSize(file: number, { rows, columns }: TerminalSize): void {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, rows, true);
  view.setUint16(2, columns, true);
  check(native.ioctl(file, TIOCSWINSZ, bytes), 'ioctl', 'TIOCSWINSZ');
}
