import type { BuildChoice } from '#engine/past-build-requests.ts';

/** A build as people name it: its id, the beginning of it, `^1` for the one before the last, or nothing for the last one. */
export function readBuild(word: string | undefined): BuildChoice {
  const before = /^\^(\d{1,9})$/u.exec(word ?? '')?.[1];
  if (before !== undefined) return { kind: 'place', place: Number(before) + 1 };
  return word === undefined ? { kind: 'place', place: 1 } : { kind: 'id', id: word };
}
