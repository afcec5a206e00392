/** Whether files and folders of `-o` can be written where they are to be, as far as can be seen before anything is built. */
import { statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import type { OutputRequest } from './build-requests.ts';

/** Throws `engine/bad-destination`, `engine/not-a-folder`. What cannot be seen is found out when it is written. */
export function checkDestinations(outputs: readonly OutputRequest[]): void {
  const places = outputs.flatMap((output) => ('destination' in output ? [output.destination] : []));
  const folders = places.flatMap((place) => (place.kind === 'folder' ? [place.path] : []));
  for (const place of places) {
    if (place.kind === 'folder') checkFolder(place.path);
    else if (place.kind === 'file') checkFile(place.path, folders);
  }
}

/** `folders`: those that this build makes. */
function checkFile(path: string, folders: readonly string[]): void {
  const found = look(path);
  if (found === 'unseen' || found?.isFile() === true) return;
  if (found !== undefined)
    throw new JettisonError('engine/bad-destination', `"${path}" is not a regular file`, {
      hint: 'Name a file, or write to standard output',
    });
  const parent = dirname(path);
  if (folders.some((folder) => parent === folder || parent.startsWith(`${folder}/`))) return;
  const above = look(parent);
  if (above === 'unseen' || above?.isDirectory() === true) return;
  throw new JettisonError(
    'engine/not-a-folder',
    `Cannot write "${path}": ${above === undefined ? 'there is no' : 'it is no'} folder "${parent}"`,
    {
      hint: 'Make the folder, or name another destination',
    },
  );
}

/** It is made where it is missing, with those above it. */
function checkFolder(path: string): void {
  for (let place = path; ; place = dirname(place)) {
    const found = look(place);
    if (found === 'unseen' || found?.isDirectory() === true) return;
    if (found !== undefined)
      throw new JettisonError('engine/not-a-folder', `"${path}" is to be a folder, and a file is in its way`, {
        hint: 'Name another destination; "type=tar,dest=FILE" writes a file',
      });
    if (dirname(place) === place) return;
  }
}

/** Behind links; undefined for what is not there. */
function look(path: string): Stats | undefined | 'unseen' {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    return systemCode(error) === 'ENOTDIR' ? undefined : 'unseen';
  }
}
