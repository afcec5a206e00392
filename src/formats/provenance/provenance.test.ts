import { test } from 'node:test';
import assert from 'node:assert/strict';
import type { ExecOp, FileOp, Mount } from '#formats/graph/op.ts';
import { createVertex, outputOf } from '#formats/graph/vertex.ts';
import { parseReference } from '#formats/oci/reference.ts';
import { digestOf } from '#ground/base/digest.ts';
import { execJson } from './exec-step.ts';
import { fileActionsJson } from './file-step.ts';
import { imagePurl } from './image-purl.ts';
import { predicate, withoutDetails, type BuildFacts } from './predicate.ts';
import { statementBytes } from './statement.ts';
import { describeBuild } from './steps.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('images are package URLs as BuildKit writes them', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  for (const [name, url] of [
    ['busybox', 'pkg:docker/busybox@latest?platform=linux%2Famd64'],
    ['user/app:v1', 'pkg:docker/user/app@v1?platform=linux%2Famd64'],
    ['127.0.0.1:5000/a/b:1', 'pkg:docker/127.0.0.1:5000/a/b@1?platform=linux%2Famd64'],
    [`busybox@${digest}`, `pkg:docker/busybox?digest=${digest}&platform=linux%2Famd64`],
  ] as const)
    assert.equal(imagePurl(parseReference(name), amd64), url);
  assert.match(imagePurl(parseReference('a'), { os: 'linux', architecture: 'arm', variant: 'v7' }), /platform=linux%2Farm%2Fv7$/u);
});

test('a statement keeps its predicate byte for byte, whatever names it has', () => {
  const text = '{\n  "a": 1.0}';
  const name = 'a"\\\u{1f600}';
  const bytes = statementBytes([{ name, digest: digestOf('x') }], { predicateType: 't', predicate: new TextEncoder().encode(text) });
  const shown = new TextDecoder().decode(bytes);
  assert.ok(shown.endsWith(`"predicate":${text}}`));
  const { subject } = JSON.parse(shown) as {
    readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
  };
  assert.deepEqual(subject, [{ name, digest: { sha256: digestOf('x').slice(7) } }]);
});

const exec: ExecOp = {
  kind: 'exec',
  root: 0,
  arguments: ['/bin/sh', '-c', 'x'],
  environment: ['A=b'],
  workingDirectory: '/w',
  user: '',
  network: 'default',
  security: 'sandbox',
  mounts: [],
  extraHosts: [],
  hostname: '',
  shmSize: null,
};

test('a process has the members of an ExecOp; nothing is said where BuildKit says nothing', () => {
  assert.deepEqual(plain(execJson(exec)), {
    meta: { args: ['/bin/sh', '-c', 'x'], env: ['A=b'], cwd: '/w', removeMountStubsRecursive: true },
    mounts: [{ dest: '/' }],
  });
  const lent = { uid: 0, gid: 3, mode: 0o400 };
  const mounts: readonly Mount[] = [
    { kind: 'bind', input: 1, source: '/s', target: '/t', readOnly: true },
    { kind: 'cache', id: 'c', input: null, source: '/', target: '/c', sharing: 'locked', readOnly: false, mode: 0, uid: 0, gid: 0 },
    { kind: 'tmpfs', target: '/tmp', size: 5 },
    { kind: 'secret', id: 's', target: '/run/s', variable: 'V', required: true, ...lent },
    { kind: 'secret', id: 'only', target: null, variable: 'W', required: false, ...lent },
    { kind: 'ssh', id: 'default', target: '/agent', required: false, ...lent },
  ];
  const more = { ...exec, root: null, network: 'none', security: 'insecure', extraHosts: ['h:1::2'], mounts, shmSize: 7 } as const;
  const { meta, ...rest } = plain(execJson(more)) as { readonly meta: Readonly<Record<string, unknown>> };
  assert.deepEqual(meta['extraHosts'], [{ Host: 'h', IP: '1::2' }]);
  assert.deepEqual(rest, {
    mounts: [
      { input: -1, dest: '/' },
      { input: 1, selector: '/s', dest: '/t', output: -1, readonly: true },
      { input: -1, dest: '/c', output: -1, mountType: 3, cacheOpt: { ID: 'c', sharing: 2 } },
      { input: -1, dest: '/tmp', output: -1, mountType: 4, TmpfsOpt: { size: 5 } },
      { input: -1, dest: '/run/s', output: -1, mountType: 1, secretOpt: { ID: 's', gid: 3, mode: 256 } },
      { input: -1, dest: '/agent', output: -1, mountType: 2, SSHOpt: { ID: 'default', gid: 3, mode: 256, optional: true } },
      { input: -1, dest: '/dev/shm', output: -1, mountType: 4, TmpfsOpt: { size: 7 } },
    ],
    network: 2,
    security: 1,
    secretenv: [
      { ID: 's', name: 'V' },
      { ID: 'only', name: 'W', optional: true },
    ],
  });
});

const copy = {
  kind: 'copy',
  input: 1,
  sources: ['/a', '/b'],
  wildcards: true,
  destination: '/d',
  destinationIsFolder: true,
  owner: '1:staff',
  mode: 'u+x',
  unpack: false,
  exclude: ['*.o'],
  parents: false,
} as const;

test('actions stand on each other, and the last one is the result', () => {
  const folder = { kind: 'make-folder', path: '/w', mode: 0o755, owner: null } as const;
  const file = { kind: 'write-file', path: '/w', name: 'n', destinationIsFolder: true, text: 'é', mode: null, owner: null } as const;
  const op: FileOp = { kind: 'file', base: 0, actions: [folder, copy, file] };
  const shared = {
    dest: '/d/',
    owner: { user: { User: { byId: 1 } }, group: { User: { byName: { name: 'staff' } } } },
    mode: -1,
    modeStr: 'u+x',
    followSymlink: true,
    dirCopyContents: true,
    createDestPath: true,
    allowWildcard: true,
    allowEmptyWildcard: true,
    timestamp: -1,
    excludePatterns: ['*.o'],
  };
  assert.deepEqual(plain(fileActionsJson(op, 2)), [
    { input: 0, secondaryInput: -1, output: -1, Action: { mkdir: { path: '/w', mode: 493, makeParents: true, timestamp: -1 } } },
    { input: 2, secondaryInput: 1, output: -1, Action: { copy: { src: '/a', ...shared } } },
    { input: 3, secondaryInput: 1, output: -1, Action: { copy: { src: '/b', ...shared } } },
    { input: 4, secondaryInput: -1, output: 0, Action: { mkfile: { path: '/w/n', mode: -1, data: 'w6k=', timestamp: -1 } } },
  ]);
  assert.deepEqual(plain(fileActionsJson({ ...op, base: null, actions: [folder] }, 0)), [
    { input: -1, secondaryInput: -1, output: 0, Action: { mkdir: { path: '/w', mode: 493, makeParents: true, timestamp: -1 } } },
  ]);
});

test('a graph is steps that name each other, the Dockerfile with its lines, and layers', () => {
  const image = createVertex({ kind: 'source-image', name: 'docker.io/library/x', manifest: digestOf('m') }, [], { text: 'FROM x' });
  const remote = { kind: 'source-git', remote: 'https://u:p@host/r.git', ref: 'v1', subfolder: 'd', checksum: '' } as const;
  const git = createVertex({ ...remote, keepGitFolder: true, submodules: true, times: 'commit' }, [], { text: '' });
  const at = [{ file: 'Dockerfile', start: { line: 2, column: 1 }, end: { line: 3, column: 4 } }];
  const goal = createVertex({ kind: 'file', base: 0, actions: [copy] }, [outputOf(image), outputOf(git)], { text: 'COPY', at });
  const { config, source, layers } = describeBuild({
    goal: outputOf(goal),
    platform: amd64,
    file: { name: 'Dockerfile', text: 'FROM x\n' },
    imageOf: () => ({ name: 'docker.io/library/x:latest', platform: { ...amd64, variant: 'v3' } }),
    shown: (address) => address.replace('u:p@', ''),
    layersUpTo: (vertex) => (vertex === goal.digest ? [digestOf('1'), digestOf('2')] : undefined),
  });
  const [first, second, third, last] = plain(config.llbDefinition) as readonly { readonly op: unknown; readonly inputs?: unknown }[];
  assert.deepEqual(first, {
    id: 'step0',
    op: {
      Op: { source: { identifier: 'docker-image://docker.io/library/x:latest' } },
      platform: { Architecture: 'amd64', OS: 'linux', Variant: 'v3' },
      constraints: {},
    },
  });
  assert.deepEqual(second?.op, {
    Op: { source: { identifier: 'git://host/r.git#v1:d', attrs: { 'git.fullurl': 'https://host/r.git', 'git.keepgitdir': 'true' } } },
    constraints: {},
  });
  assert.deepEqual(third?.inputs, ['step0:0', 'step1:0']);
  assert.deepEqual(last, { id: 'step3', op: { Op: {} }, inputs: ['step2:0'] });
  assert.deepEqual(config.digestMapping, { [image.digest]: 'step0', [git.digest]: 'step1', [goal.digest]: 'step2' });
  assert.deepEqual(plain(source), {
    locations: { step0: {}, step1: {}, step2: { locations: [{ ranges: [{ start: { line: 2 }, end: { line: 3 } }] }] } },
    infos: [{ filename: 'Dockerfile', language: 'Dockerfile', data: 'RlJPTSB4Cg==' }],
  });
  assert.deepEqual(Object.keys(layers), ['step2:0']);
});

const facts: BuildFacts = {
  context: { uri: 'https://host/r.git#v1', digest: { sha1: 'abc' } },
  file: 'Dockerfile',
  options: { target: 't', 'label:l': 'm', 'build-arg:A': 'b' },
  secrets: [{ id: 's', isOptional: false }],
  agents: [],
  folders: [],
  materials: [{ uri: 'https://host/r.git#v1', digest: { sha1: 'abc' } }],
  hadNetwork: false,
  platform: 'linux/amd64',
  builderId: 'https://me',
  buildId: 'id',
  startedAt: 0,
  finishedAt: 1500,
  isReproducible: true,
  vcs: {},
  build: undefined,
};

test('both versions of SLSA say the same in their words; arguments and secrets are for max alone', () => {
  assert.deepEqual(plain(predicate(facts, 'min', 'v1')), {
    buildDefinition: {
      buildType: 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md',
      externalParameters: {
        configSource: { ...facts.context, path: 'Dockerfile' },
        request: { frontend: 'dockerfile.v0', args: { target: 't' } },
      },
      internalParameters: { builderPlatform: 'linux/amd64' },
      resolvedDependencies: facts.materials,
    },
    runDetails: {
      builder: { id: 'https://me' },
      metadata: {
        invocationID: 'id',
        startedOn: '1970-01-01T00:00:00.000Z',
        finishedOn: '1970-01-01T00:00:01.500Z',
        buildkit_metadata: {},
        buildkit_hermetic: true,
        buildkit_completeness: { request: false, resolvedDependencies: true },
        buildkit_reproducible: true,
      },
    },
  });
  const max = plain(predicate({ ...facts, hadNetwork: true }, 'max', 'v0.2')) as {
    readonly invocation: { readonly parameters: unknown };
    readonly metadata: Readonly<Record<string, unknown>>;
  };
  assert.deepEqual(max.invocation.parameters, {
    frontend: 'dockerfile.v0',
    args: { 'build-arg:A': 'b', 'label:l': 'm', target: 't' },
    secrets: [{ id: 's' }],
  });
  assert.deepEqual(max.metadata['completeness'], { parameters: true, environment: true, materials: true });
  assert.ok(!('https://mobyproject.org/buildkit@v1#hermetic' in max.metadata));
  assert.deepEqual(Object.keys(withoutDetails(facts, 'v0.2') as object), ['builder', 'buildType', 'materials', 'invocation']);
});
