/**
 * A disk whose power can be cut: ext4 on a loop device, which is told to stop at once, as at a power cut, without writing what it has in memory (EXT4_IOC_SHUTDOWN of
 * fs/ext4/ext4.h with EXT4_GOING_FLAGS_NOLOGFLUSH). What was not synced is then as it would be: older, shorter, empty, or not there.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { bootId } from '#ground/base/boot.ts';
import { libc } from '#ground/linux/libc.ts';

export type Disk = Disposable & {
  readonly folder: string;
  /** Cuts the power and switches it on again. No process may be using the disk. */
  cut(): void;
};

const ioctl = libc.func('int ioctl(int file, unsigned long request, uint32_t *argument)');
const shutDown = 0x80_04_58_7d;
const withoutFlush = 2;

/** Can such a disk be made here? */
export const hasLoopDevices = process.getuid?.() === 0 && existsSync('/dev/loop-control') && existsSync('/sbin/mkfs.ext4');

/**
 * Makes a disk below `folder`. Names reach it (a commit of its journal) every `commitInterval` seconds, the bytes of files after half a minute: in between a cut leaves
 * new names with empty files.
 */
export function makeDisk(folder: string, commitInterval = 1): Disk {
  const [image, point] = [join(folder, 'disk.img'), join(folder, 'disk')];
  writeFileSync(image, '');
  truncateSync(image, 256 << 20);
  execFileSync('/sbin/mkfs.ext4', ['-q', '-F', image]);
  mkdirSync(point);
  const mount = (): void => void execFileSync('mount', ['-o', `loop,commit=${commitInterval}`, image, point]);
  mount();
  return {
    folder: point,
    cut() {
      const file = openSync(point, 'r');
      const result = Number(ioctl(file, shutDown, [withoutFlush]));
      closeSync(file);
      if (result !== 0) throw new Error('ext4 does not take the order to stop');
      unmount(point);
      mount();
    },
    [Symbol.dispose]: () => unmount(point),
  };
}

/** Processes that were just killed may still have files open for a moment. */
function unmount(point: string): void {
  for (let round = 0; ; round++) {
    const done = spawnSync('umount', [point], { encoding: 'utf8' });
    if (done.status === 0) return;
    if (round > 2000) throw new Error(done.stderr);
    spawnSync('sleep', ['0.05']);
  }
}

/** Makes what was written in this boot look as if it were of another one: the boot of a running kernel cannot be changed. */
export function pretendReboot(store: string): void {
  const other = '00000000-0000-4000-8000-000000000000';
  for (const [file, statements] of [
    ['snapshots/snapshots.db', [`UPDATE snapshot SET boot = '${other}' WHERE boot IS NOT NULL`, `UPDATE opened SET boot = '${other}'`]],
    ['engine.db', [`UPDATE opened SET boot = '${other}'`]],
  ] as const) {
    if (!existsSync(join(store, file))) continue;
    const database = new DatabaseSync(join(store, file), { timeout: 10_000 });
    for (const statement of statements) database.exec(statement);
    database.close();
  }
  const mounts = join(store, 'cache-mounts');
  if (!existsSync(mounts)) return;
  for (const path of readdirSync(mounts, { recursive: true, encoding: 'utf8' })) {
    if (path.endsWith(`/unsafe.${bootId()}`)) renameSync(join(mounts, path), join(mounts, path, `../unsafe.${other}`));
  }
}
