/** Debug channels, one a room: `NODE_DEBUG=jettison:registry`. Never for results and never needed to understand them. */
import { debuglog } from 'node:util';

export type Log = (format: string, ...values: readonly unknown[]) => void;

export function createLog(room: string): Log {
  return debuglog(`jettison:${room}`);
}
