/** How trees are shown here: by overlays where they work, which is tried once a boot and remembered in the store. */
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { bootId } from '#ground/base/boot.ts';
import { fromText } from '#ground/base/byte-string.ts';
import { fullDisk, isCode, JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import { readOwnText } from '#ground/base/own-text.ts';
import { createLog } from '#ground/base/log.ts';
import type { TreeForm } from '#ground/linux/isolation.ts';
import { tryLockFile } from '#ground/linux/lock-file.ts';
import { unmount } from '#ground/linux/mount.ts';
import { removeTree } from '#ground/linux/remove-tree.ts';
import { overlayMarks, type Obstacle } from '#ground/linux/user-namespace.ts';
import { mountOverlay } from './overlay.ts';

const log = createLog('snapshot');

/** For a process in a mount namespace of its own. `folder` (absolute, there already) holds the snapshots. Only that overlays work is remembered: what they lack may come. */
export function chooseTree(folder: string): TreeForm {
  const memory = join(folder, 'overlay');
  const key = `${bootId()} ${overlayMarks()}\n`;
  if (readOwnText(memory) === key) return 'overlay';
  const why = whyNoOverlay(folder);
  if (why !== undefined) {
    log('no overlay: %s', why.problem);
    return 'copies';
  }
  writeFileSync(memory, key, { mode: 0o600 });
  return 'overlay';
}

/**
 * Mounts an overlay over folders that are made in `folder` for a moment, and does in it what steps do: writes a file, changes one of below, deletes one. Undefined when all of it
 * works, else what did not. For a process in a mount namespace of its own.
 */
export function whyNoOverlay(folder: string): Obstacle | undefined {
  using cleanup = new DisposableStack();
  // One at a time: what is there already is of a process that was killed.
  cleanup.use(tryLockFile(join(folder, 'trial'), { exclusive: true, wait: true }));
  for (const name of readdirSync(folder)) if (name.startsWith('trial-')) removeTree(join(folder, name));
  const place = cleanup.adopt(mkdtempSync(join(folder, 'trial-')), (path) => rmSync(path, { recursive: true, force: true }));
  try {
    for (const name of ['lower', 'bottom', 'upper', 'work', 'tree']) mkdirSync(join(place, name));
    for (const name of ['changed', 'gone']) writeFileSync(join(place, 'lower', name), name);
    const base = cleanup.adopt(openSync(folder, 'r'), closeSync);
    const inside = (name: string): string => `${basename(place)}/${name}`;
    const tree = join(place, 'tree');
    const upper = { folder: inside('upper'), work: inside('work') };
    mountOverlay({ base, lowers: [inside('lower'), inside('bottom')], upper, target: fromText(tree) });
    cleanup.defer(() => unmount(tree));
    writeFileSync(join(tree, 'new'), '');
    chmodSync(join(tree, 'changed'), 0o600);
    unlinkSync(join(tree, 'gone'));
    return undefined;
  } catch (error) {
    if (fullDisk(error) !== undefined || systemCode(error) === 'EROFS' || isCode(error, 'snapshot/no-space')) throw error;
    return { problem: messageOf(error), hint: error instanceof JettisonError ? (error.hint ?? '') : '' };
  }
}
