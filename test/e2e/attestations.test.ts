/** `build --provenance`, `--sbom` and `--attest`: what a build says about its images, wherever these go. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDockerRegistry } from '#test/kit/docker-registry.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

type Descriptor = {
  readonly digest: string;
  readonly mediaType: string;
  readonly platform?: { readonly os: string; readonly architecture: string };
  readonly annotations?: Readonly<Record<string, string>>;
};
type Origin = { readonly uri: string; readonly digest: Readonly<Record<string, string>> };
type Request = {
  readonly frontend: string;
  readonly args?: Readonly<Record<string, string>>;
  readonly secrets?: readonly object[];
  readonly locals?: readonly { readonly name: string }[];
};
type Step = { readonly id: string; readonly op: { readonly Op: Readonly<Record<string, unknown>> }; readonly inputs?: readonly string[] };
type More = {
  readonly vcs?: Readonly<Record<string, string>>;
  readonly source?: { readonly infos: readonly { readonly data: string }[]; readonly locations: Readonly<Record<string, unknown>> };
  readonly layers?: Readonly<Record<string, readonly (readonly { readonly digest: string }[])[]>>;
};
type Provenance = {
  readonly buildDefinition: {
    readonly externalParameters: { readonly configSource: { readonly path: string; readonly uri?: string }; readonly request: Request };
    readonly internalParameters: {
      readonly builderPlatform: string;
      readonly buildConfig?: { readonly llbDefinition: readonly Step[]; readonly digestMapping: Readonly<Record<string, string>> };
    };
    readonly resolvedDependencies?: readonly Origin[];
  };
  readonly runDetails: {
    readonly builder: { readonly id: string };
    readonly metadata: {
      readonly invocationID: string;
      readonly startedOn: string;
      readonly finishedOn: string;
      readonly buildkit_metadata: More;
      readonly buildkit_hermetic?: boolean;
      readonly buildkit_reproducible?: boolean;
      readonly buildkit_completeness: { readonly request: boolean; readonly resolvedDependencies: boolean };
    };
  };
};
type Statement = {
  readonly predicateType: string;
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
  readonly predicate: Provenance;
};

const v1 = 'https://slsa.dev/provenance/v1';
const v02 = 'https://slsa.dev/provenance/v0.2';
const spdx = 'https://spdx.dev/Document';
const secret = 'correct-horse-battery-staple';

async function open(): Promise<Sandbox> {
  const sandbox = await openSandbox();
  await sandbox.base('busybox');
  sandbox.files({
    Dockerfile: [
      'FROM busybox AS b',
      'ARG X=1',
      'RUN --network=none --mount=type=secret,id=s echo "$X" > /x',
      'FROM busybox',
      'COPY --from=b /x /y',
      'COPY --chown=1:2 a.txt /z/',
      '',
    ].join('\n'),
    'a.txt': 'a\n',
  });
  return sandbox;
}

/** The documents of an archive by their digests, and the index that its name leads to. */
function readArchive(file: string, folder: string): { readonly index: readonly Descriptor[]; read: (digest: string) => unknown } {
  execFileSync('mkdir', ['-p', folder]);
  execFileSync('tar', ['-C', folder, '-xf', file]);
  const read = (digest: string): unknown => JSON.parse(readFileSync(join(folder, 'blobs', digest.replace(':', '/')), 'utf8'));
  const { manifests } = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as { readonly manifests: readonly Descriptor[] };
  const [top] = manifests;
  assert.equal(top?.mediaType, 'application/vnd.oci.image.index.v1+json');
  return { index: (read(top.digest) as { readonly manifests: readonly Descriptor[] }).manifests, read };
}

function statementsOf({ read }: ReturnType<typeof readArchive>, entry: Descriptor | undefined): readonly Statement[] {
  const { layers } = read(entry?.digest ?? '') as { readonly layers: readonly Descriptor[] };
  return layers.map(({ digest, annotations }) => {
    const statement = read(digest) as Statement;
    assert.equal(annotations?.['in-toto.io/predicate-type'], statement.predicateType);
    return statement;
  });
}

test('provenance and packages stand in the index beside the image, whose manifest is the same without them', async () => {
  await using sandbox = await open();
  sandbox.files({ secret }, 'own');
  const build = ['build', '-q', '-t', 'app', '--build-arg', 'X=2', '--label', 'l=m', '--secret', 'id=s,src=own/secret', 'context'];
  const file = join(sandbox.folder, 'a.tar');
  await sandbox.succeed([...build, '--provenance', 'mode=max,builder-id=https://me', '--sbom', 'true', '-o', `type=oci,dest=${file}`]);
  const archive = readArchive(file, join(sandbox.folder, 'a'));
  const [image, attestation, ...others] = archive.index;
  assert.deepEqual(others, []);
  assert.deepEqual(attestation?.platform, { architecture: 'unknown', os: 'unknown' });
  assert.deepEqual(attestation.annotations, {
    'vnd.docker.reference.digest': image?.digest,
    'vnd.docker.reference.type': 'attestation-manifest',
  });
  const [packages, provenance] = statementsOf(archive, attestation);
  assert.equal(packages?.predicateType, spdx);
  assert.equal(provenance?.predicateType, v1);
  const subject = [
    { name: `pkg:docker/app@latest?platform=linux%2F${image?.platform?.architecture}`, digest: { sha256: image?.digest.slice(7) } },
  ];
  assert.deepEqual(packages.subject, subject);
  assert.deepEqual(provenance.subject, subject);

  const { buildDefinition: definition, runDetails } = provenance.predicate;
  assert.equal(runDetails.builder.id, 'https://me');
  assert.deepEqual(definition.externalParameters, {
    configSource: { path: 'Dockerfile' },
    request: {
      frontend: 'dockerfile.v0',
      args: { 'build-arg:X': '2', 'label:l': 'm' },
      secrets: [{ id: 's', optional: true }],
      locals: [{ name: 'context' }, { name: 'dockerfile' }],
    },
  });
  const [base, ...more] = definition.resolvedDependencies ?? [];
  assert.deepEqual(more, []);
  assert.match(base?.uri ?? '', /^pkg:docker\/busybox@latest\?platform=linux%2F/u);
  const steps = definition.internalParameters.buildConfig?.llbDefinition ?? [];
  assert.deepEqual(
    steps.map(({ op }) => Object.keys(op.Op)[0]),
    ['source', 'exec', 'file', 'source', 'file', undefined],
  );
  assert.deepEqual(steps.at(-1)?.inputs, ['step4:0']);
  const metadata = runDetails.metadata;
  assert.deepEqual(metadata.buildkit_completeness, { request: true, resolvedDependencies: false });
  assert.ok(Date.parse(metadata.startedOn) <= Date.parse(metadata.finishedOn));
  const { source, layers } = metadata.buildkit_metadata;
  assert.equal(
    Buffer.from(source?.infos[0]?.data ?? '', 'base64').toString(),
    readFileSync(join(sandbox.folder, 'context/Dockerfile'), 'utf8'),
  );
  assert.deepEqual(source?.locations['step2'], { locations: [{ ranges: [{ start: { line: 5 }, end: { line: 5 } }] }] });
  const { config } = archive.read(image?.digest ?? '') as { readonly config: Descriptor };
  const { rootfs } = archive.read(config.digest) as { readonly rootfs: { readonly diff_ids: readonly string[] } };
  assert.deepEqual(
    layers?.['step4:0']?.[0]?.map(({ digest }) => digest),
    rootfs.diff_ids,
  );
  assert.ok(!JSON.stringify(provenance).includes(secret));

  // Without them: the same manifest, without an index, also under the name.
  const plain = join(sandbox.folder, 'plain.tar');
  await sandbox.succeed([...build, '-o', `type=oci,dest=${plain}`]);
  const raw = execFileSync('skopeo', ['inspect', '--raw', `oci-archive:${plain}`]);
  assert.equal(`sha256:${createHash('sha256').update(raw).digest('hex')}`, image?.digest);
  await sandbox.succeed(['save', '-o', join(sandbox.folder, 'saved.tar'), '--format', 'oci', 'app']);
  const saved = execFileSync('skopeo', ['inspect', '--raw', `oci-archive:${sandbox.folder}/saved.tar`]);
  assert.deepEqual(saved, raw, 'a build without them takes them away');
});

test('mode=min says nothing of arguments, version=v0.2 has its own words, and the build can be hermetic', async () => {
  await using sandbox = await open();
  sandbox.files({ Dockerfile: 'FROM busybox\nARG X\nRUN --network=none echo x > /x\n' }, 'empty');
  const file = join(sandbox.folder, 'a.tar');
  const wish = 'type=provenance,mode=min,version=v0.2,reproducible=true';
  await sandbox.succeed(['build', '-q', '--build-arg', 'X=2', '--attest', wish, '-o', `type=oci,dest=${file}`, '--target', '0', 'empty']);
  const archive = readArchive(file, join(sandbox.folder, 'a'));
  const [statement] = statementsOf(archive, archive.index[1]);
  assert.equal(statement?.predicateType, v02);
  assert.deepEqual(statement.subject[0]?.name, '_');
  const { metadata, ...rest } = statement.predicate as unknown as { readonly metadata: Readonly<Record<string, unknown>> };
  const { buildInvocationID: id, buildStartedOn: start, buildFinishedOn: end, ...facts } = metadata;
  assert.ok(typeof id === 'string' && typeof start === 'string' && typeof end === 'string');
  assert.deepEqual(facts, {
    completeness: { parameters: false, environment: true, materials: false },
    reproducible: true,
    'https://mobyproject.org/buildkit@v1#metadata': {},
  });
  const { materials, ...invoked } = rest as { readonly materials?: readonly Origin[] };
  assert.equal(materials?.length, 1);
  const platform = `linux/${archive.index[0]?.platform?.architecture}`;
  assert.deepEqual(invoked, {
    builder: { id: '' },
    buildType: 'https://mobyproject.org/buildkit@v1',
    invocation: {
      configSource: { entryPoint: 'Dockerfile' },
      parameters: { frontend: 'dockerfile.v0', args: { target: '0' }, locals: [{ name: 'dockerfile' }] },
      environment: { platform },
    },
  });
});

test('they go with a push and with the name in the store, for each platform; imagetools and skopeo read them', async () => {
  await using sandbox = await open();
  await using registry = await startDockerRegistry();
  const name = `${registry.host}/app:1`;
  sandbox.files({ Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY a.txt /$TARGETARCH\n', 'a.txt': 'a' }, 'two');
  const wanted = ['--platform', 'linux/amd64,linux/arm64', '--provenance=mode=min', '--sbom=true'];
  const metadata = join(sandbox.folder, 'm.json');
  await sandbox.succeed(['build', '-q', ...wanted, '-t', name, '--push', '--metadata-file', metadata, 'two']);
  const raw = await sandbox.succeed(['buildx', 'imagetools', 'inspect', '--raw', name]);
  const { manifests } = JSON.parse(raw) as { readonly manifests: readonly Descriptor[] };
  assert.deepEqual(
    manifests.map((entry) => entry.annotations?.['vnd.docker.reference.digest']),
    [undefined, undefined, manifests[0]?.digest, manifests[1]?.digest],
  );
  const shown = async (field: string): Promise<Readonly<Record<string, Readonly<Record<string, object>>>>> =>
    JSON.parse(await sandbox.succeed(['buildx', 'imagetools', 'inspect', '--format', `{{json .${field}}}`, name])) as Readonly<
      Record<string, Readonly<Record<string, object>>>
    >;
  const [provenance, packages] = [await shown('Provenance'), await shown('SBOM')];
  for (const platform of ['linux/amd64', 'linux/arm64']) {
    assert.ok('buildDefinition' in (provenance[platform]?.['SLSA'] ?? {}), platform);
    assert.ok('spdxVersion' in (packages[platform]?.['SPDX'] ?? {}), platform);
  }
  const made = JSON.parse(readFileSync(metadata, 'utf8')) as Readonly<Record<string, unknown>>;
  for (const key of ['buildx.build.provenance/linux/amd64', 'buildx.build.provenance/linux/arm64']) assert.ok(key in made, key);
  execFileSync('skopeo', ['copy', '-q', '--all', '--src-tls-verify=false', `docker://${name}`, `oci:${sandbox.folder}/copied:1`]);

  const again = `${registry.host}/again:1`;
  await sandbox.succeed(['build', '-q', ...wanted, '-t', again, 'two']);
  await sandbox.succeed(['push', '-q', again]);
  const second = JSON.parse(await sandbox.succeed(['buildx', 'imagetools', 'inspect', '--raw', again])) as typeof made;
  const entries = second['manifests'] as readonly Descriptor[];
  assert.deepEqual(
    entries.slice(0, 2).map(({ digest }) => digest),
    manifests.slice(0, 2).map(({ digest }) => digest),
  );
  assert.equal(entries.length, 4);
});

test('stages and the context that the Dockerfile names have lists of their own, which imagetools shows behind that of the image', async () => {
  await using sandbox = await open();
  await using registry = await startDockerRegistry();
  const name = `${registry.host}/scanned:1`;
  sandbox.files(
    {
      Dockerfile: [
        'ARG BUILDKIT_SBOM_SCAN_CONTEXT=true',
        'FROM busybox AS b',
        'ARG BUILDKIT_SBOM_SCAN_STAGE=true',
        "RUN --network=none printf 'left==1.0\\n' > /requirements.txt && echo x > /x",
        'FROM busybox AS unneeded',
        'ARG BUILDKIT_SBOM_SCAN_STAGE=true',
        'RUN --network=none exit 1',
        'FROM busybox',
        'COPY --from=b /x /y',
        '',
      ].join('\n'),
      'requirements.txt': 'flask==3.0.0\n',
      '.dockerignore': 'away\n',
      'away/requirements.txt': 'ignored==1\n',
    },
    'scan',
  );
  await sandbox.succeed(['build', '-q', '--sbom', 'true', '-t', name, '--push', '-o', 'out', 'scan']);
  const shown = await sandbox.succeed(['buildx', 'imagetools', 'inspect', name, '--format', '{{json .SBOM}}']);
  type List = { readonly name: string; readonly packages: readonly { readonly name: string }[] };
  const { SPDX, AdditionalSPDXs } = JSON.parse(shown) as { readonly SPDX: List; readonly AdditionalSPDXs: readonly List[] };
  assert.equal(SPDX.name, 'sbom');
  assert.deepEqual(
    AdditionalSPDXs.map((list) => [list.name, list.packages[0]?.name]),
    [
      ['sbom-b', 'left'],
      ['sbom-context', 'flask'],
    ],
  );
  assert.ok(!shown.includes('ignored'));
  assert.ok(existsSync(join(sandbox.folder, 'out/sbom-b.spdx.json')));
  const fewer = ['--build-arg', 'BUILDKIT_SBOM_SCAN_STAGE=unneeded', '--build-arg', 'BUILDKIT_SBOM_SCAN_CONTEXT=false'];
  await sandbox.succeed(['build', '-q', '--sbom', 'true', ...fewer, '-o', 'fewer', 'scan']);
  assert.ok(!existsSync(join(sandbox.folder, 'fewer/sbom-b.spdx.json')) && existsSync(join(sandbox.folder, 'fewer/sbom.spdx.json')));
});

test('beside files they are files, about each of them, but provenance that is only for images', async () => {
  await using sandbox = await open();
  const build = ['build', '-q', '--provenance', 'filename=how.json', '--attest', 'type=sbom', 'context'];
  await sandbox.succeed([...build, '-o', 'out', '-o', 'type=tar,dest=out.tar']);
  const out = join(sandbox.folder, 'out');
  const read = (name: string): Statement => JSON.parse(readFileSync(join(out, name), 'utf8')) as Statement;
  const { subject, predicateType } = read('how.json');
  assert.equal(predicateType, v1);
  assert.deepEqual(subject.find(({ name }) => name === 'z/a.txt')?.digest.sha256, createHash('sha256').update('a\n').digest('hex'));
  assert.ok(!subject.some(({ name }) => name.endsWith('.json')));
  assert.deepEqual(read('sbom.spdx.json').subject, subject);
  const inTar = execFileSync('tar', ['-xOf', join(sandbox.folder, 'out.tar'), 'how.json'], { encoding: 'utf8' });
  assert.deepEqual((JSON.parse(inTar) as Statement).subject, subject);

  await sandbox.succeed(['build', '-q', '--provenance', 'inline-only=true', '-o', 'bare', 'context']);
  assert.ok(existsSync(join(sandbox.folder, 'bare/y')) && !existsSync(join(sandbox.folder, 'bare/provenance.json')));
  const platforms = ['--platform', 'linux/amd64,linux/arm64', '--provenance', 'mode=min'];
  sandbox.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' }, 'two');
  await sandbox.succeed(['build', '-q', ...platforms, '-o', 'both', 'two']);
  assert.ok(existsSync(join(sandbox.folder, 'both/linux_arm64/provenance.json')));

  const taken = await sandbox.jettison(['build', '-q', '--provenance', 'filename=y', '-o', 'taken', 'context']);
  assert.equal(taken.status, 1);
  assert.match(taken.stderr, /The result has a file "y" of its own/u);
  assert.ok(!existsSync(join(sandbox.folder, 'taken')));
});

test('a work tree of git tells its commit and where it came from, without the password', async () => {
  await using sandbox = await open();
  const git = (...words: readonly string[]): string =>
    execFileSync('git', ['-C', join(sandbox.folder, 'context'), '-c', 'user.name=n', '-c', 'user.email=e', ...words], { encoding: 'utf8' });
  git('init', '-q');
  git('add', '-A');
  git('commit', '-q', '-m', 'first');
  git('remote', 'add', 'origin', 'https://me:password@example.com/x.git');
  sandbox.files({ 'a.txt': 'changed\n' });
  const vcsWith = async (environment: Readonly<Record<string, string>>): Promise<More['vcs']> => {
    const build = ['build', '-q', '--provenance', 'mode=min', '-o', 'out', 'context'];
    await sandbox.succeed(build, { environment });
    const statement = JSON.parse(readFileSync(join(sandbox.folder, 'out/provenance.json'), 'utf8')) as Statement;
    return statement.predicate.runDetails.metadata.buildkit_metadata.vcs;
  };
  const revision = git('rev-parse', 'HEAD').trim();
  const folders = { 'localdir:context': '.', 'localdir:dockerfile': '.' };
  assert.deepEqual(await vcsWith({}), { ...folders, revision, source: 'https://example.com/x.git' });
  const dirty = await vcsWith({ BUILDX_GIT_CHECK_DIRTY: '1' });
  assert.equal(dirty?.['revision'], `${revision}-dirty`);
  assert.equal(await vcsWith({ BUILDX_GIT_INFO: 'false' }), undefined);
});

test('what cannot be said is refused, and no secret is said', async () => {
  await using sandbox = await open();
  sandbox.files({ secret }, 'own');
  for (const [words, said] of [
    [['--sbom', 'generator=docker/scout-sbom-indexer'], /"generator=docker\/scout-sbom-indexer" of "--sbom" is not built yet/u],
    [['--attest', 'type=other'], /its type is "provenance" or "sbom"/u],
    [['--attest', 'type=sbom', '--attest', 'type=sbom,disabled=true'], /there is one of type "sbom" already/u],
    [['--provenance', 'mode=most'], /use "min" or "max"/u],
    [['--provenance', 'version=v2'], /use "v1" or "v0\.2"/u],
    [['--provenance', 'filename=../x'], /without folders/u],
    [['--provenance', 'true', '-o', 'type=docker,dest=x.tar'], /no place for attestations/u],
    [['--provenance', 'true', '--format', 'docker'], /no place beside a manifest in Docker's form/u],
    [['--provenance', 'true', '-o', 'type=oci,dest=x.tar,oci-mediatypes=false'], /no place beside/u],
    [
      ['--provenance', 'true', '--secret', 'id=s,src=own/secret', '--build-arg', `UNUSED=${secret}`],
      /secret "s" stands in the provenance/u,
    ],
  ] as const) {
    const done = await sandbox.jettison(['build', '-q', '-t', 'app', ...words, 'context']);
    assert.equal(done.status, done.stderr.includes('not built') ? done.status : 1, done.stderr);
    assert.notEqual(done.status, 0);
    assert.match(done.stderr, said);
    assert.equal(await sandbox.succeed(['images', '-q', 'app']), '');
  }
});
