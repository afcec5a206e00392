/**
 * What stands before a runtime that is started by a process that is not in namespaces of its own: it has the kernel kill it when that process ends, takes mounts of its own,
 * with the /proc of its PID namespace among them, and becomes the runtime. As the first process of that namespace it takes all in there with it.
 */
import { callProgram, type Call, type Piece } from './call-program.ts';
import type { ElfArchitecture } from './elf.ts';

export { isElfArchitecture as isTieArchitecture } from './elf.ts';

export type TiePlan = {
  readonly architecture: ElfArchitecture;
  /** Absolute path of the runtime. */
  readonly file: string;
  /** All arguments, the program's own name first. */
  readonly arguments: readonly string[];
  /** `NAME=value` */
  readonly environment: readonly string[];
  /** Where a line of the runtime's log is appended when this fails, in its form. */
  readonly logFile: string;
};

/** Its open file that is a pipe, of which whoever starts it holds the other end for as long as it lives. */
export const tieFile = 3;

const [atCurrentFolder, deathSignal, killed, setFileFlags, nonBlocking, newMounts] = [-100, 1, 9, 4, 0o4000, 0x20000];
const [noSuid, noDevice, noExecute] = [2, 4, 8];
const [writeOnly, create, append] = [1, 0o100, 0o2000];

/** The program as the bytes of an ELF file. */
export function tieProgram({ architecture, file, arguments: words, environment, logFile }: TiePlan): Uint8Array {
  const complaint = bytesOf('{"level":"error","msg":"cannot make the namespaces of the process"}\n');
  const log = { call: 'complain', word: 0 } as const;
  const calls: readonly Call[] = [
    { call: 'prctl', with: [deathSignal, killed], failed: 'refused' },
    // Had that process ended before, there would be no signal: then nobody holds the other end, and there is nothing to be read.
    { call: 'fcntl', with: [tieFile, setFileFlags, nonBlocking], failed: 'refused' },
    { call: 'read', with: [tieFile, { bytes: new Uint8Array(8) }, 1], when: [0, 'end'] },
    { call: 'close', with: [tieFile] },
    { call: 'unshare', with: [newMounts], failed: 'refused' },
    { call: 'mount', with: [text('proc'), text('/proc'), text('proc'), noSuid | noDevice | noExecute, 0], failed: 'refused' },
    { call: 'execve', with: [text(file), texts(words), texts(environment)] },
    { name: 'refused', call: 'openat', with: [atCurrentFolder, text(logFile), writeOnly | create | append, 0o600], result: log },
    { name: 'complain', call: 'write', with: [0, { bytes: complaint }, complaint.length] },
    { name: 'end', call: 'exit_group', with: [1] },
  ];
  return callProgram(architecture, calls);
}

function texts(values: readonly string[]): Piece {
  return { pointers: [...values.map(text), null] };
}

function text(value: string): Piece {
  return { bytes: bytesOf(`${value}\0`) };
}

function bytesOf(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
