/** `cp` as people type it, on containers that were never started and that have ended. The numbers are those of the list of tutorials. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

let box: Sandbox;
let folder: string;
const snapshots = (): readonly string[] => readdirSync(join(box.store, 'snapshots/s'));

before(async () => {
  box = await openSandbox();
  await box.base('busybox');
  folder = box.files({
    'Dockerfile.build': `FROM busybox
RUN mkdir -p /app/build/static && echo page >/app/build/index.html && echo script >/app/build/static/s.js && ln -s build /app/link && ln -s /app/build/index.html /app/file-link
`,
    'Dockerfile.main': 'FROM busybox\nCOPY /app/build /srv\n',
  });
  await box.succeed(['build', '-t', 'it:build', '-f', 'Dockerfile.build', '.'], { cwd: folder });
  await box.succeed(['create', '--name', 'extract', 'it:build'], { cwd: folder });
});
after(async () => await box[Symbol.asyncDispose]());

const cp = async (...words: readonly string[]) => await box.jettison(['cp', ...words], { cwd: folder });
const list = async (path: string): Promise<readonly string[]> => {
  const tar = join(folder, 'listed.tar');
  writeFileSync(tar, new Uint8Array(0));
  const done = await box.jettison(['cp', `extract:${path}`, '-'], { cwd: folder });
  assert.equal(done.status, 0, done.stderr);
  return spawnSync('tar', ['-t'], { input: Buffer.from(done.stdout, 'latin1'), encoding: 'utf8' })
    .stdout.trim()
    .split('\n');
};

test("46, 47, 71: a folder of a container that was never started comes out by docker's rule, and no layer is made for it", async () => {
  const early = snapshots();
  const first = await cp('extract:/app/build', './app');
  assert.deepEqual([first.status, first.stdout, first.stderr], [0, '', '']);
  assert.deepEqual(readdirSync(join(folder, 'app')).toSorted(), ['index.html', 'static']);
  const failed = await box.jettison(['build', '--no-cache', '-t', 'it', '-f', 'Dockerfile.main', '.'], { cwd: folder });
  assert.notEqual(failed.status, 0);
  assert.match(failed.stderr, /\/app\/build/u);
  await cp('extract:/app/build', './app');
  assert.deepEqual(readdirSync(join(folder, 'app')).toSorted(), ['build', 'index.html', 'static']);
  await box.succeed(['build', '--no-cache', '-t', 'it', '-f', 'Dockerfile.main', '.'], { cwd: folder });
  assert.deepEqual(
    snapshots().filter((id) => early.includes(id)),
    early,
  );
  assert.equal((await cp('extract:/app/build/index.html', './one')).status, 0);
  assert.equal(readFileSync(join(folder, 'one'), 'utf8'), 'page\n');
});

test("what is refused is refused in docker's words", async () => {
  for (const [from, to, words] of [
    ['extract:/nope', '.', 'Could not find the file /nope in container extract'],
    ['extract:/app/build', './one', 'cannot copy directory'],
    ['extract:/app/build/index.html', './none/', 'no such directory'],
    ['extract:/app/build/index.html', './none/x', `invalid output path: directory "${folder}/none" does not exist`],
    ['extract:/app/build/index.html', './one/', 'not a directory'],
    ['nobody:/x', '.', 'No such container: nobody'],
    ['none', 'extract:/', `lstat ${folder}/none: no such file or directory`],
    ['extract:/a', 'extract:/b', 'copying between containers is not supported'],
    ['one', 'two', 'must specify at least one container source'],
    ['one', 'extract:/no/where', 'Could not find the file /no in container extract'],
    ['app', 'extract:/app/build/index.html', 'cannot copy directory'],
  ] as const) {
    const done = await cp(from, to);
    assert.equal(done.status, 1, `${from} ${to}`);
    assert.ok(done.stderr.startsWith(`ERROR: ${words}\n`), done.stderr);
  }
});

test('files come in: over links, into folders, as a tar, with and without their owners; the container goes on from there', async () => {
  writeFileSync(join(folder, 'new'), 'new\n');
  spawnSync('chown', ['1234:1234', join(folder, 'new')]);
  const said = await cp('-q=false', 'new', 'extract:/app/');
  assert.equal(said.stderr, 'Successfully copied 4B (transferred 2.05kB) to extract:/app/\n');
  for (const to of ['extract:/app/link', 'extract:/app/other', 'extract:/app/file-link']) assert.equal((await cp('new', to)).status, 0, to);
  assert.equal((await cp('-a', 'new', 'extract:/owned')).status, 0);
  assert.deepEqual(await list('/app'), [
    'app/',
    'app/build/',
    'app/build/index.html',
    'app/build/new',
    'app/build/static/',
    'app/build/static/s.js',
    'app/file-link',
    'app/link',
    'app/new',
    'app/other',
  ]);
  const tar = spawnSync('tar', ['-C', join(folder, 'app'), '-c', 'static'], { encoding: 'latin1' }).stdout;
  const streamed = await box.jettison(['cp', '-', 'extract:/root'], { cwd: folder, input: Buffer.from(tar, 'latin1') });
  assert.equal(streamed.status, 0, streamed.stderr);
  assert.deepEqual(await list('/root/.'), ['./', './static/', './static/s.js']);
  mkdirSync(join(folder, 'wrong/other'), { recursive: true });
  const wrong = await cp('wrong/.', 'extract:/app');
  assert.match(wrong.stderr, /cannot overwrite non-directory "\/app\/other" with directory "other"/u);
  assert.equal((await cp('-a', 'extract:/owned', 'back')).status, 0);
  assert.equal(statSync(join(folder, 'back')).uid, 0, "here it is the user's");
  assert.equal((await cp('extract:/app/link', 'copied-link')).status, 0);
  assert.equal((await cp('-L', 'extract:/app/link', 'copied')).status, 0);
  assert.ok(existsSync(join(folder, 'copied/new')));
  const rm = await box.succeed(['rm', '-f', 'extract']);
  assert.equal(rm, 'extract\n');
});
