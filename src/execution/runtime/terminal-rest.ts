/**
 * What a container wrote to its terminal last. When its first process has ended before crun has passed that on, crun (seen with 1.8.1) puts it into the log of its own errors, as it is,
 * in pieces of at most 255 bytes with a line break behind each.
 */

const longestPiece = 255;
const lineFeed = '\n';

/** Takes the log with a character for each byte; gives the output in it, the same way. Lines of the runtime's own (JSON objects with `msg`) are none. */
export function terminalRest(log: string): string {
  let rest = '';
  for (let at = 0; at < log.length;) {
    const end = log.indexOf(lineFeed, at);
    const line = log.slice(at, end < 0 ? log.length : end);
    if (isOwnLine(line)) at += line.length + 1;
    else {
      const piece = pieceAt(log, at);
      rest += piece;
      at += piece.length + 1;
    }
  }
  return rest;
}

/** A full piece has its line break behind it; any other is the last one. */
function pieceAt(log: string, at: number): string {
  if (log.charAt(at + longestPiece) === lineFeed) return log.slice(at, at + longestPiece);
  const last = log.endsWith(lineFeed) ? log.length - 1 : log.length;
  return log.slice(at, Math.max(at, last));
}

function isOwnLine(line: string): boolean {
  if (!line.trimStart().startsWith('{')) return false;
  try {
    const said: unknown = JSON.parse(line);
    return typeof said === 'object' && said !== null && 'msg' in said;
  } catch {
    return false;
  }
}
