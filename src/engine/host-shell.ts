/** A shell for files that have none: a static busybox of this machine, shown read-only beside them. */
import { closeSync, copyFileSync, mkdirSync, openSync, readSync, statSync, symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';

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

const interpreter = 3;

/** An ELF file of 64 bits without an interpreter (ELF specification: e_phoff at 32, e_phentsize and e_phnum at 54 and 56, p_type first in each program header). */
function isStatic(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false;
  const head = new Uint8Array(4096);
  const file = openSync(path, 'r');
  let length: number;
  try {
    length = readSync(file, head);
  } finally {
    closeSync(file);
  }
  const view = new DataView(head.buffer, 0, length);
  if (length < 64 || view.getUint32(0) !== 0x7f454c46 || view.getUint8(4) !== 2) return false;
  const [start, size, count] = [Number(view.getBigUint64(32, true)), view.getUint16(54, true), view.getUint16(56, true)];
  for (let index = 0; index < count; index++) {
    const at = start + index * size;
    if (at + 4 > length || view.getUint32(at, true) === interpreter) return false;
  }
  return true;
}
