import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { digestOf } from '#ground/base/digest.ts';
import { createTally } from '#formats/progress/tally.ts';
import type { ProgressEvent, Report } from '#formats/progress/event.ts';
import type { Output } from '../command.ts';
import { createLiveArea } from './live-area.ts';
import { createPlainScreen } from './plain.ts';
import { createTerminalScreen, frameLines } from './terminal.ts';
import { openTransferScreen } from './transfers.ts';

const a = digestOf('a');
const b = digestOf('b');
const c = digestOf('c');
const d = digestOf('d');

const events: readonly ProgressEvent[] = [
  { kind: 'vertex', vertex: a, text: 'FROM busybox', stage: 'build', step: 1, steps: 2 },
  { kind: 'vertex', vertex: b, text: 'RUN make', stage: 'build', step: 2, steps: 2 },
  { kind: 'vertex', vertex: c, text: 'COPY . /' },
  { kind: 'transfer', direction: 'pull', item: a, current: 0, total: 100, state: 'running' },
  { kind: 'vertex-cached', vertex: a, time: 1000 },
  { kind: 'vertex-started', vertex: b, time: 1100 },
  { kind: 'output', vertex: b, stream: 'stdout', text: 'cc -c \u001b[2Ja.c\nli', time: 1412 },
  { kind: 'output', vertex: b, stream: 'stdout', text: 'nk', time: 11_550 },
  { kind: 'vertex-started', vertex: c, time: 1500 },
  {
    kind: 'warning',
    rule: 'FromAsCasing',
    message: 'casing',
    at: [{ file: 'Dockerfile', start: { line: 3, column: 1 }, end: { line: 3, column: 5 } }],
  },
];

test('plain progress is written once, in numbered lines', () => {
  let written = '';
  const screen = createPlainScreen(
    (text) => void (written += text),
    () => 12_000,
  );
  for (const event of events) screen.report(event);
  screen.report({ kind: 'transfer', direction: 'pull', item: d, current: 3, total: 3, state: 'done', vertex: c });
  screen.report({ kind: 'transfer', direction: 'pull', item: b, current: 0, total: 3, state: 'running', vertex: d });
  screen.report({ kind: 'vertex-failed', vertex: c, time: 1600, message: 'no\nway', cancelled: false });
  screen.report({ kind: 'vertex-finished', vertex: b, time: 11_600 });
  screen.report({ kind: 'vertex', vertex: d, text: 'ADD x /' });
  screen.report({ kind: 'vertex-cached', vertex: d, time: 11_600, isSkipped: true });
  screen.finish({ imageId: a, names: ['docker.io/library/app:latest'] });
  assert.equal(
    written,
    `ca978112ca1b: Downloading

#1 [build 1/2] FROM busybox
#1 CACHED

#2 [build 2/2] RUN make
#2 0.312 cc -c a.c

#3 COPY . /
#3 18ac3e7343f0: Download complete 3B 0.0s
3e23e8160039: Downloading
#3 ERROR: no way
#2 10.50 link
#2 DONE 10.5s

#4 ADD x /
#4 SKIPPED

#5 exporting to image
#5 writing image ${a} done
#5 naming to docker.io/library/app:latest done
#5 DONE 0.4s

 1 warning found (use jettison build --check to expand):
 - FromAsCasing: casing (line 3)
`,
  );
});

test('a frame shows what runs, what is over as room allows, and fits the screen', () => {
  const tally = createTally();
  for (const event of events) tally.add(event, 0);
  const frame = frameLines(tally, { columns: 40, rows: 24, now: 2000, startedAt: 0 });
  assert.deepEqual(frame, [
    '[+] Building 2.0s (1/3)',
    ' => CACHED [build 1/2] FROM busybox 0.0s',
    ' => [build 2/2] RUN make            0.9s',
    ' => => # cc -c a.c',
    ' => COPY . /                        0.5s',
    ' => => ca978112ca1b Downloading 0B… 2.0s',
  ]);
  for (const rows of [2, 3, 4, 5, 6]) {
    const short = frameLines(tally, { columns: 20, rows, now: 2000, startedAt: 0 });
    assert.ok(short.length <= rows, `${short.length} lines in ${rows} rows`);
  }
});

test('a terminal is redrawn in place, and its last frame stays', () => {
  const { output, text } = terminal();
  const screen = createTerminalScreen(output, { now: () => 2000, colours: undefined });
  for (const event of events) screen.report(event);
  screen.finish({ imageId: a, names: ['x'] });
  screen[Symbol.dispose]();
  const shown = text();
  assert.match(shown, /\[\+\] Building 0\.0s \(1\/3\) FINISHED\n/u);
  assert.match(shown, / => => naming to x\n/u);
  assert.equal(shown.split('FINISHED').length, 2, 'nothing is written after the end');
  assert.ok(!shown.includes('\u001b[2J'));
});

test('the end takes the place of what was drawn line by line: erased at once from the top of a screen, tmux would keep the frame in its history', () => {
  const { output, text } = terminal();
  const area = createLiveArea(output);
  area.draw(['one', 'two']);
  area.above('note');
  area.close(['end']);
  assert.ok(!/A\r\u001b\[J/u.test(text()));
  assert.ok(text().endsWith('\u001b[2A\r\u001b[K\n\u001b[K\n\u001b[2A\rend\n'), JSON.stringify(text()));
});

test('what is said once is not cut at the width of the terminal, which is 80 columns where it says 0', () => {
  const closing = [`not built: test (Dockerfile:7): ${'x'.repeat(100)}`];
  for (const columns of [40, 0]) {
    const { output, text } = terminal(true, columns);
    const screen = createTerminalScreen(output, { now: () => 2000, colours: undefined });
    screen.report({ kind: 'vertex', vertex: a, text: `RUN ${'y'.repeat(100)}` });
    screen.report({ kind: 'vertex-cached', vertex: a, time: 1000 });
    screen.report({ kind: 'warning', rule: 'R', message: 'm'.repeat(100), at: [] });
    screen.finish({ imageId: a, names: ['x'], closing });
    const lines = text().split('\n');
    assert.ok(lines.includes(closing[0] ?? ''));
    assert.ok(lines.includes(` - R: ${'m'.repeat(100)}`));
    assert.equal(lines.find((line) => line.startsWith(' => CACHED'))?.length, columns === 0 ? 79 : 39);
  }
});

test('transfers: lines where there is no terminal, bars where there is one', () => {
  for (const isTTY of [false, true]) {
    const { output, text } = terminal(isTTY);
    {
      using screen = openTransferScreen(output, {
        environment: {},
        currentFolder: '/',
        streams: { stdin: process.stdin, stdout: output, stderr: output },
        now: () => 0,
        logLevel: 'info',
      });
      moveBlobs(screen.report);
    }
    const plain = 'ca978112ca1b: Waiting\nca978112ca1b: Download complete\nca978112ca1b: Pull complete\n';
    const bar = `3e23e8160039: Downloading [${'='.repeat(10)}>${' '.repeat(39)}] 20B/100B`;
    assert.equal(text(), isTTY ? `ca978112ca1b: Pull complete\u001b[K\n${bar}\u001b[K\n\u001b[J` : plain);
  }
});

function terminal(isTTY = true, columns = 100): { readonly output: Output; readonly text: () => string } {
  let written = '';
  const output = new Writable({
    write(chunk, _, done) {
      written += String(chunk);
      done();
    },
  });
  return { output: Object.assign(output, { isTTY, columns, rows: 30 }), text: () => written };
}

function moveBlobs(report: Report): void {
  for (const state of ['waiting', 'running', 'running', 'done'] as const)
    report({ kind: 'transfer', direction: 'pull', item: a, current: 50, total: 100, state });
  report({ kind: 'transfer', direction: 'unpack', item: a, current: 0, total: 0, state: 'done' });
  report({ kind: 'transfer', direction: 'pull', item: b, current: 20, total: 100, state: 'running' });
}
