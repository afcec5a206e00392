import type { BuildChoice } from '#engine/past-build-requests.ts';

/** A build as people name it: its id, the beginning of it, or nothing for the last one. */
export function readBuild(word: string | undefined): BuildChoice {
  return word === undefined ? { kind: 'place', place: 1 } : { kind: 'id', id: word };
}
