/** What is remembered of a repository beside it: whoever lists what takes up space need not walk through it. */
import { lstatSync, readdirSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { asByteString, fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';

const noteShape = v.object({ remote: v.string(), bytes: v.pipe(v.number(), v.integer(), v.minValue(0)) });

/** `usedAt`: milliseconds since the epoch. undefined when there is none that can be read. */
export function readGitNote(place: string): (v.InferOutput<typeof noteShape> & { readonly usedAt: number }) | undefined {
  try {
    const path = join(place, 'note.json');
    return { ...v.parse(noteShape, JSON.parse(readFileSync(path, 'utf8'))), usedAt: statSync(path).mtimeMs };
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' && !(error instanceof SyntaxError) && !v.isValiError(error)) throw error;
    return undefined;
  }
}

/** Notes the use of a repository before it is worked with; `now` in milliseconds. The lock is held. */
export function noteGitUse(place: string, remote: string, now: number): void {
  if (readGitNote(place)?.remote !== remote) write(place, { remote, bytes: 0 });
  utimesSync(join(place, 'note.json'), now / 1000, now / 1000);
}

/** Finds out what a repository takes up, after it has grown. The lock is held. */
export function measureGit(place: string, remote: string, now: number): void {
  write(place, { remote, bytes: bytesBelow(place) });
  utimesSync(join(place, 'note.json'), now / 1000, now / 1000);
}

function write(place: string, note: v.InferOutput<typeof noteShape>): void {
  const draft = join(place, 'draft-note.json');
  writeFileSync(draft, JSON.stringify(note), { mode: 0o600 });
  renameSync(draft, join(place, 'note.json'));
}

/** What the files below a folder take up on disk; they may come and go meanwhile. */
export function bytesBelow(top: string): number {
  const folders = [fromText(top)];
  let bytes = 0;
  for (const folder of folders) {
    for (const name of namesIn(folder)) {
      const path = asByteString(`${folder}/${name}`);
      const stats = lstatSync(nodePath(path), { throwIfNoEntry: false });
      bytes += (stats?.blocks ?? 0) * 512;
      if (stats?.isDirectory() === true) folders.push(path);
    }
  }
  return bytes;
}

function namesIn(folder: ByteString): readonly string[] {
  try {
    return readdirSync(nodePath(folder), 'latin1');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}
