/** What a build says of its manifest: annotations, its form, and the file that tells of it. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSandbox } from '#test/kit/sandbox.ts';
import { startRegistry } from '#test/kit/registry.ts';

type Described = { readonly mediaType: string; readonly digest: string; readonly annotations?: Readonly<Record<string, string>> };
type Manifest = {
  readonly mediaType: string;
  readonly config: Described;
  readonly layers: readonly Described[];
  readonly annotations?: Readonly<Record<string, string>>;
};

/** The first entry of an archive's index, and the manifest that it names. */
function readLayout(archive: string, folder: string): { readonly entry: Described; readonly manifest: Manifest } {
  const place = mkdtempSync(join(folder, 'layout-'));
  execFileSync('tar', ['-xf', archive, '-C', place]);
  const index = JSON.parse(readFileSync(join(place, 'index.json'), 'utf8')) as { readonly manifests: readonly [Described] };
  const [entry] = index.manifests;
  const manifest = JSON.parse(readFileSync(join(place, 'blobs', entry.digest.replace(':', '/')), 'utf8')) as Manifest;
  return { entry, manifest };
}

test('annotations stand in the manifest of archives and registries, or where they were meant to', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startRegistry();
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY a /\n', a: 'a' });
  const archive = join(sandbox.folder, 'x.tar');
  const name = `${registry.host}/x:1`;
  const platforms = ['manifest[linux/riscv64]:other=no', `manifest[linux/${process.arch === 'x64' ? 'amd64' : 'arm64'}]:own=yes`];
  const annotations = ['a.b=c=d', 'manifest,manifest-descriptor:both=1', 'manifest-descriptor:beside=2', ...platforms];
  const words = annotations.flatMap((annotation) => ['--annotation', annotation]);
  await sandbox.succeed(['build', '-t', name, ...words, '-o', `type=oci,dest=${archive}`, context]);
  const { entry, manifest } = readLayout(archive, sandbox.folder);
  assert.deepEqual(manifest.annotations, { 'a.b': 'c=d', both: '1', own: 'yes' });
  assert.deepEqual([entry.annotations?.['both'], entry.annotations?.['beside'], entry.annotations?.['a.b']], ['1', '2', undefined]);

  const pushed = /digest: (\S+)/u.exec(await sandbox.succeed(['push', name]))?.[1];
  assert.equal(pushed, entry.digest);
  // The last build of an image counts, also when it has none.
  await sandbox.succeed(['build', '-t', name, '-o', `type=oci,dest=${archive}`, context]);
  assert.equal(readLayout(archive, sandbox.folder).manifest.annotations, undefined);

  const refused = async (...more: readonly string[]): Promise<string> => {
    const done = await sandbox.jettison(['build', ...more, context]);
    assert.equal(done.status, 1, more.join(' '));
    return done.stderr;
  };
  assert.match(await refused('--annotation', 'index:a=b'), /index annotations are not supported/u);
  assert.match(await refused('--annotation', 'layer:a=b'), /"layer" is none of manifest/u);
  assert.match(await refused('--annotation', 'ab'), /use "KEY=VALUE"/u);
  assert.match(await refused('--annotation', 'manifest-descriptor:a=b'), /has no place without an archive/u);
  assert.match(await refused('--annotation', 'a=b', '--format=docker'), /has no annotations/u);
  assert.match(await refused('--annotation', 'manifest[//]:a=b'), /platform/iu);
});

const textOf = (bytes: string): string => Buffer.from(bytes, 'base64').toString();

test("--format=docker: Docker's media types in archives and registries; no zstd", async () => {
  await using sandbox = await openSandbox();
  await using registry = await startRegistry();
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY a /\n', a: 'a' });
  const archive = join(sandbox.folder, 'x.tar');
  const name = `${registry.host}/x:1`;
  await sandbox.succeed(['build', '-t', name, '--format', 'docker', '-o', `type=oci,dest=${archive}`, context]);
  const { entry, manifest } = readLayout(archive, sandbox.folder);
  const types = [entry.mediaType, manifest.mediaType, manifest.config.mediaType, manifest.layers[0]?.mediaType];
  const docker = 'application/vnd.docker';
  assert.deepEqual(types, [
    `${docker}.distribution.manifest.v2+json`,
    `${docker}.distribution.manifest.v2+json`,
    `${docker}.container.image.v1+json`,
    `${docker}.image.rootfs.diff.tar.gzip`,
  ]);
  await sandbox.succeed(['push', name]);
  assert.equal(registry.manifests.get('x:1')?.mediaType, `${docker}.distribution.manifest.v2+json`);
  assert.match((await sandbox.jettison(['push', '--compression=zstd', name])).stderr, /no place for layers of type .*zstd/u);
});

test('--metadata-file tells what was made, by the keys of buildx', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY a /\nCMD run me\n', a: 'a' });
  const file = join(sandbox.folder, 'made.json');
  const read = (): Record<string, unknown> => JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  const id = (await sandbox.succeed(['build', '-q', '-t', 'x', '-t', 'y:2', '--metadata-file', file, context])).trim();
  const { 'buildx.build.ref': ref, 'buildx.build.provenance': provenance, ...image } = read();
  assert.deepEqual(Object.keys(provenance as object), ['buildDefinition', 'runDetails']);
  assert.match(String(ref), /^default\/default\/[0-9a-f]{12}$/u);
  assert.deepEqual(image, {
    'containerimage.config.digest': id,
    'containerimage.digest': id,
    'image.name': 'docker.io/library/x,docker.io/library/y:2',
  });
  const nameOf = async (...names: readonly string[]): Promise<unknown> => {
    await sandbox.succeed(['build', '--metadata-file', file, ...names.flatMap((name) => ['-t', name]), context]);
    return read()['image.name'];
  };
  // What buildx 0.29 writes for the same words.
  assert.equal(await nameOf('x:latest'), 'docker.io/library/x:latest');
  assert.equal(await nameOf('x', 'x:1'), 'docker.io/library/x,docker.io/library/x:1');
  assert.equal(await nameOf('b', 'a'), 'docker.io/library/b,docker.io/library/a');
  assert.equal(await nameOf('x', 'b', 'x:latest'), 'docker.io/library/x,docker.io/library/b,docker.io/library/x:latest');
  assert.equal(await nameOf('docker.io/library/x', '127.0.0.1:5055/y'), 'docker.io/library/x,127.0.0.1:5055/y');
  assert.equal(await nameOf(), undefined);
  const archive = join(sandbox.folder, 'x.tar');
  const environment = { BUILDX_METADATA_WARNINGS: '1' };
  await sandbox.succeed(['build', '--metadata-file', file, '-o', `type=oci,dest=${archive}`, context], { environment });
  const { entry } = readLayout(archive, sandbox.folder);
  const made = read();
  assert.equal(made['containerimage.digest'], entry.digest);
  assert.equal((made['containerimage.descriptor'] as Described).digest, entry.digest);
  assert.equal((made['containerimage.descriptor'] as Described).annotations?.['config.digest'], id);
  const [warning] = made['buildx.build.warnings'] as readonly [{ readonly short: string; readonly sourceInfo: { readonly data: string } }];
  assert.match(textOf(warning.short), /^JSONArgsRecommended: .* \(line 3\)$/u);
  assert.equal(textOf(warning.sourceInfo.data), readFileSync(join(context, 'Dockerfile'), 'utf8'));
  const other = join(sandbox.folder, 'other.json');
  assert.match((await sandbox.jettison(['build', '--check', '--metadata-file', other, context])).stderr, /builds nothing/u);
  assert.equal(existsSync(other), false);
});
