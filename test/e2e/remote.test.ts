/** Builds from elsewhere: Git repositories and files from the web as contexts and as sources. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { filesOf } from '#test/kit/archive-files.ts';
import { commitAll, git, makeRepository, serveGit } from '#test/kit/git-server.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';
import { serve } from '#test/kit/web.ts';

/** Builds and gives the names of all files of the image. */
async function filesBuilt(
  sandbox: Sandbox,
  words: readonly string[],
  options: Parameters<Sandbox['jettison']>[1] = {},
): Promise<readonly string[]> {
  const archive = join(sandbox.folder, 'out.tar');
  await sandbox.succeed(['build', '-o', `type=docker,dest=${archive}`, ...words], options);
  return filesOf(archive, sandbox.folder);
}

function repositoryIn(sandbox: Sandbox): { readonly root: string; readonly folder: string } {
  const root = join(sandbox.folder, 'root');
  const folder = join(root, 'r');
  makeRepository(folder);
  return { root, folder };
}

test('ADD of a Git repository: known by its commit, whatever else is asked for', async () => {
  await using sandbox = await openSandbox();
  const { root, folder } = repositoryIn(sandbox);
  sandbox.files({ 'a.txt': '1', 'd/b': '', 'd/c.md': '' }, 'root/r');
  const commit = commitAll(folder);
  await using server = await serveGit(root);
  const at = `http://${server.host}/r.git`;
  const dockerfile = `FROM scratch\nADD --exclude=*.txt ${at} /all\nADD --chown=5:6 ${at}?branch=main#:d /d\nADD --keep-git-dir --checksum=${commit.slice(0, 8)} ${at} /kept/\n`;
  const context = sandbox.files({ Dockerfile: dockerfile });
  const files = await filesBuilt(sandbox, ['-t', 'added', context]);
  assert.deepEqual(
    files.filter((name) => !name.includes('.git')),
    ['all/', 'all/d/', 'all/d/b', 'all/d/c.md', 'd/', 'd/b', 'd/c.md', 'kept/', 'kept/a.txt', 'kept/d/', 'kept/d/b', 'kept/d/c.md'],
  );
  assert.ok(files.includes('kept/.git/HEAD'));
  const history = await sandbox.succeed(['history', '--no-trunc', 'added']);
  assert.match(history, new RegExp(`ADD --chown=5:6 ${RegExp.escape(at)}\\?branch=main#:d /d # buildkit`, 'u'));

  const before = server.count('/git-upload-pack');
  const again = await sandbox.jettison(['build', '--progress=plain', context]);
  assert.equal(again.stderr.match(/ CACHED$/gmu)?.length, 6, again.stderr);
  assert.equal(server.count('/git-upload-pack') - before, 2, 'two names are asked for, nothing is fetched');

  writeFileSync(join(folder, 'd/new'), '');
  commitAll(folder);
  const moved = await sandbox.jettison(['build', '--progress=plain', context]);
  assert.equal(moved.status, 1);
  assert.match(moved.stderr, /Expected checksum to match/u);
  assert.match(moved.stderr, />>> ADD --keep-git-dir/u);

  const refuse = async (line: string): Promise<string> => {
    const done = await sandbox.jettison(['build', sandbox.files({ Dockerfile: `FROM scratch\n${line}\n` }, 'refused')]);
    assert.equal(done.status, 1);
    assert.match(done.stderr, />>> /u);
    return done.stderr;
  };
  assert.match(await refuse(`COPY ${at} /`), /Source can't be a git ref for COPY/u);
  assert.match(await refuse(`ADD ${at}#--x /`), /cannot be the name of a branch/u);
  assert.match(await refuse(`ADD --keep-git-dir=false ${at}?keep-git-dir=1 /`), /say different things/u);
  assert.match(await refuse(`ADD --checksum=sha256:${'0'.repeat(64)} ${at} /`), /Invalid checksum/u);
  assert.match(await refuse('ADD git@127.0.0.1:r.git /'), /Git over SSH needs keys, and none were given/u);
});

test('a Git repository as the build context and as a named one', async () => {
  await using sandbox = await openSandbox();
  const { root, folder } = repositoryIn(sandbox);
  const lines = ['FROM scratch', 'COPY . /here/', 'COPY --from=other b /b'];
  sandbox.files(
    { Dockerfile: lines.join('\n'), 'sub/Other': 'FROM scratch\nCOPY x /\n', 'sub/x': '', '.dockerignore': '*', b: '' },
    'root/r',
  );
  commitAll(folder);
  await using server = await serveGit(root);
  const at = `http://${server.host}/r.git`;
  const words = ['--build-context', `other=${at}#main`, at];
  const expected = ['b', 'here/', 'here/.dockerignore', 'here/Dockerfile', 'here/b', 'here/sub/', 'here/sub/Other', 'here/sub/x'];
  // What a plan cannot do without is fetched; nothing runs.
  assert.match(await sandbox.succeed(['plan', ...words]), /^2 of 3 steps would run; 1 more perhaps/mu);
  assert.equal(await sandbox.succeed(['builds', '-q']), '');
  assert.deepEqual(await filesBuilt(sandbox, words), expected);
  assert.match(await sandbox.succeed(['plan', ...words]), /^0 of 3 steps would run$/mu);
  const again = await sandbox.jettison(['build', '--progress=plain', ...words]);
  assert.equal(again.stderr.match(/ CACHED$/gmu)?.length, 3, again.stderr);
  assert.deepEqual(await filesBuilt(sandbox, ['-f', 'Other', `${at}#main:sub`]), ['x']);
  const kept = await filesBuilt(sandbox, ['--build-arg', 'BUILDKIT_CONTEXT_KEEP_GIT_DIR=1', ...words]);
  assert.ok(kept.includes('here/.git/HEAD'));
  const stage = sandbox.files({ Dockerfile: 'FROM other AS o\nFROM scratch\nCOPY --from=o /b /\n' }, 'stage');
  assert.deepEqual(await filesBuilt(sandbox, ['--build-context', `other=${at}`, stage]), ['b']);

  git(folder, 'checkout', '--quiet', '-b', 'empty');
  const refused = await sandbox.jettison(['build', `${at}#main:../../..:x`]);
  assert.equal(refused.status, 1);
  assert.match((await sandbox.jettison(['build', `${at}#nope`])).stderr, /does not contain ref nope/u);
  sandbox.files({ Dockerfile: 'FROM scratch\nCOPY l /\n', l: '' }, 'github.com/a/b');
  assert.deepEqual(await filesBuilt(sandbox, ['github.com/a/b'], { cwd: sandbox.folder }), ['l'], 'a folder that is there wins');
});

test('archives and Dockerfiles from the web', async () => {
  await using sandbox = await openSandbox();
  const packed = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY . /\n', 'sub/Other': 'FROM scratch\nADD sub /\n' }, 'packed');
  const pages = new Map<string, Uint8Array>([
    ['/plain', new TextEncoder().encode('FROM scratch\nCOPY . /\n')],
    ['/Other', new TextEncoder().encode('FROM scratch\nCOPY own /\n')],
  ]);
  for (const how of ['', 'z', 'j', 'J']) pages.set(`/c${how}`, execFileSync('tar', [`-c${how}`, '-C', packed, '.']));
  pages.set('/c--zstd', execFileSync('tar', ['-c', '--zstd', '-C', packed, '.']));
  await using server = await serve((request, response) => {
    const page = pages.get(request.url ?? '');
    if (page === undefined) response.writeHead(404).end();
    else if (request.headers['if-none-match'] === 'x') response.writeHead(304).end();
    else response.writeHead(200, { etag: 'x' }).end(page);
  });
  const at = `http://${server.host}`;
  for (const page of ['c', 'cz', 'cj', 'cJ', 'c--zstd']) {
    assert.deepEqual(await filesBuilt(sandbox, [`${at}/${page}`]), ['Dockerfile', 'sub/', 'sub/Other'], page);
  }
  assert.deepEqual(await filesBuilt(sandbox, ['-f', 'sub/Other', `${at}/cz`]), ['Other']);
  assert.match(await sandbox.succeed(['plan', `${at}/cz`]), /^0 of 1 steps would run$/mu);
  assert.deepEqual(await filesBuilt(sandbox, [`${at}/plain`]), ['context'], 'as in BuildKit');
  const context = sandbox.files({ own: '' });
  assert.deepEqual(await filesBuilt(sandbox, ['-f', `${at}/Other`, context]), ['own']);
  const named = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY --from=more context /c\n' }, 'named');
  assert.deepEqual(await filesBuilt(sandbox, ['--build-context', `more=${at}/cz`, named]), ['c']);
  assert.match((await sandbox.jettison(['build', `${at}/none`])).stderr, /404/u);
  pages.set('/cut', execFileSync('tar', ['-cJ', '-C', packed, '.']).subarray(0, 100));
  assert.match((await sandbox.jettison(['build', `${at}/cut`])).stderr, /Cannot read the build context: xz/u);
});

test('secrets open what is private, and stay secret', async () => {
  await using sandbox = await openSandbox();
  const { root, folder } = repositoryIn(sandbox);
  sandbox.files({ Dockerfile: 'FROM scratch\nARG AT\nADD $AT/r.git /git\nADD $AT/file /\n' }, 'root/r');
  commitAll(folder);
  const token = `Basic ${btoa('x-access-token:T0KEN-oxo')}`;
  await using server = await serveGit(root, (request, response) => {
    const isFile = request.url === '/file';
    const { authorization = '' } = request.headers;
    if (authorization.toLowerCase() === (isFile ? 'bearer t0ken-ixi' : token.toLowerCase())) {
      if (isFile) response.end('x');
      return isFile;
    }
    response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    return true;
  });
  const at = `http://${server.host}`;
  const secrets = ['--secret', 'id=GIT_AUTH_TOKEN,env=G', '--secret', 'id=HTTP_AUTH_TOKEN_127.0.0.1,env=H'];
  const environment = { G: 'T0KEN-oxo', H: 'T0KEN-ixi', NODE_DEBUG: 'jettison*' };
  const words = ['build', '--progress=plain', '--build-arg', `AT=${at}`, '-t', 'private'];
  const done = await sandbox.jettison([...words, ...secrets, `${at}/r.git`], { environment });
  assert.equal(done.status, 0, done.stderr);
  const said =
    done.stderr +
    done.stdout +
    (await sandbox.succeed(['history', '--no-trunc', 'private'])) +
    (await sandbox.succeed(['inspect', 'private']));
  for (const secret of ['T0KEN', token.slice(6)]) {
    assert.ok(!said.includes(secret));
    assert.throws(() => execFileSync('grep', ['--recursive', '--quiet', secret, sandbox.store]), { status: 1 });
  }
  const refused = await sandbox.jettison([...words, `${at}/r.git`]);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /--secret id=GIT_AUTH_TOKEN/u);
});
