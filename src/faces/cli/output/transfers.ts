/** Blobs on their way, in the words of `docker pull` and `docker push`. */
import { formatSize } from '#ground/base/human.ts';
import type { Report, TransferProgress } from '#formats/progress/event.ts';
import { createTally, type TransferTally } from '#formats/progress/tally.ts';
import type { Output, Surroundings } from '../command.ts';
import { createLiveArea } from './live-area.ts';
import { isTerminal } from './screen.ts';
import { harmless } from './text.ts';

type States = Readonly<Record<TransferProgress['state'], string | undefined>>;

const words: Readonly<Record<TransferProgress['direction'], States>> = {
  pull: { waiting: 'Waiting', running: 'Downloading', done: 'Download complete', exists: 'Already exists', mounted: undefined },
  unpack: { waiting: undefined, running: 'Extracting', done: 'Pull complete', exists: 'Already exists', mounted: undefined },
  push: {
    waiting: 'Waiting',
    running: 'Pushing',
    done: 'Pushed',
    exists: 'Layer already exists',
    mounted: 'Mounted from another repository',
  },
  compress: { waiting: undefined, running: 'Compressing', done: 'Compressed', exists: undefined, mounted: undefined },
  write: { waiting: undefined, running: 'Writing', done: 'Written', exists: 'Already exists', mounted: undefined },
};

/** What is said of one transfer; undefined when there is nothing to say. Digests become their first 12 hexadecimal digits. */
export function transferWords(transfer: TransferProgress): { readonly item: string; readonly state: string } | undefined {
  const state = words[transfer.direction][transfer.state];
  if (state === undefined) return undefined;
  return { item: harmless(transfer.item.replace(/^sha(?:256|512):([0-9a-f]{12})[0-9a-f]+$/u, '$1'), false), state };
}

export type TransferScreen = Disposable & { readonly report: Report };

/** One line for each blob on `output`: redrawn on a terminal (only when there is news: a container may be using it), else a line for each change of state. Disposing leaves the lines standing. */
export function openTransferScreen(output: Output, around: Surroundings): TransferScreen {
  return isTerminal(output, around.environment) ? liveTransfers(output, around.now) : plainTransfers(output, around.now);
}

/** Says nothing. */
export function silentTransferScreen(): TransferScreen {
  return { report: () => {}, [Symbol.dispose]: () => {} };
}

function plainTransfers(output: Output, now: () => number): TransferScreen {
  const tally = createTally();
  return {
    report(event) {
      const change = tally.add(event, now());
      if (change.kind === 'note') output.write(`${harmless(change.text, false)}\n`);
      if (change.kind !== 'transfer' || !change.stateChanged || change.transfer.state === 'running') return;
      const said = transferWords(change.transfer);
      if (said) output.write(`${said.item}: ${said.state}\n`);
    },
    [Symbol.dispose]: () => {},
  };
}

function liveTransfers(output: Output, now: () => number): TransferScreen {
  const tally = createTally();
  const area = createLiveArea(output);
  const latest = new Map<string, TransferTally>();
  let hasNews = false;
  const redraw = area.every(100, () => {
    if (!hasNews) return undefined;
    hasNews = false;
    return [...latest.values()].map(barLine).filter((line) => line !== '');
  });
  return {
    report(event) {
      const change = tally.add(event, now());
      if (change.kind === 'note') area.above(harmless(change.text, false));
      if (change.kind !== 'transfer') return;
      latest.set(change.transfer.item, change.transfer);
      hasNews = true;
    },
    [Symbol.dispose]: () => redraw[Symbol.dispose](),
  };
}

function barLine(transfer: TransferTally): string {
  const said = transferWords(transfer);
  if (!said) return '';
  if (transfer.state !== 'running') return `${said.item}: ${said.state}`;
  if (transfer.total === 0) return `${said.item}: ${said.state} ${formatSize(transfer.current)}`;
  const width = 50;
  const full = Math.min(width, Math.floor((transfer.current / transfer.total) * width));
  const bar = full === width ? '='.repeat(width) : `${'='.repeat(full)}>${' '.repeat(width - full - 1)}`;
  return `${said.item}: ${said.state} [${bar}] ${formatSize(transfer.current)}/${formatSize(transfer.total)}`;
}
