import type { TreeEntry } from '#ground/linux/tree.ts';
import { deviceAttribute, standsFor } from '../devices.ts';

/** The device that an empty file stands for where no device could be made; undefined for any other entry. */
export function standsForDevice(entry: TreeEntry, xattrs: ReadonlyMap<string, Uint8Array>): TreeEntry['device'] {
  const value = entry.kind === 'file' && entry.size === 0 ? xattrs.get(deviceAttribute) : undefined;
  return value && standsFor(entry.path, value);
}
