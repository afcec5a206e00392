/** Progress as lines that are written once, in the manner of BuildKit's plain output: `#5 [build 2/4] RUN make`, `#5 0.312 text`, `#5 DONE 0.5s`. */
import { unreachable } from '#ground/base/errors.ts';
import { formatDuration, formatSize } from '#ground/base/human.ts';
import {
  createTally,
  isOver,
  type Change,
  type OutputLine,
  type Tally,
  type TransferTally,
  type VertexTally,
} from '#formats/progress/tally.ts';
import { shownImages, type BuildEnd, type Screen } from './screen.ts';
import { harmless } from './text.ts';
import { transferWords } from './transfers.ts';
import { warningLines } from './warnings.ts';

type State = {
  readonly tally: Tally;
  /** Vertices whose first line has been written. */
  readonly announced: Set<string>;
  readonly write: (text: string) => void;
  readonly now: () => number;
  lastEnd: number;
};

/** `write` takes whole lines; `now` is in milliseconds since the epoch. */
export function createPlainScreen(write: (text: string) => void, now: () => number): Screen {
  const state: State = { tally: createTally(), announced: new Set(), write, now, lastEnd: now() };
  return {
    report(event) {
      const time = now();
      const text = linesOf(state, state.tally.add(event, time));
      if (text !== '') write(text);
    },
    finish: (end) => finish(state, end),
    [Symbol.dispose]: () => {},
  };
}

function linesOf(state: State, change: Change): string {
  switch (change.kind) {
    case 'vertex':
      return vertexLines(state, change.vertex, change.lines);
    case 'transfer':
      return change.stateChanged ? transferLine(change.transfer, change.vertex?.number) : '';
    case 'warning':
      return '';
    case 'note':
      return `${harmless(change.text, false)}\n`;
    default:
      return unreachable(change, 'change');
  }
}

function vertexLines(state: State, vertex: VertexTally, lines: readonly OutputLine[]): string {
  if (vertex.number === 0) return '';
  let text = '';
  if (!state.announced.has(vertex.vertex)) {
    state.announced.add(vertex.vertex);
    text += `\n#${vertex.number} ${harmless(vertex.name, false)}\n`;
  }
  for (const line of lines) text += `#${vertex.number} ${clock(line.time - vertex.startedAt)} ${harmless(line.text, true)}\n`;
  if (isOver(vertex)) {
    state.lastEnd = vertex.finishedAt;
    text += `#${vertex.number} ${ending(vertex)}\n`;
  }
  return text;
}

function ending(vertex: VertexTally): string {
  if (vertex.state === 'cached') return 'CACHED';
  if (vertex.state === 'skipped') return 'SKIPPED';
  if (vertex.state === 'cancelled') return 'CANCELED';
  if (vertex.state === 'failed') return `ERROR: ${harmless(vertex.message.replaceAll(/\s*[\r\n]+\s*/gu, ' '), false)}`;
  return `DONE ${formatDuration(vertex.finishedAt - vertex.startedAt)}`;
}

function transferLine(transfer: TransferTally, number: number | undefined): string {
  const words = transferWords(transfer);
  if (transfer.state === 'waiting' || words === undefined) return '';
  const size = transfer.current > 0 ? ` ${formatSize(transfer.current)}` : '';
  const time = transfer.finishedAt > 0 ? ` ${formatDuration(transfer.finishedAt - transfer.startedAt)}` : '';
  return `${number === undefined ? '' : `#${number} `}${words.item}: ${words.state}${size}${time}\n`;
}

function finish(state: State, end: BuildEnd | undefined): void {
  const images = shownImages(end);
  if (images.length > 0) {
    const number = state.announced.size + 1;
    const lines = images.flatMap(({ imageId, names }) => [
      `writing image ${imageId} done`,
      ...names.map((name) => `naming to ${name} done`),
    ]);
    const duration = formatDuration(Math.max(0, state.now() - state.lastEnd));
    state.write(`\n${['exporting to image', ...lines, `DONE ${duration}`].map((line) => `#${number} ${line}\n`).join('')}`);
  }
  const closing = end?.closing ?? [];
  state.write(
    [...warningLines(state.tally.warnings()), ...(closing.length > 0 ? ['', ...closing] : [])].map((line) => `${line}\n`).join(''),
  );
}

/** Seconds in five characters: `0.312`, `10.45`, `100.2`. */
function clock(milliseconds: number): string {
  const seconds = Math.max(0, milliseconds) / 1000;
  return seconds >= 1000 ? seconds.toFixed(1) : seconds.toFixed(3).slice(0, 5);
}
