/** Git repositories as sources: real ones, served over HTTP. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { openGitSources, type GitOptions, type GitSource, type GitSources } from '#stores/context/git.ts';
import { openSshAgent } from '#stores/ssh/agent.ts';
import { listDownloads, removeDownload } from '#stores/context/kept-downloads.ts';
import { addSubmodule, commitAll, git, makeRepository, serveGit } from '#test/kit/git-server.ts';
import { serve } from '#test/kit/web.ts';

const signal = new AbortController().signal;
const commitTime = Date.parse('2020-01-02T03:04:05Z');

type GitAgent = Awaited<ReturnType<GitOptions['agent']>>;

function openRoot() {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-git-'));
  const repository = join(folder, 'root/r');
  makeRepository(repository);
  let made = 0;
  return {
    folder,
    root: join(folder, 'root'),
    repository,
    downloads: join(folder, 'downloads'),
    write: (files: Readonly<Record<string, string>>): string => {
      for (const [name, text] of Object.entries(files)) {
        mkdirSync(join(repository, name, '..'), { recursive: true });
        writeFileSync(join(repository, name), text);
      }
      return commitAll(repository);
    },
    target: () => join(folder, `tree-${made++}`),
    open: (
      options: {
        readonly secrets?: Readonly<Record<string, string>>;
        readonly environment?: object;
        readonly downloads?: string;
        readonly agent?: GitAgent;
        readonly limits?: Pick<GitOptions, 'timing' | 'onWait' | 'largest'>;
      } = {},
    ): GitSources =>
      openGitSources({
        folder: options.downloads ?? join(folder, 'downloads'),
        userAgent: 'test',
        environment: { PATH: process.env['PATH'], ...options.environment },
        secret: (name) => options.secrets?.[name],
        agent: async () => await Promise.resolve(options.agent),
        now: Date.now,
        ...options.limits,
      }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}

function sourceOf(remote: string, more: Partial<GitSource> = {}): GitSource {
  return { remote, ref: '', subfolder: '', checksum: '', keepGitFolder: false, submodules: true, times: 'commit', ...more };
}

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}

test('the files of a commit have modes and times of their own, whatever names it; once fetched, only the name is asked for', async () => {
  using place = openRoot();
  place.write({ a: '1', 'bin/run': '#!/bin/sh' });
  const old = git(place.repository, 'rev-parse', 'HEAD');
  chmodSync(join(place.repository, 'bin/run'), 0o755);
  symlinkSync('/etc/passwd', join(place.repository, 'link'));
  const tip = place.write({ a: '2' });
  git(place.repository, 'tag', '--annotate', '--message', 'x', 'v1');
  git(place.repository, 'branch', 'v1', old);
  await using server = await serveGit(place.root);
  await using sources = place.open();
  const remote = `http://${server.host}/r.git`;

  const folder = await sources.checkOut(sourceOf(remote), place.target(), signal);
  assert.deepEqual(readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted(byText), ['a', 'bin', 'bin/run', 'link']);
  assert.deepEqual(
    ['a', 'bin', 'bin/run', '.'].map((name) => lstatSync(join(folder, name)).mode & 0o7777),
    [0o644, 0o755, 0o755, 0o755],
  );
  for (const name of ['a', 'bin', 'bin/run', 'link', '.']) assert.equal(lstatSync(join(folder, name)).mtimeMs, commitTime, name);

  const [repository = ''] = readdirSync(place.downloads);
  assert.ok(existsSync(join(place.downloads, repository, 'sha1.git/shallow')), 'without its past');
  const read = async (more: Partial<GitSource>): Promise<string> =>
    readFileSync(join(await sources.checkOut(sourceOf(remote, more), place.target(), signal), 'a'), 'utf8');
  assert.equal(await read({ ref: 'refs/tags/v1' }), '2');
  assert.equal(await read({ ref: 'v1' }), '1', 'a branch comes before a tag');
  assert.equal(await read({ ref: 'tags/v1' }), '2');
  assert.equal(await read({ ref: old }), '1');
  assert.equal(await read({ checksum: tip.slice(0, 7) }), '2');
  assert.equal(await read({ ref: 'refs/tags/v1', checksum: tip }), '2', 'the commit behind a tag counts');
  await assert.rejects(read({ checksum: old }), { code: 'context/git-mismatch' });
  await assert.rejects(read({ ref: old, checksum: tip }), { code: 'context/git-mismatch' });
  await assert.rejects(read({ ref: 'nope' }), { code: 'context/git-no-ref' });
  await assert.rejects(read({ ref: 'f'.repeat(40) }), { code: 'context/git-no-ref' });

  await using later = place.open();
  const before = server.seen.length;
  const kept = await later.keep(sourceOf(remote), signal);
  assert.equal(server.seen.length - before, 2, 'a question for the protocol and one for the refs');
  await using third = place.open();
  assert.equal(await third.keep(sourceOf(remote), signal), kept);
  // W5: one of another boot may have lost bytes.
  const other = join(kept, '../../trees', basename(kept).replace(/^[^-]+/u, 'another'));
  renameSync(kept, other);
  writeFileSync(join(other, 'a'), '');
  assert.equal(readFileSync(join(await third.keep(sourceOf(remote), signal), 'a'), 'utf8'), '2');
  assert.ok(!existsSync(other));
  assert.equal(await third.digest(sourceOf(remote), signal), await third.digest(sourceOf(remote, { ref: 'refs/tags/v1' }), signal));
  assert.notEqual(await third.digest(sourceOf(remote), signal), await third.digest(sourceOf(remote, { subfolder: 'bin' }), signal));
});

test('a kept .git folder is the same every time, works, and holds no password', async () => {
  using place = openRoot();
  place.write({ a: '1' });
  place.write({ a: '2' });
  git(place.repository, 'tag', '--annotate', '--message', 'x', 'v1');
  await using server = await serveGit(place.root);
  const source = sourceOf(`http://me:hunter2@${server.host}/r.git`, { keepGitFolder: true, ref: 'v1' });
  const folders: string[] = [];
  for (const downloads of ['one', 'two']) {
    await using sources = place.open({ downloads: join(place.folder, downloads) });
    folders.push(await sources.checkOut(source, place.target(), signal));
  }
  const [one = '', two = ''] = folders;
  execFileSync('diff', ['--recursive', one, two]);
  assert.equal(git(one, 'describe'), 'v1');
  assert.equal(git(one, 'status', '--porcelain'), '');
  assert.equal(git(one, 'log', '--format=%s').split('\n').length, 1, 'without its past');
  assert.equal(git(one, 'remote', 'get-url', 'origin'), `http://${server.host}/r.git`);
  assert.throws(() => execFileSync('grep', ['--recursive', 'hunter2', place.folder]), { status: 1 }, 'the password is nowhere');
  await using sources = place.open();
  const inside = sourceOf(source.remote, { keepGitFolder: true, subfolder: 'd' });
  mkdirSync(join(place.repository, 'd'));
  place.write({ 'd/x': '' });
  assert.deepEqual(readdirSync(await sources.checkOut(inside, place.target(), signal)), ['x']);
});

test('a subfolder is a real folder all the way', async () => {
  using place = openRoot();
  symlinkSync('/etc', join(place.repository, 'out'));
  symlinkSync('real', join(place.repository, 'link'));
  place.write({ 'real/deep/f': '', file: '' });
  await using server = await serveGit(place.root);
  await using sources = place.open();
  const list = async (subfolder: string): Promise<readonly string[]> =>
    readdirSync(await sources.checkOut(sourceOf(`http://${server.host}/r.git`, { subfolder }), place.target(), signal));
  assert.deepEqual(await list('real/deep'), ['f']);
  for (const subfolder of ['out', 'link', 'link/deep', 'file', 'none', '.git', 'real/.git']) {
    await assert.rejects(list(subfolder), { code: 'context/git-no-folder' }, subfolder);
  }
});

test('submodules come along unless told not to; they reach no files of this machine and run nothing', async () => {
  using place = openRoot();
  const canary = join(place.folder, 'canary');
  const inner = join(place.root, 'inner');
  makeRepository(inner);
  writeFileSync(join(inner, 'f'), 'inner');
  const commit = commitAll(inner);
  writeFileSync(join(inner, 'f'), 'later');
  commitAll(inner);
  place.write({ a: '' });
  for (const [branch, url] of Object.entries({
    good: '../inner.git',
    file: `file://${inner}`,
    path: inner,
    ext: `ext::sh -c touch% ${canary}`,
  })) {
    git(place.repository, 'checkout', '--quiet', '-b', branch, 'main');
    addSubmodule(place.repository, { name: 'sub', url, commit });
    rmSync(join(place.repository, 'sub'), { recursive: true });
  }
  await using server = await serveGit(place.root);
  await using sources = place.open({ environment: { GIT_ALLOW_PROTOCOL: 'file:ext:http' } });
  const checkOut = async (more: Partial<GitSource>): Promise<string> =>
    await sources.checkOut(sourceOf(`http://${server.host}/r.git`, more), place.target(), signal);
  const folder = await checkOut({ ref: 'good' });
  assert.deepEqual(readdirSync(join(folder, 'sub')), ['f'], 'and no .git');
  assert.equal(readFileSync(join(folder, 'sub/f'), 'utf8'), 'inner', 'the commit that is named');
  assert.deepEqual(readdirSync(join(await checkOut({ ref: 'good', submodules: false }), 'sub')), []);
  const kept = await checkOut({ ref: 'good', keepGitFolder: true });
  assert.equal(git(join(kept, 'sub'), 'rev-parse', 'HEAD'), commit);
  for (const ref of ['file', 'path', 'ext']) {
    await assert.rejects(checkOut({ ref }), { code: 'context/git-failed', message: /not allowed|not supported/u }, ref);
  }
  assert.ok(!existsSync(canary));
});

test('nothing of the settings of this machine counts', async () => {
  using place = openRoot();
  const canary = join(place.folder, 'canary');
  place.write({ '.gitattributes': '* filter=evil\n', a: 'a\n' });
  await using server = await serveGit(place.root);
  const home = join(place.folder, 'home');
  const hooks = join(home, 'hooks');
  mkdirSync(hooks, { recursive: true });
  for (const name of ['post-checkout', 'reference-transaction', 'post-index-change']) {
    writeFileSync(join(hooks, name), `#!/bin/sh\ntouch ${canary}\n`, { mode: 0o755 });
  }
  const config = `[core]\n\thooksPath = ${hooks}\n\tfsmonitor = touch ${canary}\n[filter "evil"]\n\tsmudge = touch ${canary}; cat\n[url "http://127.0.0.1:1/"]\n\tinsteadOf = http://\n`;
  writeFileSync(join(home, '.gitconfig'), config);
  const settings = {
    GIT_CONFIG_GLOBAL: join(home, '.gitconfig'),
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'core.hooksPath',
    GIT_CONFIG_VALUE_0: hooks,
  };
  await using sources = place.open({ environment: { HOME: home, ...settings, GIT_TEMPLATE_DIR: home } });
  for (const keepGitFolder of [false, true]) {
    const folder = await sources.checkOut(sourceOf(`http://${server.host}/r.git`, { keepGitFolder }), place.target(), signal);
    assert.equal(readFileSync(join(folder, 'a'), 'utf8'), 'a\n');
  }
  assert.ok(!existsSync(canary));
});

test('credentials go to their own server only, and are no arguments', async () => {
  using place = openRoot();
  place.write({ a: '' });
  const tools = join(place.folder, 'bin');
  const log = join(place.folder, 'log');
  mkdirSync(tools);
  writeFileSync(join(tools, 'git'), `#!/bin/sh\necho "$@" >>${log}\nPATH=\${PATH#*:} exec git "$@"\n`, { mode: 0o755 });
  const environment = { PATH: `${tools}:${process.env['PATH'] ?? ''}` };
  const expected = `basic ${btoa('x-access-token:T0KEN')}`;
  await using server = await serveGit(place.root, (request, response) => {
    if (request.headers.authorization?.replace('Basic', 'basic') === expected) return false;
    response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    return true;
  });
  await using stranger = await serveGit(place.root);
  await using door = await serve((request, response) => {
    response.writeHead(302, { location: `http://${stranger.host}${request.url}` }).end();
  });
  const checkOut = async (remote: string, secrets: Readonly<Record<string, string>>): Promise<string> => {
    await using sources = place.open({ secrets, environment });
    return await sources.checkOut(sourceOf(remote), place.target(), signal);
  };
  const remote = `http://${server.host}/r.git`;
  await assert.rejects(checkOut(remote, {}), { code: 'context/git-failed', hint: /GIT_AUTH_TOKEN/u });
  await assert.rejects(checkOut(remote, { GIT_AUTH_TOKEN: 'wrong' }), { code: 'context/git-failed' });
  await assert.rejects(checkOut(remote, { GIT_AUTH_TOKEN: 'T0\nKEN' }), { code: 'context/bad-secret' });
  await checkOut(remote, { GIT_AUTH_TOKEN: 'T0KEN\n' });
  await checkOut(remote, { [`GIT_AUTH_TOKEN.${server.host}`]: 'T0KEN', GIT_AUTH_TOKEN: 'other' });
  await checkOut(remote, { GIT_AUTH_HEADER: expected, GIT_AUTH_TOKEN: 'other' });
  rmSync(place.downloads, { recursive: true });
  await checkOut(`http://x-access-token:T0KEN@${server.host}/r.git`, {});

  await checkOut(`http://${door.host}/r.git`, { GIT_AUTH_TOKEN: 'T0KEN' });
  assert.ok(door.seen.some(({ headers }) => headers.authorization === expected));
  assert.ok(stranger.seen.length > 0);
  for (const { headers } of stranger.seen) assert.equal(headers.authorization, undefined);
  const said = readFileSync(log, 'utf8');
  assert.ok(said.includes('ls-remote'));
  for (const secret of ['T0KEN', expected.slice(6)]) assert.ok(!said.includes(secret));
});

test('a server that hands out tips of branches only, and one without git', async () => {
  using place = openRoot();
  const old = place.write({ a: '1' });
  place.write({ a: '2' });
  await using server = await serveGit(place.root, (request) => {
    delete request.headers['git-protocol'];
    return false;
  });
  await using sources = place.open();
  const remote = `http://${server.host}/r.git`;
  for (const [ref, text] of [
    ['main', '2'],
    [old, '1'],
  ] as const) {
    const folder = await sources.checkOut(sourceOf(remote, { ref }), place.target(), signal);
    assert.equal(readFileSync(join(folder, 'a'), 'utf8'), text);
  }
  await using bare = place.open({ environment: { PATH: '/nonexistent' } });
  await assert.rejects(bare.resolve(sourceOf(remote), signal), { code: 'context/no-git' });
  await assert.rejects(sources.resolve(sourceOf('git@127.0.0.1:r.git'), signal), { code: 'context/git-needs-ssh' });
});

test('two builds at once fetch once; what is kept can be listed and removed', async () => {
  using place = openRoot();
  place.write({ a: '1' });
  await using server = await serveGit(place.root);
  const source = sourceOf(`http://${server.host}/r.git`);
  await using one = place.open();
  await using two = place.open();
  const folders = await Promise.all([one, two].map(async (sources) => await sources.checkOut(source, place.target(), signal)));
  assert.equal(new Set(folders).size, 2);
  assert.equal(server.count('/git-upload-pack'), 3, 'refs twice, files once');
  const [download, ...others] = listDownloads(place.downloads);
  assert.deepEqual(others, []);
  assert.ok(download !== undefined && download.kind === 'git' && download.bytes > 4096 && Date.now() - download.lastUsedAt < 600_000);
  assert.equal(download.description, source.remote);
  const half = join(place.downloads, download.id, 'sha1.git/objects/pack/tmp_pack_half');
  writeFileSync(half, 'what a killed fetch left');
  await one.checkOut(source, place.target(), signal);
  assert.ok(!existsSync(half));
  removeDownload(place.downloads, download.id);
  assert.deepEqual(readdirSync(place.downloads), []);
  await one.checkOut(source, place.target(), signal);
});

test('over SSH git has the keys that were handed out, and nothing else of this machine', async () => {
  using place = openRoot();
  place.write({ a: '1' });
  const key = join(place.folder, 'key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  // In the place of ssh and a host: says what it was given, asks the agent by OpenSSH's own program, and runs what the host would run.
  const tools = join(place.folder, 'bin');
  mkdirSync(tools);
  const log = join(place.folder, 'log');
  writeFileSync(join(tools, 'ssh'), `#!/bin/sh\n(echo "$@"; env; ssh-add -L) >>${log}\nfor last; do :; done\nexec sh -c "$last"\n`, {
    mode: 0o755,
  });
  const home = join(place.folder, "it's home");
  const environment = { PATH: `${tools}:${process.env['PATH'] ?? ''}`, HOME: home, SSH_AUTH_SOCK: '/own/agent', GIT_SSH_COMMAND: 'own' };
  const remote = `git@host.example:${place.repository}`;
  await using without = place.open({ environment });
  await assert.rejects(without.resolve(sourceOf(remote), signal), { code: 'context/git-needs-ssh', hint: /--ssh default/u });
  assert.ok(!existsSync(log));
  {
    await using sources = place.open({ environment, agent: openSshAgent('default', [key]) });
    const folder = await sources.checkOut(sourceOf(remote), place.target(), signal);
    assert.equal(readFileSync(join(folder, 'a'), 'utf8'), '1');
  }
  const said = readFileSync(log, 'utf8');
  assert.match(said, /^-F \/dev\/null -o BatchMode=yes -o IdentityFile=none -o StrictHostKeyChecking=yes -o UserKnownHostsFile=/mu);
  assert.ok(said.includes(`UserKnownHostsFile="${home}/.ssh/known_hosts"`));
  assert.ok(said.includes(readFileSync(`${key}.pub`, 'utf8').split(' ')[1] ?? ''), 'the key can be asked for');
  assert.ok(!said.includes('/own/agent'));
  const [, socket = ''] = /^SSH_AUTH_SOCK=(.*)$/mu.exec(said) ?? [];
  assert.ok(socket !== '' && !existsSync(socket), 'and is gone afterwards');
});
