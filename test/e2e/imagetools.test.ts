/** Documents of images where they are in registries: `buildx imagetools`, `manifest`, and attestations that come and go with an image. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { attach } from '#engine/attach.ts';
import { openEngine } from '#engine/open.ts';
import { startDockerRegistry } from '#test/kit/docker-registry.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

type Entry = {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
  readonly annotations?: Readonly<Record<string, string>>;
};
type Index = { readonly mediaType: string; readonly manifests: readonly Entry[]; readonly annotations?: Readonly<Record<string, string>> };

const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
const ociIndex = 'application/vnd.oci.image.index.v1+json';
const digestOf = (bytes: string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Images `NAME:amd64` and `NAME:arm64` in a registry. */
async function pushImages(sandbox: Sandbox, name: string): Promise<void> {
  sandbox.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
  for (const architecture of ['amd64', 'arm64']) {
    await sandbox.succeed(['build', '-q', '--platform', architecture, '-t', `${name}:${architecture}`, 'context']);
    await sandbox.succeed(['push', '-q', `${name}:${architecture}`]);
  }
}

async function rawIndex(sandbox: Sandbox, name: string): Promise<Index> {
  return JSON.parse(await sandbox.succeed(['buildx', 'imagetools', 'inspect', '--raw', name])) as Index;
}

const architecturesOf = ({ manifests }: Index): readonly string[] => manifests.map((entry) => entry.platform?.architecture ?? '');

test('imagetools: an index of images, appended to, filtered, annotated, copied to another repository and another registry', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startDockerRegistry();
  await using other = await startDockerRegistry();
  const name = `${registry.host}/app`;
  await pushImages(sandbox, name);
  const create = async (...words: readonly string[]): Promise<string> =>
    await sandbox.succeed(['buildx', 'imagetools', 'create', '--progress', 'none', ...words]);

  await create('-t', `${name}:both`, `${name}:amd64`);
  assert.deepEqual(architecturesOf(await rawIndex(sandbox, `${name}:both`)), ['amd64']);
  await create('--append', '-t', `${name}:both`, `${name}:arm64`);
  const both = await rawIndex(sandbox, `${name}:both`);
  assert.deepEqual(architecturesOf(both), ['amd64', 'arm64']);
  assert.equal(both.mediaType, ociIndex);

  const dry = await create(
    '--dry-run',
    '-p',
    'linux/arm64',
    '--annotation',
    'index:a=b',
    '--annotation',
    'manifest-descriptor[linux/arm64]:c=d',
    `${name}:both`,
  );
  const shown = JSON.parse(dry) as Index;
  // As buildx has it, down to the last byte.
  const entry = both.manifests[1];
  assert.equal(
    dry,
    `{\n  "schemaVersion": 2,\n  "mediaType": "${ociIndex}",\n  "manifests": [\n    {\n      "mediaType": "${ociManifest}",\n      "digest": "${entry?.digest}",\n      "size": ${entry?.size},\n      "annotations": {\n        "c": "d"\n      },\n      "platform": {\n        "architecture": "arm64",\n        "os": "linux"\n      }\n    }\n  ],\n  "annotations": {\n    "a": "b"\n  }\n}\n`,
  );
  assert.deepEqual([architecturesOf(shown), shown.annotations, shown.manifests[0]?.annotations], [['arm64'], { a: 'b' }, { c: 'd' }]);
  const [first] = both.manifests;
  const descriptor = JSON.stringify({ ...first, platform: { ...first?.platform, variant: 'v3' }, annotations: { e: 'f' } });
  await create('-t', `${name}:changed`, descriptor);
  const [changed] = (await rawIndex(sandbox, `${name}:changed`)).manifests;
  assert.deepEqual([changed?.platform?.variant, changed?.annotations], ['v3', { e: 'f' }]);

  // Elsewhere, byte for byte: blobs are mounted in the same registry, and carried to another one.
  for (const target of [`${registry.host}/copy:1`, `${other.host}/far/app:1`]) {
    await create('-t', target, `${name}:both`);
    assert.deepEqual(await rawIndex(sandbox, target), both);
    await using reader = await openSandbox();
    await reader.succeed(['pull', '-q', '--platform', 'linux/arm64', target]);
  }
  assert.ok(registry.accesses().some((line) => line.includes('mount=')));
  await create('--prefer-index=false', '-t', `${other.host}/far/app:single`, `${name}:arm64`);
  assert.equal((await rawIndex(sandbox, `${other.host}/far/app:single`)).mediaType, ociManifest);

  const text = await sandbox.succeed(['buildx', 'imagetools', 'inspect', `${name}:both`]);
  assert.match(
    text,
    new RegExp(
      `^ {2}Name: {6}${name}:both@${first?.digest}\n {2}MediaType: ${ociManifest.replace('+', '\\+')}\n {2}Platform: {2}linux/amd64$`,
      'mu',
    ),
  );
  assert.equal(
    await sandbox.succeed([
      'buildx',
      'imagetools',
      'inspect',
      '--format',
      '{{(index .Image "linux/arm64").architecture}} {{json .SBOM}}',
      `${name}:both`,
    ]),
    'arm64 {}\n',
  );
  const refused = await sandbox.jettison(['buildx', 'imagetools', 'create', '-t', `${name}:x`, '-p', 'linux/s390x', `${name}:both`]);
  assert.match(refused.stderr, /it has no image for these platforms/u);
  assert.equal((await sandbox.jettison(['buildx', 'imagetools', 'inspect', `${name}:x`])).status, 1);
});

test('manifest: a list is begun, amended, annotated, pushed and removed as docker does it', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startDockerRegistry();
  const name = `${registry.host}/app`;
  await pushImages(sandbox, name);
  const list = `${registry.host}/list:1`;
  assert.equal(await sandbox.succeed(['manifest', 'create', list, `${name}:amd64`]), `Created manifest list ${list}\n`);
  assert.match(
    (await sandbox.jettison(['manifest', 'create', list, `${name}:arm64`])).stderr,
    /refusing to amend an existing manifest list/u,
  );
  await sandbox.succeed(['manifest', 'create', '--amend', list, `${name}:arm64`]);
  await sandbox.succeed(['manifest', 'annotate', list, `${name}:arm64`, '--arch', 'arm', '--variant', 'v6']);
  assert.match((await sandbox.jettison(['manifest', 'annotate', list, `${name}:none`, '--os', 'linux'])).stderr, /does not exist in/u);
  const local = JSON.parse(await sandbox.succeed(['manifest', 'inspect', list])) as Index;
  assert.deepEqual(local.manifests[1]?.platform, { os: 'linux', architecture: 'arm', variant: 'v6' });
  const digest = await sandbox.succeed(['manifest', 'push', '--purge', list]);
  assert.deepEqual(await rawIndex(sandbox, list), local);
  assert.equal(digest, `${digestOf(await sandbox.succeed(['imagetools', 'inspect', '--raw', list]))}\n`);
  assert.match((await sandbox.jettison(['manifest', 'rm', list])).stderr, /No such manifest/u);
  type Described = { readonly Ref: string; readonly Descriptor: Entry; readonly Raw: string; readonly OCIManifest: object };
  const verbose = JSON.parse(await sandbox.succeed(['manifest', 'inspect', '-v', `${name}:amd64`])) as Described;
  assert.equal(verbose.Ref, `${name}:amd64`);
  assert.deepEqual(Object.keys(verbose), ['Ref', 'Descriptor', 'Raw', 'OCIManifest']);
  assert.equal(verbose.Descriptor.platform?.architecture, 'amd64');
  assert.equal(digestOf(Buffer.from(verbose.Raw, 'base64').toString()), verbose.Descriptor.digest);
  // Of an index in its registry, and of a list here: each manifest.
  const inIndex = JSON.parse(await sandbox.succeed(['manifest', 'inspect', '-v', list])) as readonly Described[];
  assert.deepEqual(
    inIndex.map(({ Ref, Descriptor }) => [Ref, Descriptor.platform]),
    local.manifests.map(({ digest: own, platform }) => [`${list}@${own}`, platform]),
  );
  // As podman and buildah have it.
  const added = ['manifest', 'add', list, `${name}:amd64`];
  assert.match((await sandbox.jettison(added)).stderr, /No such manifest/u);
  assert.equal((await sandbox.jettison(['manifest', 'exists', list])).status, 1);
  await sandbox.succeed(['manifest', 'create', list, `${name}:arm64`]);
  assert.equal(await sandbox.succeed(['manifest', 'exists', list]), '');
  assert.equal(await sandbox.succeed(added), `${list}\n`);
  assert.deepEqual(architecturesOf(JSON.parse(await sandbox.succeed(['manifest', 'inspect', list])) as Index), ['amd64', 'arm64']);
  await sandbox.succeed(['manifest', 'rm', list]);
  await sandbox.succeed(['manifest', 'create', list, `${name}:arm64`]);
  const inList = JSON.parse(await sandbox.succeed(['manifest', 'inspect', '-v', list])) as readonly Described[];
  assert.deepEqual(
    inList.map(({ Ref, Descriptor }) => [Ref, Descriptor.platform?.architecture]),
    [[`${name}:arm64`, 'arm64']],
  );
  assert.match((await sandbox.jettison(['manifest', 'inspect', list, `${name}:amd64`])).stderr, /does not exist in/u);
});

/** Puts bytes into a repository as they are. */
async function putBlob(host: string, repository: string, bytes: string): Promise<{ readonly digest: string; readonly size: number }> {
  const started = await fetch(`http://${host}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
  const place = new URL(started.headers.get('location') ?? '', `http://${host}`);
  place.searchParams.set('digest', digestOf(bytes));
  const put = await fetch(place, { method: 'PUT', body: bytes });
  assert.equal(put.status, 201);
  return { digest: digestOf(bytes), size: bytes.length };
}

async function putManifest(host: string, repository: string, reference: string, document: { readonly mediaType: string }): Promise<Entry> {
  const bytes = JSON.stringify(document, undefined, 1);
  const headers = { 'content-type': document.mediaType };
  const put = await fetch(`http://${host}/v2/${repository}/manifests/${reference || digestOf(bytes)}`, {
    method: 'PUT',
    headers,
    body: bytes,
  });
  assert.equal(put.status, 201, await put.text());
  return { mediaType: document.mediaType, digest: digestOf(bytes), size: bytes.length };
}

test('an image with attestations beside it is pulled, saved, loaded and pushed with them, unchanged; imagetools reads them', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startDockerRegistry();
  const { host } = registry;
  sandbox.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
  await sandbox.succeed(['build', '-q', '-t', `${host}/app:plain`, 'context']);
  const subject = /digest: (\S+) size: (\d+)/u.exec(await sandbox.succeed(['push', `${host}/app:plain`]));
  const image = { mediaType: ociManifest, digest: subject?.[1] ?? '', size: Number(subject?.[2]) };
  const statement = async (predicateType: string, predicate: object) => ({
    mediaType: 'application/vnd.in-toto+json',
    ...(await putBlob(host, 'app', JSON.stringify({ _type: 'https://in-toto.io/Statement/v0.1', predicateType, subject: [], predicate }))),
    annotations: { 'in-toto.io/predicate-type': predicateType },
  });
  const layers = [
    await statement('https://slsa.dev/provenance/v1', { buildDefinition: { buildType: 'test' } }),
    await statement('https://spdx.dev/Document', { SPDXID: 'SPDXRef-DOCUMENT' }),
  ];
  const config = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    ...(await putBlob(host, 'app', '{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[]}}')),
  };
  const attestation = await putManifest(host, 'app', '', { schemaVersion: 2, mediaType: ociManifest, config, layers } as {
    readonly mediaType: string;
  });
  const annotations = { 'vnd.docker.reference.digest': image.digest, 'vnd.docker.reference.type': 'attestation-manifest' };
  const unknown = { architecture: 'unknown', os: 'unknown' };
  const own = { architecture: process.arch === 'x64' ? 'amd64' : process.arch, os: 'linux' };
  const manifests = [
    { ...image, platform: own },
    { ...attestation, annotations, platform: unknown },
  ];
  const index = await putManifest(host, 'app', 'attested', { schemaVersion: 2, mediaType: ociIndex, manifests } as {
    readonly mediaType: string;
  });

  const inspect = async (format: string): Promise<string> =>
    await sandbox.succeed(['buildx', 'imagetools', 'inspect', '--format', format, `${host}/app:attested`]);
  assert.equal(
    await inspect('{{.Provenance.SLSA.buildDefinition.buildType}} {{json .SBOM.SPDX}}'),
    'test {\n  "SPDXID": "SPDXRef-DOCUMENT"\n}\n',
  );
  assert.equal(
    await inspect(
      '{{.Name}} {{(index .Manifest.Manifests 0).Digest}} {{range .Manifest.Manifests}}{{.Platform.OS}} {{end}}{{.Image.RootFS.Type}}',
    ),
    `${host}/app:attested ${image.digest} linux unknown layers\n`,
  );
  assert.deepEqual(Object.keys(JSON.parse(await inspect('{{json .}}')) as object), ['name', 'manifest', 'image']);
  assert.match(await inspect('{{.Manifest}}'), /^Name: .*\nMediaType: .*\nDigest: /u);

  await using other = await openSandbox();
  await other.succeed(['pull', '-q', `${host}/app:attested`]);
  await other.succeed(['save', '--format', 'oci', '-o', 'app.tar', `${host}/app:attested`]);
  await other.succeed(['rmi', `${host}/app:attested`]);
  await other.succeed(['load', '-i', 'app.tar']);
  await other.succeed(['tag', `${host}/app:attested`, `${host}/moved:1`]);
  assert.match(await other.succeed(['push', `${host}/moved:1`]), new RegExp(`digest: ${index.digest}`, 'u'));
  assert.equal(
    await other.succeed(['imagetools', 'inspect', '--format', '{{.Provenance.SLSA.buildDefinition.buildType}}', `${host}/moved:1`]),
    'test\n',
  );
});

test('statements attached to an image here go with it to archives and registries, about the manifest that is written there', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startDockerRegistry();
  const name = `${registry.host}/app:1`;
  sandbox.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
  await sandbox.succeed(['build', '-q', '--platform', 'linux/amd64,linux/arm64', '-t', name, 'context']);
  const predicate = '{"SPDXID": "SPDXRef-DOCUMENT"}';
  {
    const environment = { ...process.env, ...sandbox.environment };
    await using engine = await openEngine({ environment, currentFolder: sandbox.folder });
    const { signal } = new AbortController();
    const attachTo = async (platform: string, predicateType: string, text: string) => {
      const predicates = [{ predicateType, bytes: new TextEncoder().encode(text) }];
      return await attach(engine, { name, platform, subjects: ['pkg:docker/app@1'], predicates }, signal);
    };
    await attachTo('linux/arm64', 'https://spdx.dev/Document', '{}');
    await attachTo('linux/arm64', 'https://spdx.dev/Document', predicate);
    await attachTo('linux/amd64', 'https://slsa.dev/provenance/v1', '{"a":1}');
    await assert.rejects(attachTo('linux/amd64', 'https://slsa.dev/provenance/v1', 'no JSON'), { code: 'engine/bad-statement' });
    await assert.rejects(attachTo('linux/s390x', 'https://slsa.dev/provenance/v1', '{}'), { code: 'oci/no-such-platform' });
  }
  await sandbox.succeed(['push', '-q', name]);
  const { manifests } = await rawIndex(sandbox, name);
  assert.deepEqual(
    manifests.map(({ platform }) => platform?.architecture),
    ['amd64', 'arm64', 'unknown', 'unknown'],
  );
  const image = manifests[1];
  const about = manifests.find(({ annotations }) => annotations?.['vnd.docker.reference.digest'] === image?.digest);
  assert.equal(about?.annotations?.['vnd.docker.reference.type'], 'attestation-manifest');
  const read = async (digest: string, kind: string): Promise<string> =>
    await (await fetch(`http://${registry.host}/v2/app/${kind}/${digest}`, { headers: { accept: ociManifest } })).text();
  const manifest = JSON.parse(await read(about?.digest ?? '', 'manifests')) as {
    readonly layers: readonly [{ readonly mediaType: string; readonly digest: string; readonly annotations: Record<string, string> }];
  };
  const [layer] = manifest.layers;
  assert.equal(layer.mediaType, 'application/vnd.in-toto+json');
  assert.equal(layer.annotations['in-toto.io/predicate-type'], 'https://spdx.dev/Document');
  assert.deepEqual(JSON.parse(await read(layer.digest, 'blobs')), {
    _type: 'https://in-toto.io/Statement/v0.1',
    predicateType: 'https://spdx.dev/Document',
    subject: [{ name: 'pkg:docker/app@1', digest: { sha256: image?.digest.slice('sha256:'.length) } }],
    predicate: JSON.parse(predicate) as object,
  });
  const parts = ['imagetools', 'inspect', '--format', '{{json .Provenance}} {{json .SBOM}}', name];
  const shown = [{ 'linux/amd64': { SLSA: { a: 1 } } }, { 'linux/arm64': { SPDX: { SPDXID: 'SPDXRef-DOCUMENT' } } }];
  assert.equal(await sandbox.succeed(parts), `${shown.map((one) => JSON.stringify(one, undefined, 2)).join(' ')}\n`);

  // In an archive, too, and on from there.
  await sandbox.succeed(['save', '--format', 'oci', '-o', 'app.tar', name]);
  await using other = await openSandbox();
  await other.succeed(['load', '-i', `${sandbox.folder}/app.tar`]);
  await other.succeed(['tag', name, `${registry.host}/other:1`]);
  await other.succeed(['push', '-q', `${registry.host}/other:1`]);
  assert.equal((await rawIndex(other, `${registry.host}/other:1`)).manifests.length, 4);
});
