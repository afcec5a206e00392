/** Folders that one build makes for itself, named after its process: what a killed one left is found by that. */
import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { asByteString, fromText, nodePath } from '#ground/base/byte-string.ts';
import type { Engine } from './open.ts';

export type OwnFolder = Disposable & {
  /** Absolute, not there yet; what is made there goes when this is disposed. */
  readonly path: string;
};

export function ownFolder(engine: Engine): OwnFolder {
  const folder = join(engine.paths.store, 'contexts');
  removeAbandoned(folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${process.pid}-${randomUUID()}`);
  return { path, [Symbol.dispose]: () => removeTree(path) };
}

/** What builds left that were killed. */
function removeAbandoned(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (!existsSync(`/proc/${Number.parseInt(name, 10)}`)) removeTree(join(folder, name));
  }
}

/** Folders may have come without the right to write to them. */
function removeTree(path: string): void {
  if (!existsSync(path)) return;
  const folders = [fromText(path)];
  for (const folder of folders) {
    chmodSync(nodePath(folder), 0o700);
    for (const name of readdirSync(nodePath(folder), 'latin1')) {
      const below = asByteString(`${folder}/${name}`);
      if (lstatSync(nodePath(below)).isDirectory()) folders.push(below);
    }
  }
  rmSync(path, { recursive: true, force: true });
}
