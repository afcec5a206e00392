/**
 * Lists folders of an overlay in another order than they have: a step that writes down the order of a folder makes something else on another machine. The kernel lists what the lowest
 * layer has first, in that layer's order (ovl_dir_read_merged in fs/overlayfs/readdir.c), so a skeleton of the whole tree stands there: folders and empty files, all of which are covered by the layers above. It is made on a tmpfs,
 * which lists by age alone.
 */
import { closeSync, mkdirSync, opendirSync, openSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { asByteString, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { mountFileSystem, mountFlags, unmount } from '#ground/linux/mount.ts';

/** So much of a tree is turned around; a skeleton takes about a kilobyte a name. */
const mostNames = 200_000;

/** Fills a tmpfs at `target` with a skeleton of the tree at `tree`, in the reverse order. Dispose it when nothing is mounted over it any more. */
export function coverWithOrder(tree: string, target: string): Disposable {
  mkdirSync(target);
  mountFileSystem({ source: 'jettison', target, type: 'tmpfs', flags: mountFlags.noDevice | mountFlags.noSuid, options: 'mode=0755' });
  using undo = new DisposableStack();
  undo.defer(() => {
    unmount(target);
    rmdirSync(target);
  });
  fill(fromText(tree), { target: fromText(target), newestFirst: listsNewestFirst(target) });
  return undo.move();
}

/** Kernels have done both. */
function listsNewestFirst(folder: string): boolean {
  for (const name of ['1', '2', '3']) mkdirSync(join(folder, name));
  const [first] = namesOf(fromText(folder));
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  return first === '3';
}

function fill(tree: ByteString, { target, newestFirst }: { readonly target: ByteString; readonly newestFirst: boolean }): void {
  const waiting = [''];
  let left = mostNames;
  for (let folder = waiting.pop(); folder !== undefined && left > 0; folder = waiting.pop()) {
    const entries = entriesOf(asByteString(tree + folder));
    left -= entries.length;
    for (const { name, isFolder } of newestFirst ? entries : entries.toReversed()) {
      const place = nodePath(asByteString(`${target}${folder}/${name}`));
      if (isFolder) {
        mkdirSync(place);
        waiting.push(`${folder}/${name}`);
      } else closeSync(openSync(place, 'wx'));
    }
  }
}

type Entry = { readonly name: string; readonly isFolder: boolean };

/** In the order that the kernel lists them. */
function entriesOf(path: ByteString): readonly Entry[] {
  using folder = opendirSync(nodePath(path), { encoding: 'latin1' });
  const entries: Entry[] = [];
  for (let entry = folder.readSync(); entry !== null; entry = folder.readSync())
    entries.push({ name: entry.name, isFolder: entry.isDirectory() });
  return entries;
}

function namesOf(path: ByteString): readonly string[] {
  return entriesOf(path).map(({ name }) => name);
}
