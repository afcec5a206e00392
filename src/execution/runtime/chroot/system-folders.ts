/** What stands at /dev, /proc and /sys of a root while a process runs in it, where nothing can be mounted there. */
import { chmodSync, closeSync, constants, mkdirSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { AT_FDCWD, fileTypes, makeNodeAt } from '#ground/linux/syscall.ts';

export type SystemFolders = {
  readonly dev: string;
  readonly proc: string;
  readonly sys: string;
  /** Files of `dev` by which the process's output can be opened again. */
  readonly outputs: readonly [stdout: string, stderr: string];
};

/** Linux's Documentation/admin-guide/devices.txt. */
const devices: readonly (readonly [name: string, major: number, minor: number])[] = [
  ['null', 1, 3],
  ['zero', 1, 5],
  ['full', 1, 7],
  ['random', 1, 8],
  ['urandom', 1, 9],
  ['tty', 5, 0],
];
/** What the machine says of itself: programs count processors in there. Nothing of processes: a copy could only tell of others. */
const facts = ['cpuinfo', 'filesystems', 'loadavg', 'meminfo', 'stat', 'uptime', 'version'];

/** Makes them in `folder`, which is there, on the file system of the root. `hasNoInput`: its standard input is /dev/null. Throws `runtime/no-devices`. */
export function makeSystemFolders(folder: string, hasNoInput: boolean): SystemFolders {
  const [dev, proc, sys] = [join(folder, 'dev'), join(folder, 'proc'), join(folder, 'sys')];
  makeWith(dev, 0o755);
  for (const path of [proc, sys]) makeWith(path, 0o555);
  for (const [name, major, minor] of devices) makeDevice(join(dev, name), major, minor);
  for (const name of ['shm', 'mqueue']) makeWith(join(dev, name), 0o1777);
  if (hasNoInput) symlinkSync('null', join(dev, 'stdin'));
  const outputs = [join(dev, 'stdout'), join(dev, 'stderr')] as const;
  for (const path of outputs) {
    makeNodeAt(AT_FDCWD, fromText(path), { type: fileTypes.fifo, mode: 0o666 });
    chmodSync(path, 0o666);
  }
  for (const name of facts) copyFact(name, proc);
  return { dev, proc, sys, outputs };
}

function makeWith(path: string, mode: number): void {
  mkdirSync(path);
  chmodSync(path, mode);
}

function makeDevice(path: string, major: number, minor: number): void {
  try {
    makeNodeAt(AT_FDCWD, fromText(path), { type: fileTypes.character, mode: 0o666, major, minor });
    chmodSync(path, 0o666);
    if (minor === 3) closeSync(openSync(path, constants.O_RDWR));
  } catch (error) {
    const code = systemCode(error);
    if (code !== 'EPERM' && code !== 'EACCES') throw error;
    const isMade = code === 'EACCES';
    throw new JettisonError(
      'runtime/no-devices',
      isMade ? 'Devices such as /dev/null do not work where the store is' : 'Cannot make devices such as /dev/null: CAP_MKNOD is missing',
      {
        fault: 'environment',
        hint: isMade
          ? 'Its file system is mounted with "nodev": put the store elsewhere (JETTISON_STORE)'
          : 'Start the container with the capability MKNOD',
        cause: error,
      },
    );
  }
}

/** A container's runtime may have masked one. */
function copyFact(name: string, proc: string): void {
  try {
    writeFileSync(join(proc, name), readFileSync(`/proc/${name}`), { mode: 0o444 });
  } catch (error) {
    if (!['ENOENT', 'EACCES', 'EPERM'].includes(systemCode(error) ?? '')) throw error;
  }
}
