import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { askFrame, serveFrames } from './frame-socket.ts';

const never = new AbortController().signal;

async function withFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-frames-'));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What a connection answers to these bytes, until it ends. */
async function talk(path: string, ...chunks: readonly Uint8Array[]): Promise<Buffer> {
  const socket = connect({ path, allowHalfOpen: true });
  const got: Uint8Array[] = [];
  for (const chunk of chunks) {
    socket.write(chunk);
    await new Promise(setImmediate);
  }
  socket.end();
  try {
    for await (const chunk of socket) got.push(chunk);
  } catch {
    // Reset: what had come until then counts.
  }
  return Buffer.concat(got);
}

const echo = async (request: Uint8Array): Promise<Uint8Array> => await Promise.resolve(Buffer.concat([Buffer.from('>'), request]));

/** A frame of `length` zeros. */
function zeros(length: number): Buffer {
  return Buffer.concat([Buffer.from([0, length >> 16, (length >> 8) & 255, length & 255]), Buffer.alloc(length)]);
}

async function echoOrFail(request: Uint8Array): Promise<Uint8Array> {
  if (request[0] === 0x21) throw new Error('no');
  return await echo(request);
}
const frame = (text: string): Buffer => Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)]);

test('requests are answered in their order, however they are cut, also to who has finished writing', async () => {
  await withFolder(async (folder) => {
    await using server = await serveFrames({ folder, name: 's' }, echo);
    assert.ok(server);
    const path = join(folder, 's');
    assert.equal(Buffer.from(await askFrame(path, Buffer.from('one'), never)).toString(), '>one');
    assert.deepEqual(
      await talk(path, frame('a'), Buffer.concat([frame('bc'), frame('')])),
      Buffer.concat([frame('>a'), frame('>bc'), frame('>')]),
    );
    const whole = Buffer.concat([frame('abc'), frame('d')]);
    const cut = Array.from(whole, (_, at) => whole.subarray(at, at + 1));
    assert.deepEqual(await talk(path, ...cut), Buffer.concat([frame('>abc'), frame('>d')]));
  });
});

test('a request that is too long, or an answer that fails, ends that connection and no other', async () => {
  await withFolder(async (folder) => {
    await using server = await serveFrames({ folder, name: 's' }, echoOrFail);
    assert.ok(server);
    const path = join(folder, 's');
    assert.equal((await talk(path, zeros(256 * 1024))).length, 4 + 1 + 256 * 1024);
    assert.equal((await talk(path, zeros(256 * 1024 + 1))).length, 0);
    assert.deepEqual(await talk(path, frame('!')), Buffer.alloc(0));
    await assert.rejects(askFrame(path, Buffer.from('!'), never));
    assert.equal(Buffer.from(await askFrame(path, Buffer.from('y'), never)).toString(), '>y');
  });
});

test('a socket stands at a path longer than an address, and is gone with its connections when disposed', async () => {
  await withFolder(async (top) => {
    const folder = join(top, 'long'.repeat(25), 'longer'.repeat(20));
    mkdirSync(folder, { recursive: true });
    const server = await serveFrames({ folder, name: 's' }, async () => await new Promise<Uint8Array>(() => undefined));
    assert.ok(existsSync(join(folder, 's')));
    await server[Symbol.asyncDispose]();
    assert.ok(!existsSync(join(folder, 's')));
  });
});

test('who asks and is told to stop, or asks nobody, does not wait', async () => {
  await withFolder(async (folder) => {
    await using server = await serveFrames({ folder, name: 's' }, async () => await new Promise<Uint8Array>(() => undefined));
    assert.ok(server);
    const controller = new AbortController();
    const asking = askFrame(join(folder, 's'), Buffer.from('x'), controller.signal);
    setTimeout(() => controller.abort(new Error('enough')), 10);
    await assert.rejects(asking, /enough/);
    await assert.rejects(askFrame(join(folder, 'gone'), Buffer.from('x'), never), { code: 'ENOENT' });
  });
});
