/** `jettison blame`: each file's line, and what it came from; said of deletions, sums and every way that a file can be copied. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { listTypes } from '#formats/origins/list.ts';
import { DatabaseSync } from 'node:sqlite';
import { startOwnRegistry } from '#test/kit/own-registry.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';
import { readDocument } from '#test/kit/schemas.ts';

type Instruction = { readonly text: string; readonly stage: string | null; readonly line: number | null; readonly image?: string };
type Origin = {
  readonly kind: string;
  readonly layer: number;
  readonly stage: string | null;
  readonly copies: readonly Instruction[];
  readonly instruction: Instruction | null;
  readonly source: { readonly kind: string; readonly name?: string } | null;
  readonly unpacked?: boolean;
};
type Trail = { readonly origin: number; readonly paths: readonly string[] };
type Blamed = {
  readonly size: number;
  readonly bytes: number;
  readonly known: boolean;
  readonly origins: readonly Origin[];
  readonly sums: readonly { readonly origin: number; readonly files: number; readonly bytes: number; readonly label: string }[];
  readonly files: readonly {
    readonly path: string;
    readonly kind: string;
    readonly bytes: number;
    readonly layer: number;
    readonly linkOf?: string;
    readonly content: Trail;
    readonly metadata: Trail;
  }[];
};

let sandbox: Sandbox;
/** Of the build of five stages. */
let folder: string;

before(async () => {
  sandbox = await openSandbox();
  await sandbox.base('busybox');
  folder = contextFolder();
  writeFileSync(join(folder, 'Dockerfile'), `${instructions.join('\n')}\n`);
  await sandbox.succeed(['build', '-q', '-t', 'five', folder]);
});
after(async () => await sandbox[Symbol.asyncDispose]());

async function blame(words: readonly string[]): Promise<Blamed> {
  return readDocument('blame', await sandbox.succeed(['blame', '--json', ...words]), ['files']) as Blamed;
}

/** Instructions that can each be left out; those that write say what they write. */
const instructions = [
  'FROM busybox AS sources',
  'COPY src/ /s/',
  'COPY extra*.txt /s/extra/',
  'RUN mkdir -p /s/gen && for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "gen $i" > /s/gen/$i; done',
  'ADD pack.tar /s/unpacked/',
  'FROM busybox AS tools',
  'RUN mkdir -p /t/bin && for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "tool $i" > /t/bin/$i; done',
  'COPY --from=sources /s/ /t/s/',
  'RUN chmod -R g+w /t || true',
  'FROM tools AS build',
  'RUN mkdir -p /b && for i in 1 2 3 4 5 6 7 8; do echo "built $i" > /b/$i; done && mkdir -p /t/bin && echo over > /t/bin/1',
  'FROM busybox AS docs',
  'COPY README.m? /d/readme',
  'COPY --link --from=sources /s/ge[n] /d/gen',
  'FROM busybox AS final',
  'COPY --from=build /t /app/t',
  'COPY --from=build /[b] /app/b',
  'COPY --link --from=docs /[d] /app/d/',
  'COPY --from=sources /s/unpacke[d] /app/u/',
  'RUN mkdir -p /app/z && for i in 1 2 3 4 5 6 7 8; do echo "last $i" > /app/z/$i; done; rm -f /app/t/bin/2; chmod 700 /app/t/bin/3; mv /app/t/bin/4 /app/t/bin/four; true',
] as const;

function contextFolder(): string {
  const files: Record<string, string> = { 'README.md': 'read me' };
  for (let at = 0; at < 30; at++) files[`src/${at % 3 === 0 ? 'deep/' : ''}${at}.txt`] = `source ${at}`;
  for (let at = 0; at < 6; at++) files[`extra${at}.txt`] = `extra ${at}`;
  for (let at = 0; at < 8; at++) files[`pack/member${at}`] = `member ${at}`;
  const made = sandbox.files(files, 'five');
  assert.equal(spawnSync('tar', ['-C', join(made, 'pack'), '-cf', join(made, 'pack.tar'), '.']).status, 0);
  rmSync(join(made, 'pack'), { recursive: true });
  return made;
}

/** What each file below /app holds, without the one at `left`. */
async function filesWithout(left: number | undefined): Promise<ReadonlyMap<string, string>> {
  const out = join(sandbox.folder, 'out');
  const text = instructions.map((line, at) => (at === left ? '#' : line)).join('\n');
  writeFileSync(join(folder, 'Dockerfile.some'), `${text}\n`);
  await sandbox.succeed(['build', '-q', '--check=off', '-f', join(folder, 'Dockerfile.some'), '-o', out, folder]);
  const files = new Map<string, string>();
  const walk = (path: string): void => {
    for (const entry of readdirSync(join(out, path), { withFileTypes: true })) {
      const inner = `${path}/${entry.name}`;
      if (entry.isDirectory()) walk(inner);
      else files.set(inner, readFileSync(join(out, inner), 'utf8'));
    }
  };
  walk('/app');
  rmSync(out, { recursive: true });
  return files;
}

/** The same ones each time. */
function chosen<T>(values: readonly T[], count: number): readonly T[] {
  let state = 20_260_101;
  const next = (): number => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31);
  return values
    .map((value) => ({ value, at: next() }))
    .toSorted((one, other) => one.at - other.at)
    .slice(0, count)
    .map(({ value }) => value);
}

test('100 files of a build of five stages: without the instruction that is named a file is gone or another one, without any other it is the same', async (t) => {
  const { files, origins } = await blame(['five:/app']);
  const all = files.filter(({ kind }) => kind === 'file');
  const some = chosen(all, 100);
  assert.equal(some.length, 100, `${all.length} files`);
  const whole = await filesWithout(undefined);
  assert.deepEqual(
    all.map(({ path }) => path),
    [...whole.keys()].toSorted((one, other) => (one < other ? -1 : 1)),
  );
  // What moves a file names it: the content is another instruction's.
  const moved = '/app/t/bin/four';
  const wrong: string[] = [];
  let [changed, same] = [0, 0];
  for (const [at, words] of instructions.entries()) {
    if (words.startsWith('FROM')) continue;
    const without = await filesWithout(at);
    for (const { path, content } of some) {
      const origin = origins[content.origin];
      const lines = [origin?.instruction, ...(origin?.copies ?? [])].map((one) => one?.line);
      const isSame = without.get(path) === whole.get(path);
      if (lines.includes(at + 1) === isSame && path !== moved)
        wrong.push(`${path} without line ${at + 1} is ${isSame ? 'the same' : 'another'}`);
      if (isSame) same++;
      else changed++;
    }
  }
  assert.deepEqual(wrong, []);
  t.diagnostic(`${changed} times gone or another, ${same} times the same`);
  assert.ok(changed >= 100 && same >= 1000);
});

test('each path of an image has one origin, and the bytes of all origins are those of its files, however they are summed up', async () => {
  const { files, origins, bytes, size } = await blame(['--files', '--all', 'five']);
  const out = join(sandbox.folder, 'tree');
  await sandbox.succeed(['build', '-q', '-o', out, join(sandbox.folder, 'five')]);
  const paths: string[] = ['/'];
  let sum = 0;
  const inodes = new Set<number>();
  const walk = (path: string): void => {
    for (const name of readdirSync(join(out, path))) {
      const stats = lstatSync(join(out, path, name));
      paths.push(`${path}/${name}`);
      if (stats.isDirectory()) walk(`${path}/${name}`);
      else if (stats.isFile() && !inodes.has(stats.ino)) sum += stats.size;
      inodes.add(stats.ino);
    }
  };
  walk('');
  assert.deepEqual(files.map(({ path }) => path).toSorted(), paths.toSorted(), 'each path once');
  assert.equal(bytes, sum);
  assert.ok(size >= bytes);
  assert.ok(files.every(({ content, metadata }) => origins[content.origin] !== undefined && origins[metadata.origin] !== undefined));
  for (const by of ['origin', 'line', 'stage', 'base']) {
    const { sums } = await blame(['--by', by, 'five']);
    assert.equal(
      sums.reduce((total, one) => total + one.bytes, 0),
      bytes,
      by,
    );
    assert.equal(
      sums.reduce((total, one) => total + one.files, 0),
      files.filter(({ kind }) => kind !== 'folder').length,
      by,
    );
  }
});

/** Of each path: the lines of its trail, and the path that its end names. */
const ways = `FROM busybox AS base
WORKDIR /w
COPY a.txt renamed
COPY one/ two/ ./both/
COPY a.txt one/ ./over/
COPY --parents deep/./er/file.txt /parents/
COPY --exclude=*.log logs/ /logs/
COPY link/ /linked/
ADD pack.tar /unpacked/
ADD pack.tgz b.txt /more/
COPY <<one <<two /texts/
first
one
second
two
RUN mkdir /old && echo 1 > /old/file && echo 2 > /old/other && ln /old/file /old/name && ln -s file /old/soft
RUN rm -r /old && mkdir /old && echo 3 > /old/file
RUN chmod 700 /w/renamed && chown -h 5 /linked/soft
FROM base AS next
RUN mkdir /into
COPY --chown=7 a.txt /into
FROM busybox
COPY --from=next / /all
COPY --from=next /bin/busybox /bb
COPY --from=busybox /bin/[s]h /sh/
RUN ln -s /all/w /short
COPY b.txt /short/b
COPY --link --chown=3:4 one /linked-one
`;

test('every way that a file comes is followed to its end', async () => {
  const other = sandbox.files(
    {
      'a.txt': 'a',
      'b.txt': 'b',
      'one/x': '1x',
      'one/y': '1y',
      'one/a.txt': 'not a',
      'two/x': '2x',
      'two/z': '2z',
      'deep/er/file.txt': 'deep',
      'logs/keep': 'k',
      'logs/no.log': 'no',
      'link/file': 'file',
      'pack/in/member': 'member',
      Dockerfile: ways,
    },
    'ways',
  );
  symlinkSync('file', join(other, 'link/soft'));
  for (const [name, how] of [
    ['pack.tar', '-cf'],
    ['pack.tgz', '-czf'],
  ] as const)
    assert.equal(spawnSync('tar', ['-C', join(other, 'pack'), how, join(other, name), '.']).status, 0);
  await sandbox.succeed(['build', '-q', '-t', 'ways', other]);
  const found = await blame(['--files', '--all', 'ways']);
  const way = (path: string, aspect: 'content' | 'metadata' = 'content'): string => {
    const file = found.files.find((one) => one.path === path);
    const origin = found.origins[file?.[aspect].origin ?? -1];
    if (file === undefined || origin === undefined) return 'nothing';
    const lines = [...origin.copies.map(({ line }) => line), ...(origin.instruction === null ? [] : [origin.instruction.line])];
    const distinct = lines.filter((line, at) => line !== lines[at - 1]);
    const { paths } = file[aspect];
    return [distinct.join(' '), origin.kind, ...(origin.unpacked === true ? [paths.at(-2), paths.at(-1)] : [paths.at(-1) ?? ''])]
      .join(' ')
      .trim();
  };
  const content = {
    '/all/w': '23 2 copy /w',
    '/all/w/renamed': '23 3 context /a.txt',
    '/all/w/both/x': '23 4 context /two/x',
    '/all/w/both/y': '23 4 context /one/y',
    '/all/w/both/z': '23 4 context /two/z',
    '/all/w/over/a.txt': '23 5 context /one/a.txt',
    '/all/w/over/x': '23 5 context /one/x',
    '/all/parents/er/file.txt': '23 6 context /deep/er/file.txt',
    '/all/logs/keep': '23 7 context /logs/keep',
    '/all/linked/soft': '23 8 context /link/soft',
    '/all/unpacked/in/member': '23 9 context /pack.tar /in/member',
    '/all/more/in/member': '23 10 context /pack.tgz /in/member',
    '/all/more/b.txt': '23 10 context /b.txt',
    '/all/texts/one': '23 11 heredoc /texts/one',
    '/all/texts/two': '23 11 heredoc /texts/two',
    '/all/old/file': '23 17 run /old/file',
    '/all/old/other': 'nothing',
    '/all/into/a.txt': '23 21 context /a.txt',
    '/all/bin/busybox': '23 image /bin/busybox',
    '/bb': '24 image /bin/busybox',
    '/sh/sh': '25 image /bin/busybox',
    '/bin/busybox': 'image',
    '/short': '26 run',
    '/all/w/b': '27 context /b.txt',
    '/linked-one/x': '28 context /one/x',
    '/linked-one': '28 copy',
  };
  assert.deepEqual(Object.fromEntries(Object.keys(content).map((path) => [path, way(path)])), content);
  const metadata = {
    '/all/w/renamed': '23 18 run /w/renamed',
    '/all/linked/soft': '23 18 run /linked/soft',
    '/all/into/a.txt': '23 21 copy /into/a.txt',
    '/linked-one/x': '28 copy',
    '/all/w/both/x': '23 4 context /two/x',
  };
  assert.deepEqual(Object.fromEntries(Object.keys(metadata).map((path) => [path, way(path, 'metadata')])), metadata);
});

test('the list of origins is kept while the files of stages are there, and goes with the image to a registry and to another store', async () => {
  const registry = await startOwnRegistry(sandbox);
  await using _ = registry;
  await sandbox.succeed(['tag', 'five', `${registry.host}/five:1`]);
  await sandbox.succeed(['push', '-q', '--origins', 'min', `${registry.host}/five:1`]);
  const own = await blame(['five:/app']);
  await using other = await openSandbox();
  await other.succeed(['pull', '-q', `${registry.host}/five:1`]);
  const ask = async (words: readonly string[]): Promise<Blamed> =>
    JSON.parse(await other.succeed(['blame', '--json', ...words, `${registry.host}/five:1:/app`]));
  const first = await ask([]);
  assert.equal(first.known, false);
  assert.ok(first.files.every(({ content }) => first.origins[content.origin]?.kind === 'unknown'));
  const told = async (words: readonly string[]): Promise<unknown> => {
    const found = await ask(words);
    return found.files.map(({ path, content }) => [
      path,
      found.origins[content.origin]?.kind,
      found.origins[content.origin]?.instruction?.line,
    ]);
  };
  const wanted = own.files.map(({ path, content }) => [
    path,
    own.origins[content.origin]?.kind,
    own.origins[content.origin]?.instruction?.line,
  ]);
  assert.deepEqual(await told(['--remote']), wanted);
  await registry.stop('SIGTERM');
  assert.deepEqual(await told([]), wanted, 'it is kept');
  assert.match(await other.succeed(['ledger', `${registry.host}/five:1`]), /not known here/u, 'a list is no record');
  // Pruned here, too: what is left is the list.
  await sandbox.succeed(['builder', 'prune', '-af']);
  const left = await blame(['five:/app']);
  assert.deepEqual(
    left.files.map(({ path, content }) => [path, left.origins[content.origin]?.kind, left.origins[content.origin]?.instruction?.line]),
    wanted,
  );
});

const miss = async (path: string): Promise<string> => (await sandbox.jettison(['blame', `five:${path}`])).stderr;

test('a path that is not there is answered with what is near it', async () => {
  assert.match(await miss('/bin/busybix'), /There is no "\/bin\/busybix" in the image[^]*Did you mean "\/bin\/busybox"\?/u);
  assert.match(await miss('/ap/x/y'), /Did you mean "\/app"\?/u);
});

test('a list of origins that cannot be read does not end the search for another one', async () => {
  await using registry = await startOwnRegistry(sandbox);
  const name = `${registry.host}/beside:1`;
  await sandbox.succeed(['tag', 'five', name]);
  await sandbox.succeed(['push', '-q', name]);
  await putBeside(registry.host, 'no gzip');
  await putBeside(registry.host, gzipSync('{"version":1}'));
  await using other = await openSandbox();
  await other.succeed(['pull', '-q', name]);
  const without = await other.jettison(['blame', '--remote', `${name}:/app`]);
  assert.match(without.stderr, /^Warning: a list of origins in ".*beside" is left aside: Cannot read the list of origins: /mu);
  // Whichever of the three the registry tells of first.
  await sandbox.succeed(['push', '-q', '--origins', 'min', name]);
  const { status, stdout, stderr } = await other.jettison(['blame', '--json', '--remote', `${name}:/app`]);
  assert.equal(status, 0, stderr);
  const found: Blamed = JSON.parse(stdout);
  assert.ok(found.files.length > 0 && found.files.every(({ content }) => found.origins[content.origin]?.kind !== 'unknown'));
});

/** What somebody else pushed as a list of origins of the image `beside:1`. */
async function putBeside(host: string, list: string | Uint8Array<ArrayBuffer>): Promise<void> {
  const at = `http://${host}/v2/beside`;
  const put = async (bytes: string | Uint8Array<ArrayBuffer>): Promise<{ readonly digest: string; readonly size: number }> => {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const opened = await fetch(`${at}/blobs/uploads/`, { method: 'POST' });
    const to = new URL(opened.headers.get('location') ?? '', `http://${host}`);
    to.searchParams.set('digest', digest);
    assert.equal((await fetch(to, { method: 'PUT', body: bytes })).status, 201);
    return { digest, size: bytes.length };
  };
  const image = await fetch(`${at}/manifests/1`, { headers: { accept: 'application/vnd.oci.image.manifest.v1+json' } });
  const subject = {
    mediaType: image.headers.get('content-type'),
    digest: image.headers.get('docker-content-digest'),
    size: (await image.bytes()).length,
  };
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    artifactType: listTypes.artifact,
    config: { mediaType: 'application/vnd.oci.empty.v1+json', ...(await put('{}')) },
    layers: [{ mediaType: listTypes.document, ...(await put(list)) }],
    subject,
  });
  const digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
  const headers = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' };
  assert.equal((await fetch(`${at}/manifests/${digest}`, { method: 'PUT', body: manifest, headers })).status, 201);
}

test('of a folded image each file is in the layer that is left of the one that its step made', async () => {
  const lines = ['FROM busybox', 'RUN echo 1 > /gone', 'RUN rm /gone', 'RUN echo 2 > /kept', 'RUN chmod 700 /kept && echo 3 > /last'];
  const other = sandbox.files({ Dockerfile: lines.join('\n') }, 'folded');
  await sandbox.succeed(['build', '-q', '--fold', '-t', 'folded', other]);
  const { files, origins, bytes, size } = await blame(['--files', 'folded']);
  assert.equal(size, bytes);
  const [kept, last] = ['/kept', '/last'].map((path) => files.find((one) => one.path === path));
  assert.equal(origins[kept?.content.origin ?? -1]?.instruction?.line, 4);
  assert.equal(origins[kept?.metadata.origin ?? -1]?.instruction?.line, 5);
  assert.equal(last?.layer, (kept?.layer ?? 0) + 1);

  // Another release has a form of its own for what is kept.
  const database = new DatabaseSync(join(sandbox.store, 'engine.db'), { timeout: 10_000 });
  database.exec(`UPDATE image_origins SET source = 'of that release', record = CAST('{"version":99}' AS BLOB), files = NULL`);
  database.close();
  assert.match((await sandbox.jettison(['blame', 'folded:/kept'])).stderr, /^Another release of jettison kept .*: build it again/mu);
  await sandbox.succeed(['build', '-q', '--fold', '-t', 'folded', other]);
  const again = await sandbox.jettison(['blame', 'folded:/kept']);
  assert.match(again.stdout, /Dockerfile:4 /u);
  assert.equal(again.stderr, '');
});
