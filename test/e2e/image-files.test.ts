/** The files of images without a container: unpacked, copied out, listed by what changed. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';
import { mainFile } from '#test/kit/main-file.ts';

const dockerfile = [
  'FROM busybox AS first',
  'RUN echo one >/one && chown 12:13 /one && chmod 4755 /one && mkdir -p /d/e && ln /one /same && ln -s /one /d/link && chmod 750 /d && chown -h 7:8 /d/link',
  'RUN echo gone >/gone && echo a >/swapped && echo a >/folder && mkdir /other && touch /other/inner',
  'FROM first AS second',
  'RUN rm /gone && echo b >/swapped && rm -r /folder /other && mkdir /folder && touch /folder/inner && echo x >/other && touch /one',
].join('\n');

async function open(): Promise<Sandbox> {
  const sandbox = await openSandbox();
  await sandbox.base('busybox');
  sandbox.files({ Dockerfile: dockerfile });
  for (const stage of ['first', 'second']) await sandbox.succeed(['build', '-q', '--target', stage, '-t', stage, 'context']);
  return sandbox;
}

test('files of an image: unpacked as a root, one path copied out, changes and layers listed', async () => {
  await using sandbox = await open();
  const at = (name: string): string => join(sandbox.folder, name);

  mkdirSync(at('root'), { mode: 0o700 });
  await sandbox.succeed(['unpack', 'first', 'root']);
  const one = lstatSync(at('root/one'));
  assert.deepEqual([one.uid, one.gid, one.mode & 0o7777, one.nlink], [12, 13, 0o4755, 2]);
  assert.equal(lstatSync(at('root/d/link')).uid, 7);
  assert.equal(readlinkSync(at('root/d/link')), '/one');
  assert.deepEqual([statSync(at('root/d')).mode & 0o7777, statSync(at('root')).mode & 0o7777], [0o750, 0o755]);
  assert.match(execFileSync(at('root/bin/busybox'), ['echo', 'runs'], { encoding: 'utf8' }), /runs/u);
  const again = await sandbox.jettison(['unpack', 'first', 'root']);
  assert.match(again.stderr, /"[^"]*root" is not empty/u);
  await sandbox.succeed(['image', 'unpack', '--no-same-owner', 'first', 'mine']);
  assert.equal(lstatSync(at('mine/one')).uid, process.getuid?.());

  await sandbox.succeed(['cp', '--from', 'second', '/swapped', 'out']);
  assert.equal(readFileSync(at('out'), 'utf8'), 'b\n');
  await sandbox.succeed(['cp', '--from', 'first', '/other', '.']);
  assert.deepEqual(readdirSync(at('other')), ['inner']);
  assert.match(await sandbox.succeed(['cp', '--from', 'second', '/folder', '-']), /folder\/inner/u);
  assert.match(
    (await sandbox.jettison(['cp', '--from', 'second', '/gone', '.'])).stderr,
    /Could not find the file \/gone in image second/u,
  );
  assert.match((await sandbox.jettison(['cp', '--platform', 'linux/arm64', 'a:/b', '.'])).stderr, /it needs "--from"/u);
  assert.match((await sandbox.jettison(['cp', '--from', 'none', '/x', '.'])).stderr, /No such image: none:latest/u);

  const changed = 'C /folder\nA /folder/inner\nD /gone\nC /one\nC /other\nC /swapped\n';
  assert.equal(await sandbox.succeed(['image', 'diff', 'second']), changed);
  // Between images the old name of a file that was written to again is another file, too.
  assert.equal(await sandbox.succeed(['image', 'diff', 'first', 'second']), changed.replace('C /one\n', ''));
  assert.deepEqual(JSON.parse(await sandbox.succeed(['image', 'diff', '--format', 'json', 'second', 'first'])), {
    changed: ['/folder', '/other', '/swapped'],
    added: ['/gone', '/other/inner'],
  });
  assert.equal(await sandbox.succeed(['image', 'diff', '--format', 'json', 'first', 'first']), '{}\n');

  await sandbox.succeed(['build', '-q', '-t', 'empty', '-f', '-', 'context'], { input: 'FROM scratch\nWORKDIR /proc\n' });
  assert.equal(await sandbox.succeed(['image', 'diff', 'empty']), 'A /proc\n');

  const lines = (await sandbox.succeed(['image', 'tree', 'first'])).split('\n');
  assert.match(lines[0] ?? '', /^Image ID: [0-9a-f]{12}$/u);
  assert.equal(lines[1], 'Tags:     [first:latest]');
  assert.match(lines.at(-4) ?? '', /^├── ID: [0-9a-f]{12} Size: .*Top Layer of: \[busybox:latest\]$/u);
  assert.match(lines.at(-2) ?? '', /^└── ID: [0-9a-f]{12} Size: {5} *\d+B Top Layer of: \[first:latest\]$/u);
  await sandbox.succeed(['build', '-q', '-t', 'third', '-f', '-', 'context'], { input: 'FROM first\nCOPY Dockerfile /\n' });
  const above = (await sandbox.succeed(['image', 'tree', '--whatrequires', 'first'])).split('\n').slice(4);
  assert.deepEqual(
    above.map((line) => line.replace(/ID: .*: \[/u, '[')),
    ['├── [first:latest]', '├── [second:latest]', '└── [third:latest]', ''],
  );
  assert.equal(existsSync(at('root/gone')), true);
});

test(
  'a mounted image: read-only, counted, held by nothing but the kernel; it stays in the store until it is unmounted',
  { skip: process.getuid?.() !== 0 },
  async () => {
    await using sandbox = await open();
    // In a mount namespace of the script's own: nothing of it is seen on this machine, and what it leaves mounted goes with it, as with a boot.
    const run = (script: string) =>
      spawnSync('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', `j() { "$NODE" "$MAIN" "$@"; }; ${script}`], {
        env: { ...process.env, ...sandbox.environment, NODE: process.execPath, MAIN: mainFile },
        encoding: 'utf8',
      });
    const shown = run(
      'P=$(j image mount second) && cat $P/swapped && ! touch $P/new && j image mount second && grep -c " $P overlay ro,nosuid,nodev" /proc/mounts; j image mount',
    );
    const [content, path = '', count, listed] = shown.stdout.split('\n');
    assert.deepEqual([content, count, listed], ['b', '1', `second:latest\t${path}`], shown.stderr);
    assert.match(path, /\/mounts\/[0-9a-f]{64}$/u);
    assert.match(shown.stderr, /Read-only file system/u);
    const cut = run(
      `mkdir ${sandbox.folder}/t; mount -t tmpfs -o size=256k t ${sandbox.folder}/t; j unpack second ${sandbox.folder}/t; echo $?; ls -A ${sandbox.folder}/t`,
    );
    assert.deepEqual([cut.stdout, /no space left/iu.test(cut.stderr)], ['1\n', true], `half an image was left: ${cut.stdout}${cut.stderr}`);

    const held = run(
      'P=$(j image mount second); j image mount second; j rmi -f second; j tag second other; j rmi other; j image prune -af; cat $P/swapped; ' +
        'j image unmount second && cat $P/swapped && j image unmount second && ls $P; j image unmount second; j image mount second && j image mount second && j image umount -a; j image mount; j rmi second',
    );
    assert.match(held.stderr, /unable to delete \w{12} \(cannot be forced\) - image is mounted at \//u);
    assert.match(held.stderr, /Image second is not mounted/u);
    assert.match(held.stdout, /Untagged: other:latest\n/u);
    assert.match(held.stdout, /untagged: first:latest\n/u);
    assert.equal(held.stdout.match(/^b$/gmu)?.length, 2, held.stdout);
    assert.match(held.stdout, /\nUntagged: second:latest\nDeleted: sha256:\w+\n$/u);
    assert.deepEqual(readdirSync(join(sandbox.store, 'mounts')), ['lock']);

    const folder = sandbox.files({ file: 'x' });
    await sandbox.succeed(['build', '-q', '-t', 'left', '-f', '-', folder], { input: 'FROM scratch\nCOPY file /\n' });
    const left = run('P=$(j image mount left) && cat $P/file; j image mount --format json');
    assert.deepEqual((JSON.parse(left.stdout.slice(1)) as readonly { Repositories: object }[])[0]?.Repositories, ['left:latest']);
    // The namespace is gone, and the mount with it.
    assert.equal(await sandbox.succeed(['image', 'mount']), '');
    const copies = await sandbox.jettison(['image', 'mount', 'left'], { environment: { JETTISON_ISOLATION: 'chroot' } });
    assert.match(copies.stderr, /no overlays.*\n.*jettison unpack left FOLDER/u);
    await sandbox.succeed(['rmi', 'left']);
  },
);
