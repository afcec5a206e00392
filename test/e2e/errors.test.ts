/**
 * Broken Dockerfiles (`test/fixtures/errors`): what people see of each fault, set beside what `docker buildx build` prints.
 * `buildx.json` was recorded from Docker 28.5; `expected.txt` is ours. `UPDATE=1` writes ours and docs/errors-side-by-side.md anew: read the difference.
 */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

const faults = fileURLToPath(new URL('../fixtures/errors', import.meta.url));
const page = fileURLToPath(new URL('../../docs/errors-side-by-side.md', import.meta.url));
const names = readdirSync(faults).toSorted();
const isUpdate = process.env['UPDATE'] === '1';

type Buildx = {
  readonly fault: string;
  readonly exit: number;
  /** null where it prints no excerpt. */
  readonly line: number | null;
  readonly message: string;
};

let sandbox: Sandbox;
before(async () => {
  sandbox = await openSandbox();
  await sandbox.base('busybox');
  // Nobody answers there: no test asks a registry on the network.
  sandbox.mirror('http://127.0.0.1:1');
});
after(async () => await sandbox[Symbol.asyncDispose]());

for (const name of names) {
  test(`${name}: no poorer than buildx`, async () => {
    const context = contextOf(name);
    const flags = existsSync(join(faults, name, 'flags'))
      ? readFileSync(join(faults, name, 'flags'), 'utf8')
          .trim()
          .split(' ')
      : [];
    const done = await sandbox.jettison(['build', '--progress', 'plain', ...flags, '.'], { cwd: context });
    const text = `exit ${done.status}\n${whatMatters(done.stderr)}\n`;
    const expected = join(faults, name, 'expected.txt');
    if (isUpdate) writeFileSync(expected, text);
    assert.equal(text, readFileSync(expected, 'utf8'));

    const buildx = buildxOf(name);
    const line = /^Dockerfile:(\d+)/mu.exec(text)?.[1];
    assert.ok((done.status ?? 0) >= buildx.exit);
    if (buildx.line !== null) assert.equal(line, String(buildx.line), 'the same line');
    const suggestion = /did you mean ([^?]*)\?/u.exec(buildx.message)?.[1];
    if (suggestion !== undefined) assert.match(text, new RegExp(`^Did you mean .*${suggestion}`, 'mu'));
  });
}

test('docs/errors-side-by-side.md is what the fixtures say', () => {
  const text = renderPage();
  if (isUpdate) writeFileSync(page, text);
  assert.equal(text, readFileSync(page, 'utf8'));
});

function contextOf(name: string): string {
  const context = sandbox.files({ 'a.txt': 'a', 'b.txt': 'b', '.dockerignore': 'b.txt\n' }, name);
  cpSync(join(faults, name, 'Dockerfile'), join(context, 'Dockerfile'));
  return context;
}

function buildxOf(name: string): Buildx {
  return JSON.parse(readFileSync(join(faults, name, 'buildx.json'), 'utf8')) as Buildx;
}

/** Without the lines of steps, whose times differ, and without what a registry that cannot be reached says. */
function whatMatters(stderr: string): string {
  return stderr
    .split('\n')
    .filter((line) => line !== '' && !/^#\d+ |^Mirror "/u.test(line))
    .join('\n')
    .replace(/(can be found: ).*/u, '$1(what the registry says)');
}

function renderPage(): string {
  const rows = names.map((name) => {
    const buildx = buildxOf(name);
    const [exit = '', ...rest] = readFileSync(join(faults, name, 'expected.txt'), 'utf8')
      .trimEnd()
      .split('\n');
    const place = rest.find((line) => /^Dockerfile:\d/u.test(line)) ?? 'no place';
    const from = rest.findLastIndex((line) => line.startsWith('ERROR: '));
    const message = (rest[from] ?? '').replace('ERROR: ', '').replace(/^Dockerfile parse error on line \d+: /u, '');
    const hint = rest.slice(from + 1).join(' ');
    const theirs = [buildx.line === null ? 'no place' : `Dockerfile:${buildx.line}`, `exit ${buildx.exit}`, cell(buildx.message)];
    const ours = [place, exit, cell(message), ...(hint === '' ? [] : [`*${cell(hint)}*`])];
    return `| [${buildx.fault}](../test/fixtures/errors/${name}/Dockerfile) | ${theirs.join('<br>')} | ${ours.join('<br>')} |`;
  });
  return [
    '# Errors side by side',
    '',
    `What \`docker buildx build\` (Docker 28.5) and jettison print for the same ${names.length} faults; both show an excerpt where a place is told, jettison with carets where`,
    'a column is told. In *italics*: what jettison says to do. Made by `test/e2e/errors.test.ts` from `test/fixtures/errors`.',
    '',
    '| fault | buildx | jettison |',
    '|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('*', '\\*');
}
