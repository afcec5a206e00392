/**
 * Line breaks of a terminal's output that runc passes on. Some time after the program has begun, runc (seen with 1.1.5) has the terminal that it made no longer put a carriage return before
 * a line feed, and its own do that instead: what is written before that would get two. So its own is kept from changing anything (`openPseudoTerminal`), and what is missing is put in here.
 */
import { readTerminal, type TerminalSettings } from './pseudo-terminal.ts';

const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Gives what takes the pieces of an output one after another, and gives each as the program's terminal meant it. `relays`: the processes that pass it on. */
export function createLineBreaks(
  relays: () => readonly number[],
  settings: (relay: number) => TerminalSettings | undefined = readTerminal,
): (bytes: Uint8Array) => Uint8Array {
  let last = 0;
  return (bytes) => {
    const before = last;
    last = bytes.at(-1) ?? last;
    const bare = bareFeeds(bytes, before);
    // A program that has switched off any change means each byte as it is. When it has ended nobody is left to tell: most have not.
    if (bare.length === 0 || relays().some((relay) => settings(relay)?.changesOutput === false)) return bytes;
    return withReturns(bytes, bare);
  };
}

function bareFeeds(bytes: Uint8Array, before: number): readonly number[] {
  const found: number[] = [];
  for (let at = bytes.indexOf(lineFeed); at >= 0; at = bytes.indexOf(lineFeed, at + 1)) {
    if ((at === 0 ? before : bytes[at - 1]) !== carriageReturn) found.push(at);
  }
  return found;
}

function withReturns(bytes: Uint8Array, feeds: readonly number[]): Uint8Array {
  const whole = new Uint8Array(bytes.length + feeds.length);
  let from = 0;
  for (const [count, at] of feeds.entries()) {
    whole.set(bytes.subarray(from, at), from + count);
    whole[at + count] = carriageReturn;
    from = at;
  }
  whole.set(bytes.subarray(from), from + feeds.length);
  return whole;
}
