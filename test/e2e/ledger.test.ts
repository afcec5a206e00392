/** `jettison ledger`, what a build says of the payload, and budgets: the tutorials' thick and thin images, and a file that was planted. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { LedgerDocument } from '#faces/documents/ledger.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';
import { readDocument } from '#test/kit/schemas.ts';

let sandbox: Sandbox;

const build = [
  'FROM debian-gcc AS build',
  'WORKDIR /src',
  'COPY kittycat.c ./',
  'RUN gcc -static -O2 -o kc kittycat.c && head -c 30000000 /dev/zero > objects',
  'RUN head -c 500000 /dev/urandom > data',
].join('\n');
const final = ['FROM busybox', 'COPY --from=build /src/kc /usr/bin/kc', 'COPY --from=build /src/data /usr/share/', 'CMD ["kc"]'].join('\n');

before(async () => {
  sandbox = await openSandbox();
  for (const name of ['busybox', 'debian-gcc'] as const) await sandbox.base(name);
  sandbox.files({
    'kittycat.c': '#include <stdio.h>\nint main(void) { puts("meow"); return 0; }\n',
    thick: `${build}\nCMD ["/src/kc"]\n`,
    Dockerfile: `${build}\n\n${final}\n`,
  });
});
after(async () => await sandbox[Symbol.asyncDispose]());

async function ledger(name: string): Promise<LedgerDocument> {
  const printed = await sandbox.succeed(['ledger', '--json', name]);
  readDocument('ledger', printed);
  const document: LedgerDocument = JSON.parse(printed);
  for (const { name: stage, built, carried, jettisoned } of document.stages) assert.equal(built, carried + (jettisoned ?? NaN), stage);
  const parts = [...document.stages, ...document.images].reduce((sum, { carried }) => sum + carried, 0);
  assert.equal((document.base?.size ?? 0) + parts + document.repeated, document.size);
  return document;
}

function context(): string {
  return join(sandbox.folder, 'context');
}

/** Bytes of regular files, names of one inode once. */
function bytesBelow(folder: string): number {
  const inodes = new Map<number, number>();
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const stats = lstatSync(join(folder, entry));
    if (stats.isFile()) inodes.set(stats.ino, stats.size);
  }
  return [...inodes.values()].reduce((sum, size) => sum + size, 0);
}

test('thick and thin: what is carried is what the files in the image weigh, for du as well', async () => {
  const built = await sandbox.jettison(['build', '--progress', 'plain', '-t', 'kittycat:thick', '-f', join(context(), 'thick'), context()]);
  assert.match(built.stderr, /^payload: \d+MB = \d+MB debian-gcc:latest \+ [\d.]+MB of its own steps$/mu);
  assert.doesNotMatch(built.stderr, /jettisoned|before/u);
  const thin = await sandbox.jettison(['build', '--progress', 'plain', '-t', 'kittycat:thin', context()]);
  // What the bases weigh is a matter of the packages of the day.
  const sizeOf = async (name: string): Promise<string> => (await sandbox.succeed(['images', '--format', '{{.Size}}', name])).trim();
  const [small, large] = [await sizeOf('busybox'), await sizeOf('debian-gcc')].map((size) => RegExp.escape(size));
  assert.match(
    thin.stderr,
    new RegExp(
      String.raw`^payload: [\d.]+MB = ${small} busybox:latest \+ [\d.]+MB of stage build \(COPY --from=build /src/kc /usr/bin/kc, Dockerfile:8, and 1 more\)\npayload: \d+MB jettisoned \(debian-gcc:latest ${large}, build 30MB\)$`,
      'mu',
    ),
  );
  const [thick, carried] = [await ledger('kittycat:thick'), await ledger('kittycat:thin')];
  assert.ok(thick.size > 50 * carried.size, `${thick.size} ${carried.size}`);
  assert.deepEqual(
    carried.copies.map(({ line, from }) => [line, from.map(({ name }) => name)]),
    [
      [8, ['build']],
      [9, ['build']],
    ],
  );
  assert.deepEqual(
    carried.images.map((image) => [image.name, image.carried]),
    [['debian-gcc:latest', 0]],
  );

  await sandbox.succeed(['save', '-o', 'thin.tar', 'kittycat:thin']);
  execFileSync('skopeo', ['copy', 'docker-archive:thin.tar', 'oci:thin:latest'], { cwd: sandbox.folder, stdio: 'ignore' });
  execFileSync('umoci', ['unpack', '--image', 'thin:latest', 'bundle'], { cwd: sandbox.folder, stdio: 'ignore' });
  assert.equal(carried.size, bytesBelow(join(sandbox.folder, 'bundle/rootfs')));
  const program = carried.files.find(({ path }) => path === '/usr/bin/kc');
  assert.equal(program?.size, lstatSync(join(sandbox.folder, 'bundle/rootfs/usr/bin/kc')).size);
  assert.deepEqual([program?.origin.path, program?.origin.line, program?.layer.line], ['/src/kc', 4, 8]);
  const [stage] = carried.stages;
  assert.equal(stage?.carried, program === undefined ? 0 : program.size + 500_000);
  assert.equal(stage?.jettisoned, 30_000_000 + lstatSync(join(context(), 'kittycat.c')).size);

  const again = await sandbox.jettison(['build', '--progress', 'plain', '-t', 'kittycat:thin', context()]);
  assert.doesNotMatch(again.stderr, /payload/u);

  // Nothing ran, and nobody has weighed these stages together: a sum of what is known would be too small.
  const other = await sandbox.jettison(['build', '--progress', 'plain', '--label', 'a=b', '-t', 'kittycat:other', context()]);
  assert.match(other.stderr, /^payload: [\d.]+MB = /mu);
  assert.doesNotMatch(other.stderr, /jettisoned/u);
});

test('a planted file breaks the budget: the name stays where it was, file and line are told; the image can be looked at', async () => {
  await sandbox.succeed(['build', '-q', '-t', 'budget', context()]);
  const old = await sandbox.succeed(['images', '-q', '--no-trunc', 'budget']);
  const planted = build.replace('> data', '> data && head -c 1500000 /dev/urandom > /src/planted');
  const text = `# jettison:budget final<=500MB growth<=5%\n${planted}\n${final.replace('/src/data', '/src/data /src/planted')}\n`;
  const file = join(sandbox.files({ planted: text }), 'planted');
  const destination = join(sandbox.folder, 'out.tar');
  const words = ['-t', 'budget', '-f', file, context()];
  const broken = await sandbox.jettison(['build', '--progress', 'plain', '-o', `type=docker,dest=${destination}`, ...words]);
  assert.equal(broken.status, 4, broken.stderr);
  assert.match(
    broken.stderr,
    /^ERROR: The image is over its budget: 1\.5MB \(\+\d+%\) more than budget:latest \(growth<=5%\): RUN .*\(line 6, stage build\) made 1\.5MB more, of it \/usr\/share\/planted \(1\.5MB\)$/mu,
  );
  assert.match(broken.stderr, /^ 6 \| >>> RUN /mu);
  assert.equal(existsSync(destination), false);
  assert.equal(await sandbox.succeed(['images', '-q', '--no-trunc', 'budget']), old);
  const [, id = ''] = /"jettison ledger (\w+)"/u.exec(broken.stderr) ?? [];
  const kept = await ledger(id);
  assert.deepEqual(kept.names, []);
  assert.equal(kept.files.find(({ size }) => size === 1_500_000)?.origin.line, 6);
  assert.deepEqual(
    kept.before?.lines?.map(({ line, before: was, size }) => [line, size - was]),
    [[6, 1_500_000]],
  );

  // Nothing runs, and it is too large all the same; unless it may be.
  assert.equal((await sandbox.jettison(['build', ...words])).status, 4);
  const byFile = await sandbox.jettison(['build', '-q', '--budget', 'file<=1MB', ...words]);
  assert.match(byFile.stderr, /a file of 1\.5MB \(file<=1MB\): RUN /u);
  sandbox.files({ planted: text.replace('growth<=5%', 'growth<=2MB') });
  const moved = await sandbox.jettison(['build', '--progress', 'plain', ...words]);
  assert.equal(moved.status, 0, moved.stderr);
  assert.doesNotMatch(moved.stderr, /UnknownMark/u, 'the comment means something');
  assert.match(moved.stderr, /^payload: 1\.5MB \(\+\d+%\) more than budget:latest before: RUN .*, planted:6$/mu);
  assert.match(await sandbox.succeed(['ledger']), /^\+1\.5MB +[\d.]+kB +RUN /mu);

  // What another release wrote down of an image in its own form is as good as nothing: the build that takes its name goes on.
  const database = new DatabaseSync(join(sandbox.store, 'engine.db'), { timeout: 10_000 });
  database.exec(`UPDATE image_origins SET record = CAST('{"version":99}' AS BLOB); UPDATE image_ledgers SET ledger = '{"version":99}'`);
  database.close();
  sandbox.files({ planted: text.replace('growth<=5%', 'layers<=99').concat('RUN echo more > /more\n') });
  const anew = await sandbox.jettison(['build', '--progress', 'plain', ...words]);
  assert.equal(anew.status, 0, anew.stderr);
  assert.match(await sandbox.succeed(['ledger', 'budget']), /RUN echo more/u);
});
