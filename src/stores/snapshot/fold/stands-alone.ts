/** Says a layer nothing of what lies below it? Then it is the same layer over anything. */
import { readdirSync } from 'node:fs';
import { fromText, nodePath } from '#ground/base/byte-string.ts';
import { isOpaque } from '../chain-tree.ts';
import { inside, lookFor } from './meet.ts';

/** It has no deletion, and no folder hides what is below it. */
export function standsAlone(folder: string): boolean {
  const waiting = [fromText(folder)];
  for (let hostPath = waiting.pop(); hostPath !== undefined; hostPath = waiting.pop()) {
    if (isOpaque(hostPath)) return false;
    for (const name of readdirSync(nodePath(hostPath), 'latin1')) {
      const found = lookFor(inside(hostPath, name), 0);
      if (found?.kind === 'whiteout') return false;
      if (found?.kind === 'folder') waiting.push(found.hostPath);
    }
  }
  return true;
}
