/**
 * What a container wrote to its terminal last. When its first process has ended before crun has passed that on, crun (seen with 1.8.1) puts it into the log of its own errors, as it is,
 * in pieces of at most 255 bytes with a line break behind each. It reads what there is more than once: a shorter piece need not be the last.
 */

const longestPiece = 255;
const lineFeed = '\n';
/** As terminals end a line, unless a program has switched that off. */
const lineBreak = '\r\n';

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

/** Where lines end as on a terminal, a line feed of its own stands behind a piece. Else a full piece has one behind it, and any other is the last one. */
function pieceAt(log: string, at: number): string {
  if (log.includes(lineBreak)) return log.slice(at, bareFeed(log, at));
  if (log.charAt(at + longestPiece) === lineFeed) return log.slice(at, at + longestPiece);
  const last = log.endsWith(lineFeed) ? log.length - 1 : log.length;
  return log.slice(at, Math.max(at, last));
}

/** Where the next line feed is that has no carriage return before it; the end, where there is none. */
function bareFeed(log: string, at: number): number {
  for (let end = log.indexOf(lineFeed, at); end >= 0; end = log.indexOf(lineFeed, end + 1)) {
    if (end === at || log.charAt(end - 1) !== '\r') return end;
  }
  return log.length;
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
