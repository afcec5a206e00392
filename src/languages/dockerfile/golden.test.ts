/**
 * Each folder of test/fixtures/dockerfile holds a Dockerfile, maybe `options.json` (buildArgs, target, platform), and what comes of it:
 * `graph.txt`, `config.txt`, `diagnostics.txt`. `UPDATE=1` writes them anew; read the difference.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { digestOf } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Span } from '#ground/base/span.ts';
import { neededFor, type Edge, type Vertex } from '#formats/graph/vertex.ts';
import type { ContainerConfig, ImageConfig } from '#formats/oci/image-config.ts';
import { parsePlatform } from '#formats/oci/platform.ts';
import type { FrontendOptions, Outside } from '#languages/frontend/contract.ts';
import { dockerfileFrontend } from './frontend.ts';

const fixtures = join(import.meta.dirname, '../../../test/fixtures/dockerfile');
const native = { os: 'linux', architecture: 'amd64' };
const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Base images that the fixtures may name. */
const images = new Map<string, ContainerConfig>([
  ['docker.io/library/base:latest', { Env: [path], Cmd: ['sh'] }],
  [
    'docker.io/library/rich:1.2',
    { Env: ['HOME=/home/me', 'LANG=C'], Entrypoint: ['/init'], User: 'me', WorkingDir: '/home/me', Labels: { a: '1' } },
  ],
  ['docker.io/library/triggers:latest', { Env: [path], OnBuild: ['ARG MODE=fast', 'COPY --from=assets /out /assets', 'RUN make $MODE'] }],
  ['registry.test/tools/assets:latest', { Env: [path] }],
]);

const outside: Outside = {
  async resolveImage(reference) {
    const config = images.get(reference);
    if (!config) throw new JettisonError('registry/not-found', `Image "${reference}" does not exist`);
    const layers = [digestOf(`layer of ${reference}`)];
    const image: ImageConfig = {
      created: '2024-01-01T00:00:00Z',
      ...native,
      config,
      rootfs: { type: 'layers', diff_ids: layers },
      history: [{ created: '2024-01-01T00:00:00Z', created_by: `made ${reference}` }],
    };
    return { name: reference.slice(0, reference.lastIndexOf(':')), shown: reference, manifest: digestOf(reference), config: image };
  },
};

type FixtureOptions = {
  readonly buildArgs?: Record<string, string>;
  readonly target?: string;
  readonly platform?: string;
  readonly noCache?: boolean;
};

for (const name of readdirSync(fixtures)) {
  test(`dockerfile fixture ${name}`, async () => {
    const folder = join(fixtures, name);
    const given = existsSync(join(folder, 'options.json'))
      ? (JSON.parse(readFileSync(join(folder, 'options.json'), 'utf8')) as FixtureOptions)
      : {};
    const results = await convert(readFileSync(join(folder, 'Dockerfile'), 'utf8'), given);
    for (const [file, text] of Object.entries(results)) {
      if (process.env['UPDATE'] === '1') {
        if (text === '') rmSync(join(folder, file), { force: true });
        else writeFileSync(join(folder, file), text);
      } else assert.equal(text, existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8') : '', `${name}/${file}`);
    }
  });
}

test('many arguments and a step that names many variables', async () => {
  const size = 40_000;
  const text = `FROM scratch\n${Array.from({ length: size }, (_, index) => `ARG a${index}=1\n`).join('')}COPY ${'$b'.repeat(size * 8)} /`;
  // Time of the processor, so that a busy machine does not count.
  const start = process.cpuUsage();
  assert.match((await convert(text, {}))['graph.txt'], /^#2\* file/mu);
  const time = process.cpuUsage(start).user / 1000;
  assert.ok(time < 3000, `${Math.round(time)} ms`);
});

async function convert(source: string, given: FixtureOptions): Promise<Record<'graph.txt' | 'config.txt' | 'diagnostics.txt', string>> {
  const options: FrontendOptions = {
    file: 'Dockerfile',
    target: given.target,
    buildArgs: new Map(Object.entries(given.buildArgs ?? {})),
    labels: new Map(),
    platform: given.platform === undefined ? native : parsePlatform(given.platform, native),
    buildPlatform: native,
    noCache: given.noCache ?? false,
    noCacheStages: [],
    network: 'default',
    extraHosts: [],
  };
  try {
    const result = await dockerfileFrontend(source, options, outside, new AbortController().signal);
    const { rootfs: _rootfs, ...config } = result.imageConfig;
    const warnings = result.diagnostics.map((each) => `${placeOf(each.at)} ${each.rule}: ${each.message}\n  ${each.hint ?? ''}`.trimEnd());
    return {
      'graph.txt': printGraph(result.goal, result.layers),
      'config.txt': `${JSON.stringify(config, null, 2)}\n`,
      'diagnostics.txt': warnings.map((line) => `${line}\n`).join(''),
    };
  } catch (error) {
    if (!(error instanceof JettisonError)) throw error;
    const lines = [
      `${placeOf(error.at)} ${error.code}: ${error.message}`,
      `  ${error.hint ?? ''}`,
      ...error.notes.map((note) => `  ${note}`),
    ];
    return { 'graph.txt': '', 'config.txt': '', 'diagnostics.txt': `${lines.join('\n').trimEnd()}\n` };
  }
}

/** One paragraph a vertex, inputs first; `*` marks what makes a layer of the image. */
function printGraph(goal: Edge | undefined, layers: readonly string[]): string {
  if (!goal) return '(no files)\n';
  const vertices = neededFor(goal);
  const names = new Map(vertices.map((vertex, index) => [vertex.digest, `#${index + 1}`]));
  return vertices.map((vertex) => printVertex(vertex, names, layers.includes(vertex.digest))).join('\n');
}

function printVertex({ digest, op, inputs, label }: Vertex, names: ReadonlyMap<string, string>, isLayer: boolean): string {
  const { at, text, stage, step, steps, ...rest } = label;
  const place = at?.[0] ? ` (${placeOf(at)})` : '';
  const number = stage === undefined ? '' : `[${stage} ${step}/${steps}] `;
  const members = Object.entries({ ...op, ...rest }).filter(([key, value]) => key !== 'kind' && !isUsual(key, value));
  const lines = members.map(([key, value]) => `  ${key}: ${JSON.stringify(value)}`);
  const from = inputs.map((input) => names.get(input.vertex.digest)).join(' ');
  return `${names.get(digest)}${isLayer ? '*' : ''} ${op.kind}${from === '' ? '' : ` from ${from}`}: ${number}${text}${place}\n${lines.map((line) => `${line}\n`).join('')}`;
}

/** Members that are the same in nearly every vertex. */
function isUsual(key: string, value: unknown): boolean {
  const usual: Record<string, string> = {
    network: '"default"',
    security: '"sandbox"',
    extraHosts: '[]',
    hostname: '"buildkitsandbox"',
    shmSize: 'null',
    mounts: '[]',
    user: '""',
    workingDirectory: '"/"',
  };
  return usual[key] === JSON.stringify(value);
}

function placeOf(at: readonly Span[]): string {
  return at.map(({ start, end }) => `${start.line}:${start.column}-${end.line}:${end.column}`).join(' ') || '-';
}
