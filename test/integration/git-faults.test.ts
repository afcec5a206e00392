/** Servers of Git repositories that go wrong: in time, with the address and the reason, and nothing stays that is in the way. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { JettisonError, isCode } from '#ground/base/errors.ts';
import { openGitSources, type GitOptions, type GitSource, type GitSources } from '#stores/context/git.ts';
import { commitAll, git, makeRepository, serveGit } from '#test/kit/git-server.ts';

const signal = new AbortController().signal;

function openFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-git-faults-'));
  const repository = join(folder, 'root/r');
  makeRepository(repository);
  const open = (limits: Pick<GitOptions, 'timing' | 'onWait' | 'largest'> = {}): GitSources =>
    openGitSources({
      folder: join(folder, 'downloads'),
      userAgent: 'test',
      environment: { PATH: process.env['PATH'] },
      secret: () => undefined,
      agent: async () => await Promise.resolve(undefined),
      now: Date.now,
      ...limits,
    });
  return { folder, root: join(folder, 'root'), repository, open, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}

function sourceOf(remote: string): GitSource {
  return { remote, ref: '', subfolder: '', checksum: '', keepGitFolder: false, submodules: true, times: 'commit' };
}

/** A server that does `serve` with each connection. */
async function startRaw(serve: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', () => {});
    serve(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function drip(socket: Socket, text: string, pause: number): void {
  const timer = setInterval(() => socket.write(text), pause);
  socket.once('close', () => clearInterval(timer));
}

const timing = { tries: 2, firstPause: 1 };
/** Milliseconds; only for those that send nothing, as on a busy machine git takes its time. */
const idle = 800;
const silent: readonly (readonly [name: string, scheme: string, serve: (socket: Socket) => void, reason: RegExp])[] = [
  ['git-stall', 'git', () => {}, /sent nothing more for 0\.8 seconds/u],
  [
    'git-trickle',
    'git',
    (socket) => drip(socket, 'fff0xxxxxxxx', 300),
    /sent (?:almost nothing for 4|nothing more for 0\.8) seconds|protocol error/u,
  ],
  ['git-http-stall', 'http', () => {}, /sent nothing more for 0\.8 seconds/u],
  ['git-drop', 'git', (socket) => void socket.destroy(), /hung up|reset|broke/u],
  ['git-garbage', 'git', (socket) => void socket.end('<html>what is a packet line</html>'), /protocol error|bad line/u],
  [
    'git-http-html',
    'http',
    (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n<html>'),
    /not (?:found|valid)|git repository|does not contain/u,
  ],
  ['git-http-500', 'http', (socket) => void socket.end('HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n'), /error: 500/u],
  [
    'git-redirect-file',
    'http',
    (socket) => void socket.end('HTTP/1.1 302 Go\r\nlocation: file:///etc/\r\ncontent-length: 0\r\n\r\n'),
    /file|redirect|protocol/iu,
  ],
];

test('servers that never come to an end, or make no sense', { concurrency: 4 }, async (t) => {
  const one = async ([name, scheme, serve, reason]: (typeof silent)[number]): Promise<void> => {
    using place = openFolder();
    await using server = await startRaw(serve);
    await using sources = place.open({ timing: { ...timing, ...(/stall|trickle/u.test(name) ? { idle } : {}) } });
    const began = performance.now();
    await assert.rejects(sources.digest(sourceOf(`${scheme}://${server.host}/r.git`), signal), (error) => {
      assert.ok(error instanceof JettisonError);
      assert.match(error.message, reason);
      assert.ok(error.message.includes(server.host), error.message);
      assert.notEqual(error.hint, undefined);
      return true;
    });
    assert.ok(performance.now() - began < 100_000);
  };
  await Promise.all(silent.map((row) => t.test(`F: ${row[0]}`, async () => await one(row))));
});

test('F: git-503-once: what may pass is tried again, and that is said', async () => {
  using place = openFolder();
  writeFileSync(join(place.repository, 'a'), '1');
  commitAll(place.repository);
  let refused = 0;
  await using server = await serveGit(place.root, (request, response) => {
    if (refused >= 2 || (refused === 1 && request.method === 'GET')) return false;
    refused++;
    response.writeHead(503).end();
    return true;
  });
  const told: string[] = [];
  await using sources = place.open({ timing: { ...timing, tries: 3 }, onWait: (text) => void told.push(text) });
  const tree = await sources.checkOut(sourceOf(`http://${server.host}/r.git`), join(place.folder, 'tree'), signal);
  assert.deepEqual(readdirSync(tree), ['a']);
  assert.equal(told.length, 2);
  assert.match(told[0] ?? '', /503\. Trying again in .* \(try 2 of 3\)/u);
});

test('F: git-too-large: a repository that takes up too much, and a small one with too much in it', async () => {
  using place = openFolder();
  writeFileSync(join(place.repository, 'large'), randomBytes(3 << 20));
  commitAll(place.repository);
  await using server = await serveGit(place.root);
  const at = sourceOf(`http://${server.host}/r.git`);
  const isTooLarge = (error: unknown): boolean => {
    assert.ok(isCode(error, 'context/git-too-large'), String(error));
    assert.ok(error.message.includes(server.host), error.message);
    return true;
  };
  await using small = place.open({ timing, largest: 2 << 20 });
  await assert.rejects(small.keep(at, signal), isTooLarge);
  await using enough = place.open({ timing });
  assert.deepEqual(readdirSync(await enough.keep(at, signal)), ['large']);

  const bomb = join(place.root, 'bomb');
  makeRepository(bomb);
  mkdirSync(join(bomb, 'd'));
  for (let count = 0; count < 30; count++) writeFileSync(join(bomb, `d/${count}`), Buffer.alloc(1 << 20));
  commitAll(bomb);
  await using bounded = place.open({ timing, largest: 20 << 20 });
  const target = join(place.folder, 'bomb-tree');
  await assert.rejects(bounded.checkOut(sourceOf(`http://${server.host}/bomb.git`), target, signal), isTooLarge);
  assert.equal(existsSync(target), false);
  assert.equal(git(bomb, 'count-objects').startsWith('0 '), false);
});
