/** A shell for files that have none: a static busybox of this machine, shown read-only beside them. */
import { closeSync, copyFileSync, mkdirSync, openSync, readSync, statSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { readElf } from '#formats/elf/read.ts';

/** Where it is shown. */
const target = '/.jettison-shell';
/** What people look around with. */
const applets =
  'cat chmod cp cut df diff du env file find grep head hexdump id ldd less ln ls mkdir more mv nc od ps pwd rm sed sh sort stat strings tail tar tee test tr vi wc which xargs';

/** Path of a busybox that needs no library; undefined where there is none. */
export function hostShell(path: string): string | undefined {
  const folders = [...path.split(delimiter), '/bin', '/usr/bin'].filter((folder) => folder.startsWith('/'));
  return folders.flatMap((folder) => ['busybox', 'busybox.static'].map((name) => join(folder, name))).find(isStatic);
}

/** Makes a folder with it and its names in `folder`; what to mount where, and what to run. */
export function shellFolder(
  busybox: string,
  folder: string,
): { readonly source: string; readonly target: string; readonly words: readonly string[] } {
  const source = join(folder, 'shell');
  mkdirSync(source, { mode: 0o755 });
  copyFileSync(busybox, join(source, 'busybox'));
  for (const name of applets.split(' ')) symlinkSync('busybox', join(source, name));
  return { source, target, words: [join(target, 'busybox'), 'sh', '-c', `PATH="$PATH:${target}" exec ${join(target, 'busybox')} sh`] };
}

/** Are these the words of `shellFolder`? */
export function isBorrowed([program = '']: readonly string[]): boolean {
  return program.startsWith(target);
}

/** A program that starts without a loader and without libraries. */
function isStatic(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile() !== true) return false;
  const { size } = found;
  const file = openSync(path, 'r');
  try {
    const read = (offset: number, length: number): Uint8Array => {
      const bytes = new Uint8Array(Math.min(length, size - offset));
      return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, offset));
    };
    const program = readElf({ size, read });
    return !('fault' in program) && program.kind !== 'other' && program.interpreter === undefined && program.needed.length === 0;
  } finally {
    closeSync(file);
  }
}
