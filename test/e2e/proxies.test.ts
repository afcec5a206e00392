/** `"proxies"` of docker's config.json: variables of each RUN and each container, which nobody had to type. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

function setProxies(box: Sandbox, proxies: object): void {
  box.files({ 'config.json': JSON.stringify({ proxies }) }, 'docker');
}

/** The variables of proxies among the lines of `env`, sorted. */
function proxiesIn(output: string): readonly string[] {
  return (output.match(/^[a-z]+_proxy=.*$/gimu) ?? []).toSorted();
}

test('proxies of config.json reach each RUN, and count neither for the cache nor for the image', { timeout: 1_200_000 }, async () => {
  await using box = await openSandbox();
  await box.base('busybox');
  const context = box.files({ Dockerfile: 'FROM busybox\nRUN env > /seen\nFROM busybox\nCOPY --from=0 /seen /\n' });
  const seen = async (...words: readonly string[]): Promise<readonly string[]> => {
    await box.succeed(['build', '-t', 'x', '--no-cache', ...words, context]);
    return proxiesIn(await box.succeed(['run', '--rm', 'x', 'cat', '/seen']));
  };
  setProxies(box, { default: { httpProxy: 'http://me:pass@a:1', noProxy: 'b,c' } });
  const set = ['HTTP_PROXY=http://me:pass@a:1', 'NO_PROXY=b,c', 'http_proxy=http://me:pass@a:1', 'no_proxy=b,c'];
  assert.deepEqual(await seen(), set);
  assert.deepEqual(await seen('--build-arg', 'http_proxy=http://typed:2', '--build-arg', 'NO_PROXY='), [
    'HTTP_PROXY=http://typed:2',
    'http_proxy=http://typed:2',
  ]);
  assert.deepEqual(await seen(), set);

  setProxies(box, { default: { httpProxy: 'http://other:3' } });
  const again = await box.jettison(['build', '-t', 'y', '--progress', 'plain', context]);
  assert.equal(again.status, 0, again.stderr);
  assert.doesNotMatch(again.stderr, /Warning/u, 'nobody asked for the argument by ARG, and none is unused');
  const known = await box.succeed(['image', 'inspect', 'x', 'y']);
  const [x, y] = JSON.parse(known) as readonly { readonly Id: string }[];
  assert.equal(x?.Id, y?.Id, 'other proxies, the same steps');
  const told = [
    known,
    await box.succeed(['history', '--no-trunc', 'x']),
    await box.succeed(['builds', 'inspect', '--format', 'json']),
  ].join('\n');
  assert.doesNotMatch(told, /proxy=|me:pass|a:1/iu);
});

test('ARG HTTP_PROXY takes what config.json has', async () => {
  await using box = await openSandbox();
  setProxies(box, { 'unix:///var/run/docker.sock': { httpProxy: 'http://here:1' }, default: { httpProxy: 'http://default:1' } });
  const context = box.files({ Dockerfile: 'FROM scratch\nARG HTTP_PROXY\nLABEL proxy=$HTTP_PROXY\n' });
  await box.succeed(['build', '-t', 'x', context]);
  assert.equal(await box.succeed(['inspect', 'x', '--format', '{{.Config.Labels.proxy}}']), 'http://here:1\n');
});

test('proxies of config.json are variables of containers, unless they are given', { timeout: 1_200_000 }, async () => {
  await using box = await openSandbox();
  await box.base('busybox');
  const image = box.files({ Dockerfile: 'FROM busybox\nENV HTTP_PROXY=http://image:1 no_proxy=image\n' });
  await box.succeed(['build', '-t', 'x', image]);
  setProxies(box, { default: { httpProxy: 'http://a:1', httpsProxy: 'http://b:2', ftpProxy: 'http://f:3', allProxy: 'socks5://s:4' } });
  const all = { FTP_PROXY: 'http://f:3', HTTPS_PROXY: 'http://b:2', ALL_PROXY: 'socks5://s:4', HTTP_PROXY: 'http://a:1' };
  const both = Object.entries(all).flatMap(([name, value]) => [`${name}=${value}`, `${name.toLowerCase()}=${value}`]);
  assert.deepEqual(proxiesIn(await box.succeed(['run', '--rm', 'x', 'env'])), [...both, 'no_proxy=image'].toSorted());
  const lines = box.files({ list: 'ALL_PROXY=http://file:6\n' }, 'env');
  const given = ['-e', 'HTTP_PROXY=http://typed:5', '-e', 'https_proxy', '--env-file', `${lines}/list`];
  const some = proxiesIn(await box.succeed(['run', '--rm', ...given, 'x', 'env']));
  const expected = both.filter((line) => !/^(?:HTTP_PROXY|https_proxy|ALL_PROXY)=/u.test(line));
  assert.deepEqual(some, [...expected, 'HTTP_PROXY=http://typed:5', 'ALL_PROXY=http://file:6', 'no_proxy=image'].toSorted());
  const id = (await box.succeed(['create', 'x', 'true'])).trim();
  const without = await box.succeed(['run', '--rm', '-e', 'no_proxy', 'x', 'env']);
  assert.doesNotMatch(without, /no_proxy/u, 'a name without a value takes away what the image says');
  assert.match(await box.succeed(['inspect', id, '--format', '{{json .Config.Env}}']), /"https_proxy=http:\/\/b:2"/u);
});

test('a config.json that cannot be read stops neither a build nor a container', { timeout: 1_200_000 }, async () => {
  await using box = await openSandbox();
  await box.base('busybox');
  box.files({ 'config.json': '{"proxies": {"default": {"httpProxy": 1}}}' }, 'docker');
  const context = box.files({ Dockerfile: 'FROM busybox\nRUN true\n' });
  for (const words of [
    ['build', context],
    ['run', '--rm', 'busybox', 'true'],
  ]) {
    const done = await box.jettison(words);
    assert.equal(done.status, 0, done.stderr);
    const notes = done.stderr.match(/^.*without the "proxies".*$/gmu) ?? [];
    assert.equal(notes.length, 1, done.stderr);
    assert.match(notes[0] ?? '', /config\.json": .*proxies\.default\.httpProxy/u);
  }
});
