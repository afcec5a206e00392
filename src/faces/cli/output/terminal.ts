/** Progress redrawn in place on a terminal: a header, a line for each vertex with its time, the last output of what is running. */
import { formatSize } from '#ground/base/human.ts';
import { createTally, isOver, type Tally, type TransferTally, type VertexTally } from '#formats/progress/tally.ts';
import type { Output } from '../command.ts';
import { createLiveArea } from './live-area.ts';
import { shownImages, type BuildEnd, type Screen } from './screen.ts';
import type { Colours } from './colours.ts';
import { cutToWidth, harmless, textWidth } from './text.ts';
import { transferWords } from './transfers.ts';
import { warningLines } from './warnings.ts';

const frameInterval = 100;

/** `logLines`: of the output of each running step; 6 where it is left out. */
export type FrameOptions = {
  readonly logLines?: number;
  readonly columns: number;
  readonly rows: number;
  readonly now: number;
  readonly startedAt: number;
};

type TerminalOptions = { readonly now: () => number; readonly colours: Colours | undefined; readonly logLines?: number };

export function createTerminalScreen(output: Output, options: TerminalOptions): Screen {
  const { colours, logLines = 6 } = options;
  const tally = createTally(logLines);
  const area = createLiveArea(output);
  const startedAt = options.now();
  const paint = colours && ((line: string): string => paintLine(line, colours));
  const frame = (): readonly string[] => frameLines(tally, { ...area.size(), now: options.now(), startedAt, logLines });
  const timer = setInterval(() => area.draw(frame(), paint), frameInterval);
  timer.unref();
  let open = true;
  const stop = (end: BuildEnd | undefined): void => {
    if (!open) return;
    open = false;
    clearInterval(timer);
    const size = { columns: area.size().columns, now: options.now(), startedAt };
    const lines = [...lastFrame(tally, end, size).map((line) => cutToWidth(line, size.columns)), ...lastWords(tally, end)];
    area.close(lines.map((line) => (paint ? paint(line) : line)));
  };
  return {
    report(event) {
      const change = tally.add(event, options.now());
      if (change.kind === 'note') area.above(harmless(change.text, false));
    },
    finish: stop,
    [Symbol.dispose]: () => stop(undefined),
  };
}

/** The lines of one frame, uncoloured, no more than `rows`: what is over goes first when room is short. */
export function frameLines(tally: Tally, options: FrameOptions): readonly string[] {
  const begun = inOrder(tally);
  const running = begun.filter((vertex) => !isOver(vertex));
  const transfers = tally.transfers().filter((transfer) => transfer.state === 'running');
  const room = Math.max(1, options.rows - 1);
  const tailRoom = Math.max(
    0,
    Math.min(options.logLines ?? 6, Math.floor((room - running.length - transfers.length) / Math.max(1, running.length))),
  );
  const live = running.flatMap((vertex) => [vertexLine(vertex, options), ...tailLines(vertex, tailRoom)]);
  const moving = transfers.map((transfer) => transferLine(transfer, options));
  const over = begun.filter((vertex) => isOver(vertex)).map((vertex) => vertexLine(vertex, options));
  const rest = [...live, ...moving].slice(0, room);
  return [header(tally, options, ''), ...over.slice(Math.max(0, over.length + rest.length - room)), ...rest];
}

/** The steps and images that stay on the screen. */
function lastFrame(tally: Tally, end: BuildEnd | undefined, options: Omit<FrameOptions, 'rows'>): readonly string[] {
  const vertices = inOrder(tally).map((vertex) => vertexLine(vertex, options));
  const images = shownImages(end);
  const exported = images.flatMap(({ imageId, names }, at) => [
    ...(at === 0 ? [' => exporting to image'] : []),
    ` => => writing image ${imageId}`,
    ...names.map((name) => ` => => naming to ${name}`),
  ]);
  return [header(tally, options, end ? ' FINISHED' : ''), ...vertices, ...exported];
}

/** Whole, however narrow the terminal: nobody says them again. */
function lastWords(tally: Tally, end: BuildEnd | undefined): readonly string[] {
  return [...warningLines(tally.warnings()), ...(end?.closing ?? [])];
}

function inOrder(tally: Tally): readonly VertexTally[] {
  return tally
    .vertices()
    .filter((vertex) => vertex.number > 0)
    .toSorted((a, b) => a.number - b.number);
}

function header(tally: Tally, options: { readonly now: number; readonly startedAt: number }, end: string): string {
  const { finished, total } = tally.counts();
  return `[+] Building ${seconds(options.now - options.startedAt)} (${finished}/${total})${end}`;
}

function vertexLine(vertex: VertexTally, options: { readonly columns: number; readonly now: number }): string {
  const word = { waiting: '', running: '', done: '', cached: 'CACHED ', skipped: 'SKIPPED ', failed: 'ERROR ', cancelled: 'CANCELED ' }[
    vertex.state
  ];
  const time = seconds((vertex.finishedAt || options.now) - vertex.startedAt);
  return withTime(` => ${word}${harmless(vertex.name.replaceAll('\n', ' '), false)}`, time, options.columns);
}

function transferLine(transfer: TransferTally, options: { readonly columns: number; readonly now: number }): string {
  const words = transferWords(transfer);
  const total = transfer.total > 0 ? ` / ${formatSize(transfer.total)}` : '';
  const text = ` => => ${words?.item ?? ''} ${words?.state ?? ''} ${formatSize(transfer.current)}${total}`;
  return withTime(text, seconds(options.now - transfer.startedAt), options.columns);
}

function tailLines(vertex: VertexTally, room: number): readonly string[] {
  return room === 0 ? [] : vertex.tail.slice(-room).map((line) => ` => => # ${harmless(line, false)}`);
}

function withTime(text: string, time: string, columns: number): string {
  const room = columns - time.length - 1;
  const cut = cutToWidth(text, room);
  return `${cut}${' '.repeat(Math.max(0, room - textWidth(cut)))} ${time}`;
}

function seconds(milliseconds: number): string {
  return `${(Math.max(0, milliseconds) / 1000).toFixed(1)}s`;
}

/** What runs or is over, what was cancelled, what failed, and warnings, each in its colour; output dimmed. */
function paintLine(line: string, colours: Colours): string {
  const kind = line.startsWith(' => ERROR ') ? 'error' : line.startsWith(' => CANCELED ') ? 'cancel' : undefined;
  if (kind !== undefined) return inColour(line, colours[kind]);
  if (line.startsWith(' => => # ')) return inColour(line, '2');
  if (line.startsWith(' => ') || line.startsWith('[+]')) return inColour(line, colours.run);
  return / warnings? found \(|^ - \w+: /u.test(line) ? inColour(line, colours.warning) : line;
}

function inColour(line: string, code: string): string {
  return `\u001b[${code}m${line}\u001b[0m`;
}
