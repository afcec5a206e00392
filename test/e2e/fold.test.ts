/** `build --fold`: what people push has no byte that a later layer hides, and is otherwise the image that they would have had. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { fromText } from '#ground/base/byte-string.ts';
import { readAttributes } from '#ground/linux/attributes.ts';
import { removeWithStore } from '#test/kit/remove-store.ts';
import type { LedgerDocument } from '#faces/documents/ledger.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

type Manifest = {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
};
type Config = {
  readonly created?: string;
  readonly rootfs: { readonly diff_ids: readonly string[] };
  readonly history: readonly { readonly created_by?: string; readonly empty_layer?: boolean }[];
};

/** An image in a store as others take it: a folder of blobs, copied by skopeo and unpacked by umoci. */
function unpack(sandbox: Sandbox, archive: string) {
  const at = (name: string): string => join(sandbox.folder, `${archive}-${name}`);
  for (const name of ['layout', 'bundle']) rmSync(at(name), { recursive: true, force: true });
  execFileSync('skopeo', ['copy', '-q', `oci-archive:${join(sandbox.folder, archive)}`, `oci:${at('layout')}:it`]);
  execFileSync('umoci', ['unpack', '--image', `${at('layout')}:it`, at('bundle')]);
  const blob = (digest: string): Buffer => readFileSync(join(at('layout'), 'blobs/sha256', digest.replace('sha256:', '')));
  const index: { readonly manifests: readonly { readonly digest: string }[] } = JSON.parse(
    readFileSync(join(at('layout'), 'index.json'), 'utf8'),
  );
  const manifest: Manifest = JSON.parse(blob(index.manifests[0]?.digest ?? '').toString());
  const config: Config = JSON.parse(blob(manifest.config.digest).toString());
  const layers = manifest.layers.map(({ digest }) => blob(digest));
  const size = manifest.layers.reduce((sum, layer) => sum + layer.size, 0);
  return { config, layers, size, files: see(join(at('bundle'), 'rootfs')), bundle: at('bundle') };
}

/** Type, mode, owner, links, time, attributes and content of each path. */
function see(root: string, path = '', files = new Map<bigint, string>()): readonly string[] {
  return readdirSync(join(root, path))
    .toSorted()
    .flatMap((name) => {
      const inner = join(path, name);
      const host = join(root, inner);
      const stats = lstatSync(host, { bigint: true });
      const first = stats.isDirectory() ? inner : (files.get(stats.ino) ?? inner);
      files.set(stats.ino, first);
      const content = stats.isFile()
        ? createHash('sha256').update(readFileSync(host)).digest('hex')
        : stats.isSymbolicLink()
          ? readlinkSync(host)
          : '';
      const xattrs = JSON.stringify([...readAttributes(fromText(host))]);
      const line = [inner, stats.mode.toString(8), stats.uid, stats.gid, stats.mtimeNs, xattrs, content, first].join(' ');
      return stats.isDirectory() ? [line, ...see(root, inner, files)] : [line];
    });
}

async function build(
  sandbox: Sandbox,
  context: string,
  words: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const done = await sandbox.jettison(['build', '--progress=plain', ...words, context], { environment });
  assert.equal(done.status, 0, done.stderr);
  return done.stderr;
}

const lines = (said: string): readonly string[] => said.split('\n').filter((line) => line.startsWith('fold: '));

test('50 MB, a chmod -R and a deleted token: the image has the bytes once, the token in no blob, and every line of its history', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const token = 'TOKEN=s3cr3t-abc';
  const context = sandbox.files({
    'big.bin': randomBytes(50_000_000),
    '.npmrc': `${token}\n`,
    Dockerfile: 'FROM busybox\nCOPY big.bin /opt/big.bin\nCOPY .npmrc /root/.npmrc\nRUN chmod -R 0755 /opt\nRUN rm /root/.npmrc\nENV A=b\n',
  });
  const plain = await build(sandbox, context, ['-t', 'plain']);
  assert.deepEqual(lines(plain), [
    'fold: 50MB of the image are hidden by later layers (RUN chmod -R 0755 /opt (Dockerfile:4), and others); "/root/.npmrc" is deleted, and still in a layer (RUN rm /root/.npmrc (Dockerfile:5)): "--fold" leaves that out',
  ]);
  const folded = await build(sandbox, context, ['-t', 'folded', '--fold', '-o', 'type=oci,dest=folded.tar']);
  assert.deepEqual(lines(folded), [
    'fold: RUN chmod -R 0755 /opt (Dockerfile:4): 50MB not shipped',
    'fold: RUN rm /root/.npmrc (Dockerfile:5): 17B not shipped, "/root/.npmrc" with it',
  ]);
  const shipped = unpack(sandbox, 'folded.tar');
  const built: { readonly size: number; readonly layers: readonly string[] } = JSON.parse(
    await sandbox.succeed(['inspect', '--format', '{"size":{{.Size}},"layers":{{json .RootFS.Layers}}}', 'plain']),
  );
  assert.match(await sandbox.succeed(['image', 'diff', 'plain', 'folded']), /^\s*$/u);
  assert.ok(built.size > 100_000_000, `${built.size}`);
  assert.ok(shipped.size <= 52_100_000, `${shipped.size}`);
  const has = (layer: Buffer): boolean => (layer[0] === 0x1f ? gunzipSync(layer) : layer).includes(token);
  assert.ok(!shipped.layers.some(has));
  assert.equal(shipped.config.rootfs.diff_ids[0], built.layers[0], "the base image's layer");
  const texts = await sandbox.succeed(['history', '--no-trunc', '--format', '{{.CreatedBy}}', 'plain']);
  assert.deepEqual(shipped.config.history.map(({ created_by: text = '' }) => text).toReversed(), texts.trimEnd().split('\n'));
  assert.equal(shipped.config.history.filter((entry) => entry.empty_layer !== true).length, shipped.config.rootfs.diff_ids.length);

  const hiddenOf = async (name: string): Promise<readonly (readonly [number | null, number | null, number])[] | undefined> => {
    const { hidden }: LedgerDocument = JSON.parse(await sandbox.succeed(['ledger', '--json', name]));
    return hidden?.map(({ line, of, size }) => [of.line, line, size]);
  };
  assert.deepEqual(await hiddenOf('plain'), [
    [2, 4, 50_000_000],
    [3, 5, 17],
  ]);
  assert.deepEqual(await hiddenOf('folded'), []);

  // Once more: nothing is done, and nothing said.
  const again = await build(sandbox, context, ['-t', 'folded', '--fold']);
  assert.deepEqual(lines(again), []);
  assert.doesNotMatch(again, /worker/u);
  assert.deepEqual(lines(await build(sandbox, context, ['-t', 'plain'])), []);
  const id = await sandbox.succeed(['inspect', '--format', '{{.Id}}', 'folded']);
  assert.equal(await sandbox.succeed(['run', '--rm', 'folded', 'sh', '-c', 'stat -c %a /opt/big.bin; ls -a /root']), '755\n.\n..\n');

  // Without the image nothing of it stays, and the steps are known still.
  await sandbox.succeed(['rmi', 'folded']);
  await sandbox.succeed(['image', 'prune', '-f']);
  const anew = await build(sandbox, context, ['-t', 'folded', '--fold']);
  assert.match(anew, /5 of 5 steps cached|4 of 4 steps cached/u);
  assert.match(anew, /^payload: .* of its own steps$/mu, 'who folds can weigh');
  assert.equal(await sandbox.succeed(['inspect', '--format', '{{.Id}}', 'folded']), id);
});

/** Dockerfiles whose folded image has to look like the one that is not. */
const dockerfiles: Readonly<Record<string, string>> = {
  'files of the base deleted, replaced and given back': `FROM busybox
RUN rm -r /home && mkdir /home && echo one >/home/one
RUN echo two >/home/two && rm /home/one
RUN rm /etc/passwd
COPY a /etc/passwd
RUN rm /bin/ls && ln -s busybox /bin/ls`,
  'hard links, attributes, owners': `FROM busybox
RUN mkdir /d && echo one >/d/a && ln /d/a /d/b && ln -s a /d/l && mkfifo /d/p
RUN chown -R 7:8 /d
RUN chmod 4711 /d/a && touch -t 200001010000 /d/b && rm /d/p
RUN ln /d/a /d/c && cat /d/b >/d/x && mv /d/x /d/b`,
  'folders that become files and files that become folders': `FROM busybox
COPY . /x
RUN rm -r /x/sub && echo f >/x/sub && rm /x/a && mkdir /x/a && echo in >/x/a/b
RUN rm /x/sub && mkdir /x/sub && rm -r /x/a
COPY sub /x/sub`,
  'layers of COPY --link and of other stages': `FROM busybox AS made
RUN mkdir -p /out/bin && cp /bin/busybox /out/bin/tool && echo text >/out/text
FROM busybox
COPY --link a /srv/a
COPY --from=made /out /opt
RUN chmod -R g+w /opt && rm /srv/a
COPY --link --from=made /out/text /srv/text
COPY --from=made /out/bin/tool /opt/bin/again`,
  'nothing is left of what was copied': `FROM scratch
COPY --from=busybox / /
COPY a /a
RUN rm /a`,
};

test('whole builds, unpacked by others: the same files with and without', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  for (const [name, text] of Object.entries(dockerfiles)) {
    const context = sandbox.files({ Dockerfile: text, a: 'a', 'sub/b': 'b', '.dockerignore': 'Dockerfile\n' }, `context-${Math.random()}`);
    await build(sandbox, context, ['-o', 'type=oci,dest=plain.tar,compression=uncompressed']);
    await build(sandbox, context, ['--fold', '-o', 'type=oci,dest=folded.tar,compression=uncompressed']);
    const [built, shipped] = [unpack(sandbox, 'plain.tar'), unpack(sandbox, 'folded.tar')];
    assert.deepEqual(shipped.files, built.files, name);
    assert.ok(shipped.size < built.size, name);
    assert.equal(shipped.config.history.length, built.config.history.length, name);
    // Where trees are copied the steps run anew, and what comes of it is the same to the byte.
    if (name.startsWith('layers of')) {
      const id = (folder: string): string => readFileSync(join(sandbox.folder, folder), 'utf8');
      await build(sandbox, context, ['--fold', '--iidfile', join(sandbox.folder, 'one')]);
      await build(sandbox, context, ['--fold', '--no-cache', '--isolation', 'copies', '--iidfile', join(sandbox.folder, 'other')]);
      assert.equal(id('other'), id('one'), 'copies');
    }
  }
});

test('caches, later builds, several platforms and times know nothing of it, or the right thing', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const text = 'FROM busybox AS app\nCOPY a /d/a\nCOPY big /d/b\nRUN chmod 600 /d/a && rm /d/b\n';
  const context = sandbox.files({ Dockerfile: text, a: 'a', big: 'b'.repeat(2_000_000) });
  // The cache is what it is without: steps have the layers that they made.
  const folded = ['--fold', '-t', 'folded'];
  await build(sandbox, context, [...folded, '--cache-to', 'type=local,dest=cache-folded']);
  await build(sandbox, context, ['-t', 'plain', '--cache-to', 'type=local,dest=cache-plain']);
  const blobs = (name: string) => readdirSync(join(sandbox.folder, name, 'blobs/sha256')).toSorted();
  assert.deepEqual(blobs('cache-folded'), blobs('cache-plain'));
  // What it was folded to goes with the image, also where a step is built upon it.
  const above = sandbox.files({ Dockerfile: 'FROM folded\nRUN rm /d/a\n' }, 'above');
  await build(sandbox, above, ['-t', 'above', '--fold']);
  const layers = async (name: string): Promise<readonly string[]> =>
    JSON.parse(await sandbox.succeed(['inspect', '--format', '{{json .RootFS.Layers}}', name])) as string[];
  const [base, over] = [await layers('folded'), await layers('above')];
  assert.deepEqual(over.slice(0, base.length), base, 'a folded image is a base image like any other');
  assert.equal(await sandbox.succeed(['run', '--rm', 'above', 'ls', '/d']), '');
  assert.match(await sandbox.succeed(['image', 'diff', 'plain', 'folded']), /^\s*$/u);
  // Environment and configuration.
  const asked = await sandbox.jettison(['build', context], { environment: { JETTISON_FOLD: 'yes' } });
  assert.equal(asked.status, 1);
  assert.match(asked.stderr, /JETTISON_FOLD is "auto" or "off"/u);
  for (const word of ['auto', '1', 'true']) {
    await build(sandbox, context, ['-t', 'by-environment'], { JETTISON_FOLD: word });
    assert.deepEqual(await layers('by-environment'), base, word);
  }
  sandbox.configure({ fold: 'auto' });
  await build(sandbox, context, ['-t', 'by-config']);
  assert.deepEqual(await layers('by-config'), base);
  await build(sandbox, context, ['-t', 'off'], { JETTISON_FOLD: '0' });
  assert.deepEqual(await layers('off'), await layers('plain'));
  await build(sandbox, context, ['-t', 'off', '--fold=off']);
  assert.deepEqual(await layers('off'), await layers('plain'));
  sandbox.configure({});
  // Times that are asked for are in folded layers, too.
  const dated = ['--fold', '--build-arg', 'SOURCE_DATE_EPOCH=1000000000', '-o', 'type=oci,dest=dated.tar,rewrite-timestamp=true'];
  await build(sandbox, context, dated);
  const { config, bundle } = unpack(sandbox, 'dated.tar');
  assert.equal(config.created, '2001-09-09T01:46:40Z');
  assert.equal(statSync(join(bundle, 'rootfs/d/a')).mtimeMs, 1_000_000_000_000);
  assert.ok(!existsSync(join(bundle, 'rootfs/d/b')));
  // Inline caches tell of what the image has; several platforms fold each for itself; statements speak of the image that is shipped.
  const several = sandbox.files(
    { Dockerfile: 'FROM scratch\nCOPY a /a\nCOPY big /b\nCOPY a /b\n', a: 'a', big: 'x'.repeat(3000) },
    'several',
  );
  const words = ['--fold', '--platform', 'linux/amd64,linux/arm64', '--provenance=mode=max', '--cache-to', 'type=inline', '-t', 'several'];
  const said = await build(sandbox, several, [...words, '-o', 'type=oci,dest=several.tar']);
  assert.deepEqual(lines(said), ['fold: COPY a /b (Dockerfile:4): 3kB not shipped'], 'layers that both have are told of once');
});

test('a secret in a layer that would not ship is an error all the same', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const text = 'FROM busybox\nRUN --mount=type=secret,id=tok cat /run/secrets/tok >/left\nRUN rm /left\n';
  const context = sandbox.files({ Dockerfile: text, tok: 'a secret of some length' });
  const done = await sandbox.jettison(['build', '--fold', '--secret', `id=tok,src=${join(context, 'tok')}`, context]);
  assert.equal(done.status, 1);
  assert.match(done.stderr, /"\/left"/u);
});

test('folded layers that are lost are made again; files of a folded image are traced to their lines', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const dockerfile = 'FROM busybox\nCOPY a /d/a\nRUN chmod 600 /d/a\nCOPY --link b /b\nRUN rm /b && echo c >/c\n';
  const context = sandbox.files({ Dockerfile: dockerfile, a: 'one\n', b: 'b' });
  await build(sandbox, context, ['--fold', '-t', 'it']);
  const told = await Promise.all(['/d/a', '/c'].map(async (path) => await sandbox.succeed(['blame', `it:${path}`])));
  assert.match(told[0] ?? '', /in layer 4 of 5\n\s+Dockerfile:2 /u, 'the three of the base image, and two that are left');
  assert.match(told[1] ?? '', /in layer 5 of 5\n\s+Dockerfile:5 /u);

  const lose = (): void => removeWithStore(join(sandbox.store, 'snapshots'), sandbox.store);
  lose();
  sandbox.files({ a: 'two\n' });
  await build(sandbox, context, ['--fold', '-t', 'it']);
  assert.equal(await sandbox.succeed(['run', '--rm', 'it', 'cat', '/d/a', '/c']), 'two\nc\n');
  lose();
  assert.equal((await sandbox.jettison(['run', '--rm', 'it'])).status, 125);
  await build(sandbox, context, ['--fold', '-t', 'it']);
  assert.equal(await sandbox.succeed(['run', '--rm', 'it', 'cat', '/d/a', '/c']), 'two\nc\n');
});
