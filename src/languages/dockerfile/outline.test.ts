import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JettisonError } from '#ground/base/errors.ts';
import type { Span } from '#ground/base/span.ts';
import { outlineDockerfile } from './outline.ts';

const platform = { os: 'linux', architecture: 'amd64' };

function line({ at }: { readonly at: readonly Span[] }): number {
  return at[0]?.start.line ?? 0;
}

async function outline(text: string, target?: string, buildArgs: Readonly<Record<string, string>> = {}) {
  const options = {
    file: 'Dockerfile',
    target,
    buildArgs: new Map(Object.entries(buildArgs)),
    labels: new Map<string, string>(),
    platform,
    buildPlatform: platform,
    noCache: false,
    noCacheStages: [],
    network: 'default',
    extraHosts: [],
  } as const;
  const outside = {
    async resolveImage(reference: string) {
      return await Promise.reject(new JettisonError('registry/not-found', `${reference} is not there`));
    },
  };
  const found = await outlineDockerfile(text, options, outside, new AbortController().signal);
  return {
    target: [found.name, found.description],
    arguments: found.arguments.map((each) => [each.name, each.value, each.description, line(each)]),
    secrets: found.secrets.map((each) => [each.id, each.required, line(each)]),
    ssh: found.ssh.map((each) => [each.id, each.required, line(each)]),
    caches: found.caches.map((each) => [each.id, line(each)]),
  };
}

// What BuildKit (docker 28.5) says of the same text.
const text = `# BASE is the base image
# other
ARG BASE=scratch
ARG TAG=1\${BASE}
# UNUSED is not used
ARG UNUSED=3
ARG PLAIN
# build Builds it
FROM \${BASE} AS Build
# V1 the first
# V2 the second one
ARG V1=a V2=\${V1}b
ARG TARGETARCH
ARG TAG
RUN --mount=type=secret,id=npm,required --mount=type=cache,target=/root/.cache --mount=type=ssh x
FROM scratch AS other
ARG NOT=1
RUN --mount=type=secret,id=nope y
# final The result
FROM build AS final
ARG V1
# LONGER than others
ARG LONGER="with space"
ARG EMPTY=
COPY --from=other /a /b
RUN --mount=type=secret,target=/x/tok --mount=type=ssh,id=gh,required=true z
FROM missing AS unneeded
`;

test('a target and all that it needs', async () => {
  assert.deepEqual(await outline(text, 'final', { EMPTY: 'given' }), {
    target: ['final', 'The result'],
    arguments: [
      ['BASE', 'scratch', 'is the base image', 3],
      ['TAG', '1scratch', undefined, 4],
      ['V2', 'ab', 'the second one', 12],
      ['NOT', '1', undefined, 17],
      ['V1', undefined, undefined, 21],
      ['LONGER', 'with space', 'than others', 23],
      ['EMPTY', 'given', undefined, 24],
    ],
    secrets: [
      ['npm', true, 15],
      ['nope', false, 18],
      ['tok', false, 26],
    ],
    ssh: [
      ['default', false, 15],
      ['gh', true, 26],
    ],
    caches: [['/root/.cache', 15]],
  });
});

test('a target by itself: what it does not need is not asked for', async () => {
  const { arguments: found, secrets } = await outline(text, 'build');
  assert.deepEqual(
    found.map(([name, value]) => [name, value]),
    [
      ['BASE', 'scratch'],
      ['TAG', '1scratch'],
      ['V1', 'a'],
      ['V2', 'ab'],
    ],
  );
  assert.deepEqual(secrets, [['npm', true, 15]]);
  assert.deepEqual(await outline('FROM scratch'), { target: [undefined, undefined], arguments: [], secrets: [], ssh: [], caches: [] });
});

test('ids with variables, the last of two declarations, platform arguments that are declared above', async () => {
  const found = await outline('ARG TARGETOS\nFROM scratch\nARG A=1\nARG A=2\nARG TARGETOS\nRUN --mount=type=secret,id=x$A,env=T y');
  assert.deepEqual(found.arguments, [
    ['TARGETOS', 'linux', undefined, 1],
    ['A', '2', undefined, 4],
  ]);
  assert.deepEqual(found.secrets, [['x2', false, 6]]);
});

test('long chains of arguments above the first FROM', async () => {
  const chain = Array.from({ length: 20_000 }, (_, index) => `ARG a${index + 1}=$a${index}\n`).join('');
  const { arguments: found } = await outline(`ARG a0=x\n${chain}FROM scratch\nARG a20000`);
  assert.equal(found.length, 20_001);
  assert.deepEqual(found.at(-1), ['a20000', 'x', undefined, 20_001]);
});

test('faults of the text, of the target and of its images are thrown', async () => {
  await assert.rejects(outline('FROM scratch\nRUM x'), { code: 'dockerfile/syntax' });
  await assert.rejects(outline('FROM scratch', 'gone'), { code: 'dockerfile/unknown-target' });
  await assert.rejects(outline('FROM missing'), { code: 'registry/not-found' });
  await assert.rejects(outline('FROM scratch\nRUN --mount=type=secret x'), { code: 'dockerfile/bad-mount' });
});
