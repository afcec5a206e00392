/** Swaps the folder `<path>` and a symbolic link to `<target>` as fast as it can, until it is ended: `swap.ts PATH TARGET`. */
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';

const [path = '', target = ''] = process.argv.slice(2);
const [folder, link] = [`${path}.folder`, `${path}.link`];

function begin(): void {
  try {
    for (const name of [path, folder, link]) rmSync(name, { recursive: true, force: true });
    mkdirSync(path);
    symlinkSync(target, link);
  } catch {
    // Somebody has just made something there: the next swap fails, and begins again.
  }
}

/** Whoever is attacked may have put a folder of their own in the gap. */
function swap(): void {
  try {
    renameSync(path, folder);
    renameSync(link, path);
    renameSync(path, link);
    renameSync(folder, path);
  } catch {
    begin();
  }
}

begin();
console.log('ready');
for (;;) swap();
