import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { serve, type Handler } from '#test/kit/web.ts';
import { digestOf } from '#ground/base/digest.ts';
import { openDownloads, type DownloadOptions, type WebFile } from './http.ts';

function openForTest(options: Partial<DownloadOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-downloads-'));
  const downloads = openDownloads({
    folder,
    userAgent: 'test',
    environment: {},
    now: Date.now,
    timing: { tries: 2, firstPause: 1, firstByte: 2000, idle: 2000, connect: 2000 },
    ...options,
  });
  return {
    fetch: async (file: Pick<WebFile, 'url'> & Partial<WebFile>) =>
      await downloads.fetch({ name: 'f', checksum: undefined, ...file }, new AbortController().signal),
    files: () => readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('/f')),
    [Symbol.dispose]: () => {
      downloads[Symbol.dispose]();
      rmSync(folder, { recursive: true });
    },
  };
}

test('a file has mode 600 and the time of the server; the same one is not sent again', async () => {
  const time = 'Wed, 21 Oct 2015 07:28:00 GMT';
  let body = 'one';
  await using server = await serve((request, response) => {
    const etag = `"${body}"`;
    if (request.headers['if-none-match'] === etag) response.writeHead(304).end();
    else response.writeHead(200, { etag, 'last-modified': time }).end(body);
  });
  using downloads = openForTest();
  const url = `http://${server.host}/x/page.txt`;
  const first = join(await downloads.fetch({ url }), 'f');
  assert.equal(readFileSync(first, 'utf8'), 'one');
  const stats = statSync(first);
  assert.equal(stats.mode & 0o7777, 0o600);
  assert.equal(stats.mtimeMs, Date.parse(time));
  assert.equal(join(await downloads.fetch({ url }), 'f'), first);
  assert.equal(statSync(first).ino, stats.ino, 'the file is the same');
  body = 'two';
  assert.equal(readFileSync(join(await downloads.fetch({ url }), 'f'), 'utf8'), 'two');
  assert.equal(readFileSync(first, 'utf8'), 'one', 'who reads the old one can go on');
});

test('a checksum that fits needs no request; one that does not fit leaves nothing', async () => {
  await using server = await serve((_request, response) => response.end('bytes'));
  using downloads = openForTest();
  const url = `http://${server.host}/f`;
  await assert.rejects(downloads.fetch({ url, checksum: digestOf('other') }), { code: 'context/digest-mismatch' });
  assert.deepEqual(downloads.files(), []);
  assert.equal(server.seen.length, 1, 'and is not tried again');
  await downloads.fetch({ url, checksum: digestOf('bytes') });
  await downloads.fetch({ url, checksum: digestOf('bytes') });
  assert.equal(server.seen.length, 2);
  await assert.rejects(downloads.fetch({ url, checksum: digestOf('other') }), { code: 'context/digest-mismatch' });
});

test('a password goes to its own server only', async () => {
  await using other = await serve((_request, response) => response.end('there'));
  await using server = await serve((request, response) => {
    if (request.url === '/here') response.end('here');
    else response.writeHead(302, { location: request.url === '/near' ? '/here' : `http://${other.host}/there` }).end();
  });
  using downloads = openForTest();
  await downloads.fetch({ url: `http://user:pass%20word@${server.host}/near` });
  await downloads.fetch({ url: `http://user:pass%20word@${server.host}/far` });
  const sent = `Basic ${Buffer.from('user:pass word').toString('base64')}`;
  assert.deepEqual(
    server.seen.map(({ headers }) => headers.authorization),
    [sent, sent, sent],
  );
  assert.deepEqual(
    other.seen.map(({ headers }) => headers.authorization),
    [undefined],
  );
});

test('a password may hold what is no encoding', async () => {
  await using server = await serve((_request, response) => response.end('here'));
  using downloads = openForTest();
  await downloads.fetch({ url: `http://us%er:100%@${server.host}/here` });
  assert.equal(server.seen[0]?.headers.authorization, `Basic ${btoa('us%er:100%')}`);
});

test('a secret opens the host it is named after, and no other; it comes before a password in the address', async () => {
  await using other = await serve((_request, response) => response.end('there'));
  await using server = await serve((request, response) => {
    if (request.url === '/far') response.writeHead(302, { location: `http://${other.host}/there` }).end();
    else response.end('here');
  });
  const secrets: Record<string, string> = { 'HTTP_AUTH_HEADER_127.0.0.1': 'Custom x\n', HTTP_AUTH_TOKEN_elsewhere: 'no' };
  using downloads = openForTest({ secret: (name) => secrets[name] });
  await downloads.fetch({ url: `http://a:b@${server.host}/one` });
  secrets['HTTP_AUTH_TOKEN_127.0.0.1'] = 't0ken';
  await downloads.fetch({ url: `http://${server.host}/far` });
  assert.deepEqual(
    server.seen.map(({ headers }) => headers.authorization),
    ['Custom x', 'Bearer t0ken'],
  );
  assert.equal(other.seen[0]?.headers.authorization, undefined);
  secrets['HTTP_AUTH_TOKEN_127.0.0.1'] = 'a\r\nevil: header';
  await assert.rejects(downloads.fetch({ url: `http://${server.host}/two` }), { code: 'context/bad-secret' });
});

test('limits: size, redirects, cut answers, errors of the server', async () => {
  let failures = 1;
  const handlers: Readonly<Record<string, Handler>> = {
    '/large': (_, response) => void response.end('x'.repeat(1001)),
    '/endless': (_, response) => {
      response.write('x'.repeat(600));
      response.end('x'.repeat(600));
    },
    '/loop': (_, response) => void response.writeHead(302, { location: '/loop' }).end(),
    '/file': (_, response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    '/cut': (_, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('short');
      setTimeout(() => response.destroy(), 10);
    },
    '/flaky': (_, response) => void response.writeHead(failures-- > 0 ? 503 : 200).end('at last'),
  };
  await using server = await serve((request, response) => {
    const handler = handlers[request.url ?? ''];
    if (handler) handler(request, response);
    else response.writeHead(404).end();
  });
  using downloads = openForTest({ largest: 1000 });
  const fetch = async (path: string): Promise<string> => await downloads.fetch({ url: `http://${server.host}${path}` });
  await assert.rejects(fetch('/large'), { code: 'context/too-large' });
  await assert.rejects(fetch('/endless'), { code: 'context/too-large' });
  for (const path of ['/loop', '/file', '/cut', '/missing']) await assert.rejects(fetch(path), { code: 'context/download-failed' });
  assert.deepEqual(downloads.files(), []);
  assert.equal(readFileSync(join(await fetch('/flaky'), 'f'), 'utf8'), 'at last');
});

test('W5: a file of another boot is read before it counts; one that lost bytes is fetched again', async () => {
  await using server = await serve((request, response) => {
    if (request.headers['if-none-match'] === '"v"') response.writeHead(304).end();
    else response.writeHead(200, { etag: '"v"' }).end('bytes');
  });
  using downloads = openForTest();
  const url = `http://${server.host}/f`;
  const checksum = digestOf('bytes');
  for (const damage of ['', 'byte5']) {
    for (const file of [{ url }, { url, checksum }]) {
      const path = join(await downloads.fetch(file), 'f');
      const note = join(path, '../../note.json');
      const pretendReboot = (): void => writeFileSync(note, JSON.stringify({ ...JSON.parse(readFileSync(note, 'utf8')), boot: 'another' }));
      const inode = statSync(path).ino;
      pretendReboot();
      assert.equal(statSync(join(await downloads.fetch(file), 'f')).ino, inode, 'whole: it stays');
      writeFileSync(path, damage);
      pretendReboot();
      assert.equal(readFileSync(join(await downloads.fetch(file), 'f'), 'utf8'), 'bytes');
      // Without its note the version lies there still.
      writeFileSync(path, damage);
      rmSync(note);
      assert.equal(readFileSync(join(await downloads.fetch(file), 'f'), 'utf8'), 'bytes');
    }
  }
});
