/** `diff`, `export`, `commit` and `import` as people type them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

let box: Sandbox;
const work = `echo new >/app/new; rm /app/old; mkdir -p /added/inner; touch /added/inner/file; chmod 700 /app/mode; touch /etc/own; rm -r /app/gone; mkdir /app/gone`;

before(async () => {
  box = await openSandbox();
  await box.base('busybox');
  const folder = box.files({
    Dockerfile:
      'FROM busybox\nRUN mkdir -p /app/gone/inner /app/mode && echo old >/app/old && echo same >/app/same\nENV KEPT=1\nCMD ["cat", "/app/new"]\n',
  });
  await box.succeed(['build', '-t', 'it', folder]);
  await box.succeed(['run', '--name', 'ended', '-e', 'MORE=2', 'it', 'sh', '-c', work]);
  await box.succeed(['create', '--name', 'fresh', 'it']);
});
after(async () => await box[Symbol.asyncDispose]());

const tarOf = (path: string, ...words: readonly string[]): readonly string[] => {
  const done = spawnSync('tar', [...words, '-tf', path], { encoding: 'utf8' });
  assert.equal(done.status, 0, done.stderr);
  return done.stdout.trim().split('\n');
};

test('diff says what was added, changed and deleted, and nothing of mounts', async () => {
  assert.equal(
    await box.succeed(['diff', 'ended']),
    'A /added\nA /added/inner\nA /added/inner/file\nC /app\nC /app/gone\nD /app/gone/inner\nC /app/mode\nA /app/new\nD /app/old\nC /etc\nA /etc/own\n',
  );
  assert.equal(await box.succeed(['diff', 'fresh']), '');
  const nobody = await box.jettison(['diff', 'nobody']);
  assert.deepEqual([nobody.status, nobody.stderr.split('\n')[0]], [1, 'ERROR: No such container: nobody']);
});

test('export writes the whole tree, to a file that is there only when it is whole, or to stdout', async () => {
  const file = join(box.folder, 'out.tar');
  await box.succeed(['export', '-o', file, 'ended']);
  const names = tarOf(file);
  for (const name of ['app/new', 'app/same', 'added/inner/file', 'bin/busybox', 'app/gone/']) assert.ok(names.includes(name), name);
  for (const name of ['app/old', 'app/gone/inner/', './', '/']) assert.ok(!names.includes(name), name);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const nowhere = await box.jettison(['export', '-o', join(box.folder, 'no/where/out.tar'), 'ended']);
  assert.equal(nowhere.status, 1);
  assert.match(nowhere.stderr, /Cannot write/u);
  const streamed = await box.jettison(['export', 'fresh']);
  assert.equal(streamed.status, 0);
  assert.ok(streamed.stdout.length > 500_000);
  const early = readdirSync(box.folder).length;
  assert.equal((await box.jettison(['export', '-o', join(box.folder, 'none.tar'), 'nobody'])).status, 1);
  assert.equal(existsSync(join(box.folder, 'none.tar')), false);
  assert.equal(readdirSync(box.folder).length, early);
});

test('commit makes an image of the container and its layer, which others can read, and the container goes on by itself', async () => {
  const changes = ['-c', 'CMD ["cat","/app/new"]', '-c', 'ENV A=b', '-c', 'EXPOSE 80', '-c', 'ONBUILD RUN true', '-c', 'LABEL x=y'];
  const id = (await box.succeed(['commit', '-a', 'me', '-m', 'said', ...changes, 'ended', 'made:1'])).trim();
  assert.match(id, /^sha256:[0-9a-f]{64}$/u);
  assert.equal(await box.succeed(['run', '--rm', 'made:1']), 'new\n');
  const [image] = JSON.parse(await box.succeed(['inspect', 'made:1'])) as [
    Record<string, unknown> & { Config: Record<string, unknown>; RootFS: { Layers: string[] } },
  ];
  assert.deepEqual([image['Id'], image['Author']], [id, 'me']);
  assert.deepEqual(image.Config['OnBuild'], ['RUN true']);
  const environment = image.Config['Env'] as string[];
  for (const one of ['KEPT=1', 'MORE=2', 'A=b']) assert.ok(environment.includes(one), one);
  assert.deepEqual([image.Config['Labels'], image.Config['ExposedPorts']], [{ x: 'y' }, { '80/tcp': {} }]);
  assert.match(await box.succeed(['history', '--format', '{{.Comment}} {{.CreatedBy}}', '--no-trunc', 'made:1']), /^said sh -c echo new/u);
  const archive = join(box.folder, 'made.tar');
  await box.succeed(['save', '-o', archive, 'made:1']);
  const copied = spawnSync('skopeo', ['copy', '-q', `docker-archive:${archive}`, `oci:${join(box.folder, 'layout')}:x`], {
    encoding: 'utf8',
  });
  assert.equal(copied.status, 0, copied.stderr);
  const unpacked = spawnSync('umoci', ['unpack', '--image', `${join(box.folder, 'layout')}:x`, join(box.folder, 'bundle')], {
    encoding: 'utf8',
  });
  assert.equal(unpacked.status, 0, unpacked.stderr);
  assert.equal(readFileSync(join(box.folder, 'bundle/rootfs/app/new'), 'utf8'), 'new\n');
  assert.equal(existsSync(join(box.folder, 'bundle/rootfs/app/old')), false);
  // The image's files are its own: what the container writes later is not in it.
  writeFileSync(join(box.folder, 'later'), 'later\n');
  await box.succeed(['cp', join(box.folder, 'later'), 'ended:/app/new']);
  assert.equal(await box.succeed(['run', '--rm', 'made:1']), 'new\n');
  const empty = (await box.succeed(['commit', 'fresh'])).trim();
  assert.equal(
    (JSON.parse(await box.succeed(['inspect', empty])) as [{ RootFS: { Layers: string[] } }])[0].RootFS.Layers.length,
    image.RootFS.Layers.length - 1,
  );
  const bad = await box.jettison(['commit', '-c', 'RUN true', 'fresh']);
  assert.deepEqual([bad.status, bad.stderr.split('\n')[0]], [1, 'ERROR: RUN is not a valid change command']);
});

test('import takes what export gave, packed in any way, from a file, an address and stdin', async () => {
  const file = join(box.folder, 'rootfs.tar');
  await box.succeed(['export', '-o', file, 'fresh']);
  const layers = new Set<string>();
  for (const [index, words] of [['cat'], ['gzip', '-c'], ['xz', '-c', '-0'], ['bzip2', '-c'], ['zstd', '-q', '-c']].entries()) {
    const [program = '', ...rest] = words;
    const packed = spawnSync(program, rest, { input: readFileSync(file), maxBuffer: 1 << 28 }).stdout;
    await box.succeed(['import', '-m', 'mine', '-c', 'CMD ["cat","/app/same"]', '-', `imported:${index}`], { input: packed });
    assert.equal(await box.succeed(['run', '--rm', `imported:${index}`]), 'same\n', program);
    const [image] = JSON.parse(await box.succeed(['inspect', `imported:${index}`])) as [{ RootFS: { Layers: string[] } }];
    for (const layer of image.RootFS.Layers) layers.add(layer);
  }
  assert.equal(layers.size, 1, 'one layer, whatever it was packed in');
  await box.succeed(['import', '--platform', 'linux/arm64', 'rootfs.tar', 'named'], { cwd: box.folder });
  assert.equal((await box.succeed(['inspect', '--format', '{{.Architecture}}', 'named'])).trim(), 'arm64');
  assert.match(await box.succeed(['history', '--format', '{{.Comment}}', 'named']), /Imported from rootfs\.tar/u);
  const server = createServer((_request, response) => void response.end(readFileSync(file)));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  await box.succeed(['import', `http://127.0.0.1:${address.port}/rootfs.tar`, 'fetched']);
  server.close();
  assert.match(await box.succeed(['run', '--rm', 'fetched', 'cat', '/app/same']), /^same$/mu);
  const junk = await box.jettison(['import', '-'], { input: 'junk' });
  assert.deepEqual([junk.status, junk.stderr.split('\n')[0]], [1, 'ERROR: It is no tar archive, packed or not']);
  assert.equal(
    (await box.jettison(['import', 'none.tar'], { cwd: box.folder })).stderr.split('\n')[0],
    'ERROR: open none.tar: no such file or directory',
  );
});

test('a container that runs: its files as they are, its mounts among them for cp alone, and it stands still for a commit', async () => {
  await box.succeed(['run', '-d', '--name', 'live', 'it', 'sh', '-c', 'echo made >/app/made; ln -s /app/same /app/link; sleep 600']);
  for (let tries = 0; (await box.succeed(['diff', 'live'])).split('\n').length < 4 && tries < 1000; tries++);
  assert.equal(await box.succeed(['diff', 'live']), 'C /app\nA /app/link\nA /app/made\n');
  await box.succeed(['cp', 'live:/app/made', join(box.folder, 'made')]);
  assert.equal(readFileSync(join(box.folder, 'made'), 'utf8'), 'made\n');
  await box.succeed(['cp', join(box.folder, 'made'), 'live:/app/link']);
  await box.succeed(['cp', 'live:/app/same', join(box.folder, 'same')]);
  assert.equal(readFileSync(join(box.folder, 'same'), 'utf8'), 'made\n', 'the link was followed in there');
  await box.succeed(['cp', 'live:/etc/hosts', join(box.folder, 'hosts')]);
  assert.match(readFileSync(join(box.folder, 'hosts'), 'utf8'), /localhost/u);
  await box.succeed(['cp', 'live:/proc', join(box.folder, 'proc')]);
  assert.deepEqual(readdirSync(join(box.folder, 'proc')), []);
  // What the kernel makes up has no size that could be copied, and folders of it take nothing.
  const cpu = await box.jettison(['cp', 'live:/proc/cpuinfo', join(box.folder, 'cpuinfo')]);
  assert.match(cpu.stderr, /^ERROR: Cannot copy "\/proc\/cpuinfo": the kernel makes it up/u);
  assert.equal(existsSync(join(box.folder, 'cpuinfo')), false);
  const brought = await box.jettison(['cp', '/proc/cpuinfo', 'live:/']);
  assert.match(brought.stderr, /^ERROR: Cannot copy "\/proc\/cpuinfo": the kernel makes it up/u);
  const intoProc = await box.jettison(['cp', '/etc/passwd', 'live:/proc/']);
  assert.match(intoProc.stderr, /^ERROR: Cannot write "\/proc\/passwd": its folder takes no new files\n/u);
  assert.deepEqual([cpu.status, brought.status, intoProc.status], [1, 1, 1]);
  const file = join(box.folder, 'live.tar');
  await box.succeed(['export', '-o', file, 'live']);
  assert.ok(tarOf(file).includes('app/made'));
  await box.succeed(['commit', 'live', 'of-live']);
  assert.equal(await box.succeed(['run', '--rm', 'of-live', 'cat', '/app/made']), 'made\n');
  assert.match(await box.succeed(['ps']), /Up [^(]*$/mu);
  // What it wrote is there after its end and at its next start.
  await box.succeed(['kill', 'live']);
  await box.succeed(['wait', 'live']);
  assert.equal(await box.succeed(['diff', 'live']), 'C /app\nA /app/link\nA /app/made\nC /app/same\n');
  await box.succeed(['rm', 'live']);
});
