/** Images for several platforms: built together, kept under one name, and exchanged with registries and archives without changing. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDockerRegistry } from '#test/kit/docker-registry.ts';
import { openSandbox } from '#test/kit/sandbox.ts';

const dockerfile = `FROM --platform=$BUILDPLATFORM busybox AS tools
RUN echo once >/tool
FROM --platform=$BUILDPLATFORM busybox AS build
ARG TARGETOS TARGETARCH TARGETVARIANT
COPY --from=tools /tool /tool
RUN echo "$TARGETOS $TARGETARCH $TARGETVARIANT" >/out
FROM scratch
COPY --from=build /out /out
`;

/** What skopeo says of a manifest, byte for byte. */
function rawManifest(address: string): string {
  const { stdout, stderr, status } = spawnSync('skopeo', ['inspect', '--raw', '--tls-verify=false', address], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

type Index = {
  readonly manifests: readonly {
    readonly digest: string;
    readonly platform: { readonly architecture: string; readonly variant?: string };
  }[];
  readonly annotations?: unknown;
};

test('one build for three platforms: shared stages run once, each image is cross-compiled, one index is written, pushed, pulled and saved unchanged', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startDockerRegistry();
  await sandbox.base('busybox');
  sandbox.files({ Dockerfile: dockerfile });
  const name = `${registry.host}/app:1`;
  const platforms = ['--platform', 'linux/amd64,aarch64', '--platform', 'linux/arm/v7,linux/arm64/v8'];
  const annotations = ['--annotation', 'index:a=b', '--annotation', 'manifest-descriptor[linux/arm64]:c=d'];
  const words = ['build', '--progress', 'plain', ...platforms, ...annotations, '-t', name, 'context'];
  const built = await sandbox.jettison(words);
  assert.equal(built.status, 0, built.stderr);
  assert.match(built.stderr, /\[linux\/amd64 tools 2\/2\] RUN echo once/u);
  assert.match(built.stderr, /\[linux\/amd64->arm64 build 3\/3\] RUN/u);
  assert.match(built.stderr, /\[linux\/amd64->arm\/v7 build 3\/3\] RUN/u);
  assert.match(built.stderr, /\[linux\/arm64 stage-2 1\/1\] COPY/u);
  assert.equal(built.stderr.match(/RUN echo once/gu)?.length, 1);
  assert.equal((await sandbox.succeed(['images', '-q', `${registry.host}/app`])).trim().split('\n').length, 1);

  const push = await sandbox.succeed(['push', name]);
  const digest = /digest: (sha256:\w+)/u.exec(push)?.[1];
  const index = JSON.parse(rawManifest(`docker://${name}`)) as Index;
  assert.deepEqual(
    index.manifests.map(({ platform }) => `${platform.architecture}${platform.variant ?? ''}`),
    ['amd64', 'arm64', 'armv7'],
  );
  assert.deepEqual(index.annotations, { a: 'b' });
  const copy = spawnSync('skopeo', [
    'copy',
    '-q',
    '--all',
    '--src-tls-verify=false',
    `docker://${name}`,
    `oci:${join(sandbox.folder, 'copy')}`,
  ]);
  assert.equal(copy.status, 0, copy.stderr.toString());

  // Nothing has to run again, and nothing about it changes.
  const again = await sandbox.jettison([...words, '--metadata-file', 'made.json', '-o', 'type=oci,dest=app.tar']);
  assert.match(again.stderr, /9 of 9 steps cached/u);
  const made = JSON.parse(readFileSync(join(sandbox.folder, 'made.json'), 'utf8')) as Record<string, unknown>;
  assert.equal(made['containerimage.digest'], digest);
  assert.equal('containerimage.config.digest' in made, false);

  await using other = await openSandbox();
  await other.succeed(['load', '-i', join(sandbox.folder, 'app.tar')]);
  await other.succeed(['tag', name, `${registry.host}/loaded`]);
  assert.match(await other.succeed(['push', `${registry.host}/loaded`]), new RegExp(`digest: ${digest}`, 'u'));
  await other.succeed(['save', '-o', 'docker.tar', name]);
  await other.succeed(['rmi', name, `${registry.host}/loaded`]);
  assert.equal(await other.succeed(['images', '-q', '-a']), '');
  await other.succeed(['load', '-i', 'docker.tar']);
  assert.match(await other.succeed(['push', name]), new RegExp(`digest: ${digest}`, 'u'));
  await other.succeed(['rmi', name]);

  await other.succeed(['pull', '--all-platforms', name]);
  await other.succeed(['save', '--platform', 'linux/arm/v7', '--format', 'oci', '-o', 'arm.tar', name]);
  const armed = JSON.parse(rawManifest(`oci-archive:${join(other.folder, 'arm.tar')}`)) as { readonly config: { readonly digest: string } };
  assert.match(JSON.stringify(await other.succeed(['push', '--platform', 'linux/arm/v7', `${registry.host}/app:1`])), /digest: sha256/u);
  const only = JSON.parse(rawManifest(`docker://${name}`)) as { readonly config: { readonly digest: string } };
  assert.equal(only.config.digest, armed.config.digest);
});

test('an image of an index is not removed alone, is not dangling, and goes with the last name', async () => {
  await using sandbox = await openSandbox();
  sandbox.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
  await sandbox.succeed(['build', '-q', '--platform', 'linux/amd64,linux/arm64', '-t', 'app', 'context']);
  await sandbox.succeed(['save', '-o', 'app.tar', '--format', 'oci', 'app']);
  const index = JSON.parse(rawManifest(`oci-archive:${join(sandbox.folder, 'app.tar')}`)) as Index;
  assert.equal(index.manifests.length, 2);
  const shown = JSON.parse(await sandbox.succeed(['inspect', 'app'])) as readonly [
    { readonly Id: string; readonly Manifests: readonly { readonly ID: string }[] },
  ];
  const [first, second] = shown[0].Manifests;
  assert.equal(first?.ID === shown[0].Id || second?.ID === shown[0].Id, true);
  const foreign = [first, second].find((one) => one?.ID !== shown[0].Id)?.ID ?? '';
  const refused = await sandbox.jettison(['rmi', foreign]);
  assert.match(refused.stderr, /is part of app:latest/u);
  await sandbox.succeed(['image', 'prune', '-f']);
  await sandbox.succeed(['inspect', foreign]);
  await sandbox.succeed(['tag', 'app', 'app:2']);
  await sandbox.succeed(['rmi', 'app']);
  await sandbox.succeed(['inspect', foreign]);
  assert.match(await sandbox.succeed(['rmi', 'app:2']), new RegExp(`Deleted: ${foreign}`, 'u'));
  assert.equal((await sandbox.jettison(['inspect', foreign])).status, 1);
});

test('one platform of several: removed, loaded and inspected alone', async () => {
  await using sandbox = await openSandbox();
  sandbox.files({ Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY Dockerfile /\nENV FOR=$TARGETARCH\n' });
  const provenance = ['--provenance', 'mode=min'];
  await sandbox.succeed(['build', '--platform', 'linux/amd64,linux/arm64,linux/arm/v7', ...provenance, '-t', 'app', 'context']);
  await sandbox.succeed(['save', '-o', 'all.tar', 'app']);
  await sandbox.succeed(['tag', 'app', 'kept']);
  const inspect = async (name: string, ...words: readonly string[]): Promise<Inspected> => {
    const [found] = JSON.parse(await sandbox.succeed(['image', 'inspect', ...words, name])) as readonly Inspected[];
    assert.ok(found);
    return found;
  };
  const [amd, arm] = [await inspect('app', '--platform', 'linux/amd64'), await inspect('app', '--platform', 'linux/arm')];
  assert.deepEqual([amd.Architecture, arm.Architecture, arm.Manifests], ['amd64', 'arm', undefined]);
  assert.match((await sandbox.jettison(['image', 'inspect', '--platform', 'linux/s390x', 'app'])).stderr, /has no image for linux\/s390x/u);

  await sandbox.succeed(['create', '--name', 'user', 'app', '/none']);
  assert.match((await sandbox.jettison(['rmi', '--platform', 'linux/amd64', 'app'])).stderr, /used by stopped container/u);
  await sandbox.succeed(['rm', 'user']);

  // The other name stands for all of them still, so nothing is deleted.
  assert.equal(await sandbox.succeed(['rmi', '--platform', 'linux/amd64', 'app']), '');
  const left = await inspect('app');
  assert.equal(left.Architecture, 'arm64');
  assert.deepEqual(left.Manifests?.map(({ Kind }) => Kind).toSorted(), ['attestation', 'attestation', 'image', 'image']);
  assert.equal((await inspect('kept')).Manifests?.length, 6);
  await sandbox.succeed(['rmi', 'kept']);
  assert.equal((await sandbox.jettison(['image', 'inspect', amd.Id])).status, 1);
  assert.match(await sandbox.succeed(['rmi', '--platform', 'linux/arm/v7', 'app']), new RegExp(`^Deleted: ${arm.Id}\n$`, 'u'));
  assert.match(await sandbox.succeed(['rmi', '--platform', 'linux/arm64', 'app']), /^Untagged: app:latest\nDeleted: /u);

  assert.equal(await sandbox.succeed(['load', '-i', 'all.tar', '--platform', 'linux/arm/v7']), 'Loaded image: app:latest\n');
  const loaded = await inspect('app');
  assert.deepEqual([loaded.Id, loaded.Manifests], [arm.Id, undefined]);
  const missing = await sandbox.jettison(['load', '-i', 'all.tar', '--platform', 'linux/riscv64']);
  assert.match(missing.stderr, /"app:latest" has no image for linux\/riscv64\nIt has: linux\/amd64, linux\/arm64, linux\/arm\/v7/u);
});

type Inspected = { readonly Id: string; readonly Architecture: string; readonly Manifests?: readonly { readonly Kind: string }[] };

test('an image that is there for one platform alone: a pull for another warns, a run for another is refused', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startDockerRegistry();
  await sandbox.base('busybox');
  const name = `${registry.host}/busybox:1`;
  await sandbox.succeed(['tag', 'busybox', name]);
  await sandbox.succeed(['push', '-q', name]);
  const other = process.arch === 'arm64' ? 'linux/amd64' : 'linux/arm64';
  const pulled = await sandbox.succeed(['pull', '--platform', other, name]);
  assert.match(pulled, new RegExp(`^WARNING: image with reference ${name} was found but .*: wanted ${other}, actual: linux/`, 'mu'));
  assert.doesNotMatch(await sandbox.succeed(['pull', name]), /WARNING/u);
  for (const pull of ['always', 'missing']) {
    const refused = await sandbox.jettison(['run', '--rm', '--pull', pull, '--platform', other, name, 'true']);
    assert.match(refused.stderr, new RegExp(`^ERROR: "${name}" has no image for ${other}\nIt is for linux/`, 'mu'));
    assert.equal(refused.status, 125);
  }
  await sandbox.succeed(['run', '--rm', name, 'true']);
});
