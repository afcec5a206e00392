import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JettisonError } from '#ground/base/errors.ts';
import { dockerfileFrontend } from './frontend.ts';

const platform = { os: 'linux', architecture: 'amd64' };

async function scans(lines: readonly string[], buildArgs: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
  const options = {
    file: 'Dockerfile',
    target: undefined,
    buildArgs: new Map(Object.entries(buildArgs)),
    labels: new Map<string, string>(),
    platform,
    buildPlatform: platform,
    noCache: false,
    noCacheStages: [],
    network: 'default',
    extraHosts: [],
  } as const;
  const outside = { resolveImage: async () => await Promise.reject(new JettisonError('registry/not-found', 'It is not there')) };
  const found = await dockerfileFrontend(`${lines.join('\n')}\n`, options, outside, new AbortController().signal);
  return (found.scans ?? []).map(({ name }) => name);
}

const stage = 'ARG BUILDKIT_SBOM_SCAN_STAGE';
const context = 'ARG BUILDKIT_SBOM_SCAN_CONTEXT';
const stages = ['FROM scratch AS a', 'COPY a /', 'FROM scratch', 'COPY --from=a / /', 'FROM scratch AS unused', 'COPY a /'];
const end = ['FROM scratch', 'COPY --from=1 / /'];

test('an ARG above the first FROM holds for every stage that the target needs, and for the context', async () => {
  assert.deepEqual(await scans([...stages, ...end]), []);
  assert.deepEqual(await scans([...stages, ...end], { BUILDKIT_SBOM_SCAN_STAGE: 'true' }), [], 'without an ARG it does nothing');
  assert.deepEqual(await scans([`${stage}=true`, `${context}=1`, ...stages, ...end]), ['a', 'context', 'stage-1']);
  assert.deepEqual(await scans([`${stage}=true`, ...stages, ...end], { BUILDKIT_SBOM_SCAN_STAGE: 'stage-1,unused' }), ['stage-1']);
  assert.deepEqual(await scans([`${stage}=false`, ...stages, ...end]), []);
});

test('an ARG in a stage holds there, and in what stands on it; of the context that of the target counts', async () => {
  assert.deepEqual(await scans(['FROM scratch AS a', `${stage}=true`, context, 'FROM a AS b', 'COPY a /', ...end]), ['a', 'b']);
  assert.deepEqual(await scans(['FROM scratch AS a', `${stage}=b`, 'FROM a AS b', 'COPY a /', ...end]), ['b']);
  assert.deepEqual(await scans(['FROM scratch AS a', `${context}=true`, 'COPY a /', ...end.slice(0, 1), 'COPY --from=a / /']), []);
  assert.deepEqual(await scans(['FROM scratch AS a', 'COPY a /', 'FROM scratch', `${context}=true`, 'COPY --from=a / /']), ['context']);
  assert.deepEqual(
    await scans([`${stage}=true`, 'FROM scratch AS a', `${stage}=false`, 'COPY a /', 'FROM scratch', 'COPY --from=a / /']),
    [],
  );
});
