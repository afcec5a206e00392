/** A block of lines at the bottom of a terminal that is drawn again and again in place. The cursor always rests below it, so that nothing needs repair when the process dies. */
import type { Output } from '../command.ts';
import { cutToWidth } from './text.ts';

export type LiveArea = {
  /** Draws the block anew. Lines hold no escapes but those that `paint` puts around them after they are cut. */
  draw(lines: readonly string[], paint?: (line: string) => string): void;
  /** Writes a line that stays, above the block. */
  above(line: string): void;
  /** Writes lines that stay in the place of the block, as long as they are. */
  close(lines: readonly string[]): void;
  /** Columns and rows that may be used. */
  size(): { readonly columns: number; readonly rows: number };
  /** Draws what `lines` gives (undefined: nothing new) every `interval` milliseconds, and once more when disposed. Does not keep the process alive. */
  every(interval: number, lines: () => readonly string[] | undefined): Disposable;
};

export function createLiveArea(output: Output): LiveArea {
  let height = 0;
  let last: readonly string[] = [];
  // A terminal that does not know its size says 0.
  const size = () => ({ columns: Math.max(20, (output.columns || 80) - 1), rows: Math.max(4, (output.rows || 24) - 1) });
  const back = (): string => (height > 0 ? `\u001b[${height}A\r` : '');
  // Line by line: when all of a screen is erased at once from its top, tmux keeps what stood there in its history.
  const blank = (): string => (height > 0 ? `${back()}${'\u001b[K\n'.repeat(height)}${back()}` : '');
  const draw = (lines: readonly string[], paint: (line: string) => string = (line) => line): void => {
    const { columns, rows } = size();
    const shown = lines.slice(-rows).map((line) => paint(cutToWidth(line, columns)));
    output.write(`${back()}${shown.map((line) => `${line}\u001b[K\n`).join('')}\u001b[J`);
    height = shown.length;
    last = shown;
  };
  return {
    draw,
    above(line) {
      // It is not drawn again, so the terminal may wrap it.
      output.write(`${blank()}${line}\n${last.map((one) => `${one}\u001b[K\n`).join('')}\u001b[J`);
    },
    close(lines) {
      output.write(`${blank()}${lines.map((line) => `${line}\n`).join('')}`);
      height = 0;
      last = [];
    },
    size,
    every(interval, lines) {
      const drawNews = (): void => {
        const news = lines();
        if (news) draw(news);
      };
      const timer = setInterval(drawNews, interval);
      timer.unref();
      let open = true;
      return {
        [Symbol.dispose]() {
          if (!open) return;
          open = false;
          clearInterval(timer);
          drawNews();
        },
      };
    },
  };
}
