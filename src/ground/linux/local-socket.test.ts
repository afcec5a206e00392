import { test } from 'node:test';
import assert from 'node:assert/strict';
import { mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveLocal } from './local-server.ts';
import { connectLocal } from './local-socket.ts';

const piece = new Uint8Array(1 << 16);
const count = 64;

test('at the end a client that is slow gets all there is, one that takes nothing is cut', async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'socket-'));
  const place = { folder: folder.path, name: 'x.sock' };
  const two = Promise.withResolvers<void>();
  let there = 0;
  await using server = await serveLocal(place, (connection: Duplex) => {
    for (let number = 0; number < count; number++) connection.write(piece);
    if (++there === 2) two.resolve();
  });
  const slow = await connectLocal(place);
  const deaf = await connectLocal(place);
  deaf.pause();
  await two.promise;
  const limit = 1000;
  const finished = server.finish(limit);
  let got = 0;
  // Longer than the limit as a whole.
  for await (const bytes of slow as AsyncIterable<Uint8Array>) {
    got += bytes.length;
    await sleep((2 * limit) / count);
  }
  await finished;
  assert.equal(got, count * piece.length);
  deaf.destroy();
});
