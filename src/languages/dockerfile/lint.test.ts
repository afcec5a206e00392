import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '#ground/base/digest.ts';
import { cancelled } from '#ground/base/abort.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { FrontendOptions, Outside } from '#languages/frontend/contract.ts';
import type { Diagnostic } from '#languages/frontend/diagnostics.ts';
import { checkDockerfile, lintDockerfile, rules } from './lint.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const options: FrontendOptions = {
  file: 'Dockerfile',
  target: undefined,
  buildArgs: new Map(),
  labels: new Map(),
  platform,
  buildPlatform: platform,
  noCache: false,
  noCacheStages: [],
  network: 'default',
  extraHosts: [],
};

/** One image, `base`, that sets HOME. */
const outside: Outside = {
  async resolveImage(reference) {
    if (reference !== 'docker.io/library/base:latest') throw new JettisonError('registry/not-found', `${reference} does not exist`);
    const config = { ...platform, config: { Env: ['HOME=/root'] }, rootfs: { type: 'layers', diff_ids: [digestOf('layer')] } } as const;
    return { name: 'docker.io/library/base', shown: reference, manifest: digestOf(reference), config };
  },
};

function shown(found: readonly Diagnostic[]): readonly string[] {
  return found.map(({ at, rule, severity }) => `${at[0]?.start.line} ${severity === 'error' ? '!' : ''}${rule}`);
}

test('there are 23 rules, each with its own name', () => {
  assert.equal(new Set(rules.map(({ name }) => name)).size, 23);
});

for (const { name, example } of rules) {
  if (!example) continue;
  test(`the bad example of ${name} is found, the good one is good`, () => {
    const found = (text: string): readonly string[] =>
      lintDockerfile(text, 'Dockerfile', { ignorePatterns: example.ignored ?? [] }).map(({ rule }) => rule);
    assert.ok(found(example.bad).includes(name));
    assert.deepEqual(found(example.good), []);
  });
}

test('without images nothing is said of variables that an image may set', () => {
  const text = 'FROM base\nLABEL a=$HOME b=$HOEM\nFROM scratch\nLABEL a=$HOME';
  assert.deepEqual(shown(lintDockerfile(text, 'Dockerfile')), ['4 UndefinedVar']);
});

test('with images every stage is looked at, or what the target needs', async () => {
  const text = 'FROM base AS a\nLABEL a=$HOME b=$HOEM\nFROM scratch\nCMD x';
  const { signal } = new AbortController();
  const all = await checkDockerfile(text, options, outside, signal);
  assert.deepEqual(shown(all), ['2 UndefinedVar', '4 JSONArgsRecommended']);
  assert.match(all[0]?.message ?? '', /did you mean \$HOME\?/u);
  assert.deepEqual(shown(await checkDockerfile(text, { ...options, target: 'a' }, outside, signal)), ['2 UndefinedVar']);
});

test('faults stand among the findings', async () => {
  const { signal } = new AbortController();
  assert.deepEqual(shown(await checkDockerfile('FROM base as x\nFROM gone', options, outside, signal)), [
    '1 FromAsCasing',
    '2 !BuildError',
  ]);
  assert.deepEqual(shown(lintDockerfile('from a\nLABEL x=1\nRUN --device=x y\nMAINTAINER m', 'Dockerfile')), [
    '1 ConsistentInstructionCasing',
    '3 !NotBuiltYet',
    '4 MaintainerDeprecated',
  ]);
  assert.deepEqual(shown(lintDockerfile('# check=nonsense\nFROM a as b', 'Dockerfile')), ['1 !BuildError', '2 FromAsCasing']);
});

test('an aborted check rejects', async () => {
  const controller = new AbortController();
  controller.abort(cancelled('stop'));
  await assert.rejects(checkDockerfile('FROM base', options, outside, controller.signal), { code: 'base/cancelled' });
});

test('copies of ignored files are told, unless the ignore file has exceptions', () => {
  const text = 'FROM scratch\nCOPY a.md docs/x /\nCOPY . /\nCOPY --from=base a.md /';
  const lint = (ignorePatterns: readonly string[]): readonly string[] => shown(lintDockerfile(text, 'Dockerfile', { ignorePatterns }));
  assert.deepEqual(lint(['*.md', 'docs']), ['2 CopyIgnoredFile', '2 CopyIgnoredFile']);
  assert.deepEqual(lint(['*']), ['2 CopyIgnoredFile', '2 CopyIgnoredFile', '3 CopyIgnoredFile']);
  assert.deepEqual(lint(['*.md', '!a.md']), []);
});

test('rules are switched off for the file, for one instruction, or by a build argument', () => {
  const body = 'FROM scratch AS A\nFROM scratch as b';
  assert.deepEqual(shown(lintDockerfile(body, 'Dockerfile')), ['1 StageNameCasing', '2 FromAsCasing']);
  assert.deepEqual(shown(lintDockerfile(`# check=skip=all\n${body}`, 'Dockerfile')), []);
  assert.deepEqual(shown(lintDockerfile(`# check=skip=FromAsCasing;error=true\n${body}`, 'Dockerfile')), ['2 StageNameCasing']);
  assert.deepEqual(shown(lintDockerfile(`# words\n# check=skip=StageNameCasing\n${body}`, 'Dockerfile')), ['4 FromAsCasing']);
  const buildArgs = new Map([['BUILDKIT_DOCKERFILE_CHECK', 'skip=StageNameCasing']]);
  assert.deepEqual(shown(lintDockerfile(`# check=skip=all\n${body}`, 'Dockerfile', { buildArgs })), ['3 FromAsCasing']);
});

/** What is said of a here-document's text (from line 3), or of a whole RUN. */
function ignoredIn(text: string, shell = ''): string | undefined {
  const run = text.startsWith('RUN') ? text : `RUN <<EOF\n${text}\nEOF`;
  const found = lintDockerfile(`FROM a\n${run}\n${shell}`, 'Dockerfile').filter(({ rule }) => rule === 'HeredocIgnoresFailures');
  return found.map(({ message }) => /"(.*)" \(line \d+\)/u.exec(message)?.[0]).join();
}

test('a here-document that goes on after a failure is told, with the first command that it may be', () => {
  assert.equal(ignoredIn('make\nmake install'), '"make" (line 3)');
  assert.equal(ignoredIn('# words\necho hello\nx="a b" y=$x\nexport A=1\nmake; ls'), '"make" (line 7)');
  assert.equal(ignoredIn('make\nset -e\nmake install'), '"make" (line 3)', 'too late');
  assert.equal(ignoredIn('make || exit 1\nconfigure && make\nls'), '"make" (line 4)');
  assert.equal(ignoredIn('if test -f a; then\n  make\nfi\nls'), '"make" (line 4)');
  assert.equal(ignoredIn('for i in a b; do\nmake $i\ndone\nls'), '"make $i" (line 4)');
  assert.equal(ignoredIn('echo a > b\nls'), '"echo a > b" (line 3)', 'a file that cannot be written');
  assert.equal(ignoredIn('x=$(make)\nls'), '"x=$(make)" (line 3)');
  assert.equal(ignoredIn('cat > x <<INNER\nset -e\nINNER\nls'), '"cat > x <<INNER" (line 3)');
  assert.equal(ignoredIn('#!/bin/sh\nmake\nls'), '"make" (line 4)');
  assert.equal(ignoredIn('#!/usr/bin/env -S A=1 bash\nmake\nls'), '"make" (line 4)');
  assert.equal(ignoredIn('RUN <<-"EOF"\n\tmake\n\tls\n\tEOF'), '"make" (line 3)');
  assert.equal(ignoredIn('RUN bash -x <<EOF > /log 2>&1\nmake\nls\nEOF'), '"make" (line 3)');
  const shell = 'FROM a\nSHELL ["/bin/bash", "-o", "pipefail", "-c"]\nRUN <<EOF\nmake\nls\nEOF';
  assert.equal(ignoredIn('RUN true', shell), '"make" (line 6)');
});

test('nothing is said of a here-document that ends at a failure, provides for it, or is no shell', () => {
  for (const text of [
    'set -e\nmake\nls',
    '# words\n\nset -o pipefail\nset -eux\nmake\nls',
    'set -o errexit -o nounset\nmake\nls',
    'set -euo pipefail; make; ls',
    'make',
    'make && \\\n  ls',
    'echo a\necho "$b"\nexit 0',
    'make || make again\nls',
    'make\nif [ $? -ne 0 ]; then echo no; fi\nls',
    'make; code=${?}\nls',
    'make || true\nmkdir x || { echo no; exit 1; }\nls',
    'if make; then ls; fi',
    'while read x; do echo $x; done < /etc/passwd\nls',
    '{ make; { ls; ls; } && make; } || exit 1\nls',
    'make &\nwait',
    'f() { make; }\nf\nls',
    'trap ls EXIT\nmake\nls',
    'cat <<INNER\nmake\nls\nINNER',
    '#!/usr/bin/env python3\nimport os\nprint(1)',
    '#!/bin/bash -eu\nmake\nls',
    '#!/usr/bin/env -S bash -e\nmake\nls',
    'RUN python3 <<EOF\nimport os\nprint(1)\nEOF',
    'RUN bash -e <<EOF\nmake\nls\nEOF',
    'RUN sh x.sh <<EOF\nmake\nls\nEOF',
    'RUN cat <<A - <<B > /both\none\ntwo\nA\ntwo\nB',
    'RUN make; ls',
  ])
    assert.equal(ignoredIn(text), '', text);
  assert.equal(ignoredIn('RUN true', 'FROM a\nSHELL ["/bin/bash", "-euo", "pipefail", "-c"]\nRUN <<EOF\nmake\nls\nEOF'), '');
  assert.equal(ignoredIn('RUN true', 'FROM a\nSHELL ["/usr/bin/pwsh", "-c"]\nRUN <<EOF\nmake\nls\nEOF'), '');
  assert.equal(ignoredIn('RUN true', '# check=skip=HeredocIgnoresFailures\nRUN <<EOF\nmake\nls\nEOF'), '');
});

test('a file that would fill memory with copies is refused', () => {
  const [found] = lintDockerfile(`FROM scratch\nARG x=${'y'.repeat(500_000)}\n${'LABEL a=$x\n'.repeat(200)}`, 'Dockerfile');
  assert.match(found?.message ?? '', /grow to more than/u);
});

function lines(count: number, line: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => `${line(index)}\n`).join('');
}

test('few words cannot grow to many large ones, nor many lines cost more than their number', () => {
  const long = 'x'.repeat(1 << 19);
  const texts = {
    'arguments that double': `ARG a0=xx\n${lines(2000, (index) => `ARG a${index + 1}=$a${index}$a${index}`)}FROM a`,
    'copies of an argument': `ARG a=${long}\n${lines(20_000, (index) => `ARG b${index}=$a`)}FROM a`,
    'images from an argument': `ARG a=${long}\n${lines(20_000, () => 'FROM $a')}`,
    'copies of a variable': `FROM a\nENV a=${long}\n${lines(20_000, (index) => `ENV b${index}=$a`)}`,
    'here-documents with a variable': `FROM a\nENV a=${long}\n${lines(20_000, () => 'COPY <<E /x\n$a\nE')}`,
    'patterns that nearly match': `FROM a\nENV a=${'a'.repeat(1 << 19)}\n${lines(10_000, () => 'ENV b=${a//aaaaaaaaab/x}')}`,
    'pattern as long as the value': `FROM a\nENV a=${'a'.repeat(1 << 19)}\nENV b=\${a//${'a'.repeat(1 << 18)}b/x}\n`,
    'replacements that grow': `FROM a\nENV a=${'a'.repeat(1 << 19)}\nENV b=\${a//a/$a}\n`,
    'ranges of ports': `FROM a\n${lines(20_000, () => 'EXPOSE 1-65535')}`,
    'folders that are left again': `FROM a\nWORKDIR ${'/a/..'.repeat(1 << 17)}`,
    'folders in folders': `FROM a\n${lines(60_000, () => 'WORKDIR x')}`,
    'names that nobody declares': `${lines(20_000, (index) => `ARG a${index}=1`)}FROM x${lines(20_000, (index) => `$b${index}`).replaceAll('\n', '')}`,
    'a FROM of them': `${lines(20_000, (index) => `ARG a${index}=1`)}FROM ${lines(20_000, (index) => `$b${index}`).replaceAll('\n', '')}`,
    triggers: `FROM a\n${lines(40_000, () => 'ONBUILD RUN x')}`,
    'names of here-documents': `FROM a\nCOPY ${lines(30_000, (index) => `<<E${index} \\`)} /x\n${lines(30_000, (index) => `E${index}`)}`,
  };
  for (const [name, text] of Object.entries(texts)) {
    // Time of the processor, so that a busy machine does not count.
    const start = process.cpuUsage();
    lintDockerfile(text, 'Dockerfile');
    const time = process.cpuUsage(start).user / 1000;
    assert.ok(time < 2000, `${name}: ${Math.round(time)} ms`);
  }
});
