/**
 * Mutation fuzzing of the Dockerfile language: `npm run fuzz -- [--minutes N] [--seed N]`. Takes the Dockerfiles of test/fixtures, of the
 * lint rules and random ones, breaks and joins them, and checks of each: no function throws but as it should (JettisonError), every span
 * is where its word is, what is printed reads as the same tree, and the time of the processor stays linear. Prints what fails, made
 * small, and exits 1.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { digestOf } from '../src/ground/base/digest.ts';
import { JettisonError } from '../src/ground/base/errors.ts';
import type { Dockerfile } from '../src/languages/dockerfile/ast.ts';
import { dockerfileFrontend } from '../src/languages/dockerfile/frontend.ts';
import { lintDockerfile, parseDockerfile, printDockerfile } from '../src/languages/dockerfile/library.ts';
import type { Outside } from '../src/languages/frontend/contract.ts';
import { rules } from '../src/languages/dockerfile/lint.ts';
import { anyDockerfile } from '../test/kit/dockerfiles.ts';
import { checkSpans } from '../test/kit/spans.ts';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } } });
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
const end = Date.now() + Number(values.minutes) * 60_000;
const random = createRandom(seed);
const corpus = [
  ...globSync('test/fixtures/dockerfile/*/Dockerfile').map((file) => readFileSync(file, 'utf8')),
  ...rules.flatMap(({ example }) => (example ? [example.bad, example.good] : [])),
  ...fc.sample(anyDockerfile, { numRuns: 300, seed }),
];
const tokens =
  `FROM RUN COPY ADD ENV ARG LABEL ONBUILD HEALTHCHECK CMD EXPOSE VOLUME SHELL USER WORKDIR AS scratch --mount= --from= --chown=
  type=cache type=secret target=/x id=\${A} \${a:-b} \${a##*} \${a%?} \${a//b/c} \${a:?x} $X $ <<EOF <<-EOF <<"E" EOF E [" "] ["a"] \\ \` # #check=skip=all #escape=\` " ' { }
  -- - = : , ; / 😀 \ud800 \u00a0 \u2028 \ufeff \0 \r`
    .split(/[ \n]+/u)
    .concat([' ', '\t', '\n', '\r\n', '\v', '\\\n', '\n\n', '\n# c\n', '\nEOF\n']);

const options = {
  file: 'Dockerfile',
  target: undefined,
  buildArgs: new Map([['A', 'given']]),
  labels: new Map<string, string>(),
  platform: { os: 'linux', architecture: 'amd64' },
  buildPlatform: { os: 'linux', architecture: 'arm64' },
  noCache: false,
  noCacheStages: [],
  network: 'default',
  extraHosts: [],
} as const;
/** Every image is there; some have triggers. */
const outside: Outside = {
  async resolveImage(reference, platform) {
    const triggers = reference.length % 3 === 0 ? ['ARG T=$A', 'RUN --mount=type=cache,target=/x echo $T'] : [];
    const config = {
      ...platform,
      config: { Env: ['PATH=/bin', 'X=y'], WorkingDir: '/w', OnBuild: triggers },
      rootfs: { type: 'layers', diff_ids: [digestOf(reference)] },
      history: [{ created_by: 'x' }],
    } as const;
    return await Promise.resolve({ name: reference, shown: reference, manifest: digestOf(reference), config });
  },
};

let executions = 0;
let converted = 0;
const findings = new Map<string, string>();
console.log(`seed ${seed}, ${corpus.length} files`);
while (Date.now() < end) {
  const text = mutate(pick(corpus));
  executions++;
  const fault = await faultOf(text);
  if (fault === undefined) {
    // What has become a good Dockerfile may be broken further.
    if (text.length < 4000 && random() < 0.02) corpus[Math.floor(random() * corpus.length)] = text;
    continue;
  }
  const kind = fault.split('\n', 2).join(' ').slice(0, 160);
  if (findings.has(kind)) continue;
  findings.set(kind, await shrink(text, kind));
  console.log(`${fault}\n  of ${JSON.stringify(findings.get(kind))}`);
}
console.log(`${executions} executions (${converted} gave a graph), ${findings.size} findings`);
if (findings.size > 0) process.exitCode = 1;

/** What is wrong with how `text` is treated. */
async function faultOf(text: string): Promise<string | undefined> {
  try {
    const start = process.cpuUsage();
    const { dockerfile, diagnostics } = parseDockerfile(text);
    checkSpans(text, dockerfile);
    for (const { spans } of [...diagnostics, ...lintDockerfile(text)])
      for (const { start: from, end: to } of spans) assert.ok(0 <= from.offset && from.offset <= to.offset && to.offset <= text.length);
    if (diagnostics.length === 0) checkPrinting(dockerfile);
    await convert(text);
    const { user } = process.cpuUsage(start);
    // A generous millisecond for every 20 characters, and 200 for garbage collection.
    assert.ok(user / 1000 < 200 + text.length / 20, `slow: ${text.length} characters took ${user / 1000} ms`);
    return undefined;
  } catch (error) {
    return error instanceof Error
      ? `${error.name}: ${error.message}\n${error.stack?.split('\n').find((line) => line.includes('/src/')) ?? ''}`
      : String(error);
  }
}

async function convert(text: string): Promise<void> {
  try {
    await dockerfileFrontend(text, options, outside, new AbortController().signal);
    converted++;
  } catch (error) {
    if (!(error instanceof JettisonError) || error.fault === 'bug') throw error;
  }
}

function checkPrinting(dockerfile: Dockerfile): void {
  const printed = printDockerfile(dockerfile);
  const again = parseDockerfile(printed);
  assert.deepEqual(again.diagnostics, [], `printed ${JSON.stringify(printed)}`);
  assert.equal(meaningOf(again.dockerfile), meaningOf(dockerfile), 'printed otherwise');
}

/** The tree without places, and without the text that only says how it was written. */
function meaningOf(dockerfile: Dockerfile): string {
  return JSON.stringify(dockerfile, (key, value: unknown) => {
    if (key === 'emptyContinuation') return value !== undefined;
    return key === 'span' || key.endsWith('Span') || key === 'source' ? undefined : value;
  });
}

/** Takes pieces out as long as the same fault stays. */
async function shrink(text: string, kind: string): Promise<string> {
  let best = text;
  for (let size = best.length >> 1; size > 0; size = size === 1 ? 0 : size >> 1) {
    for (let at = 0; at < best.length;) {
      const shorter = best.slice(0, at) + best.slice(at + size);
      const fault = await faultOf(shorter);
      if (fault !== undefined && fault.split('\n', 2).join(' ').slice(0, 160) === kind) best = shorter;
      else at += size;
    }
  }
  return best;
}

function mutate(text: string): string {
  let result = text;
  for (let times = 1 + Math.floor(random() * 5); times > 0; times--) {
    const at = Math.floor(random() * (result.length + 1));
    const length = Math.floor(random() ** 3 * 40);
    const rest = result.slice(at + length);
    switch (Math.floor(random() * 7)) {
      case 0:
        result = result.slice(0, at) + rest;
        break;
      case 1:
        result = result.slice(0, at) + result.slice(at, at + length).repeat(1 + Math.floor(random() ** 4 * 200)) + rest;
        break;
      case 2: {
        const other = pick(corpus);
        result = result.slice(0, at) + other.slice(Math.floor(random() * other.length));
        break;
      }
      case 3:
        result = result.slice(0, at) + String.fromCharCode(Math.floor(random() ** 4 * 0x1_0000)) + result.slice(at);
        break;
      default:
        result = result.slice(0, at) + pick(tokens) + result.slice(at);
    }
  }
  return result.slice(0, 20_000);
}

function pick<T>(list: readonly T[]): T {
  const one = list[Math.floor(random() * list.length)];
  if (one === undefined) throw new Error('Nothing to pick from');
  return one;
}

/** mulberry32: the same numbers for the same seed. */
function createRandom(from: number): () => number {
  let state = from;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
