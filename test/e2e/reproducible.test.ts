/** The same inputs give the same digests, with no flag, whatever is around them. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

let first: Sandbox;
let context: string;

const dockerfile = [
  'FROM busybox AS build',
  'WORKDIR /deep/er/src',
  'COPY a.c /new/way/to/a.c',
  'COPY . .',
  'COPY <<E /here/doc',
  'text',
  'E',
  // What the second of two equal names of a file, a link, a folder, a deletion and a change of another layer leave behind.
  'RUN mkdir -p /out/d && echo x > /out/d/x && ln /out/d/x /out/d/y && ln -s x /out/d/l && rm -r /home && touch /etc/passwd && mkfifo /out/p && chmod 700 /root',
  'RUN sleep 0.01; touch -d "2001-01-01 00:00:00" /out/old && touch -d @$(date +%s) /out/second && chown 1:2 /out/p',
  'FROM busybox',
  'COPY --from=build /out /out',
  'COPY --link --from=build /deep /linked/deep',
  'COPY --from=build / /whole/',
  'COPY --from=build --parents /out/d /kept/',
  'ADD tree.tar /unpacked',
  'ENV A=1',
  'RUN true',
  'CMD ["true"]',
  '',
].join('\n');

before(async () => {
  first = await openSandbox();
  await first.base('busybox');
  context = first.files({ Dockerfile: dockerfile, 'a.c': 'int x;\n', 'sub/b': 'b\n', 'tree.tar': tarOf('t/x') });
  for (const name of ['a.c', 'sub/b', 'sub', 'tree.tar']) utimesSync(join(context, name), 1_600_000_000, 1_600_000_000.25);
  await first.succeed(['build', '-q', '-t', 'app', context]);
});
after(async () => await first[Symbol.asyncDispose]());

/** The image's id, and the manifest with its layers as another tool would see them. */
async function identity(sandbox: Sandbox, name = 'app'): Promise<string> {
  const archive = join(sandbox.folder, 'layout');
  await sandbox.succeed(['save', '--format', 'oci', '-o', `${archive}.tar`, name]);
  return `${await sandbox.succeed(['images', '-q', '--no-trunc', name])}${await sandbox.succeed(['inspect', '--format', '{{json .RootFS}} {{.Created}}', name])}`;
}

const surroundings: readonly {
  readonly what: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly options?: readonly string[];
}[] = [
  { what: 'another day and folder' },
  {
    what: 'another locale, zone and name of the host',
    environment: { TZ: 'Pacific/Kiritimati', LC_ALL: 'tr_TR.UTF-8', LANG: 'tr_TR.UTF-8', HOSTNAME: 'other' },
  },
  { what: 'one job at a time', options: ['--jobs', '1'] },
  { what: 'four jobs', options: ['--jobs', '4'] },
  { what: 'copied trees', environment: { JETTISON_ISOLATION: 'oci,copies' } },
  { what: 'no cache', options: ['--no-cache'] },
  { what: 'the form before BuildKit twice', environment: { DOCKER_BUILDKIT: '0' } },
];

for (const { what, environment = {}, options = [] } of surroundings) {
  test(`${what}: the same image`, async () => {
    await using other = await openSandbox();
    await other.base('busybox');
    const moved = join(other.folder, 'elsewhere', 'deeper');
    mkdirSync(join(moved, '..'), { recursive: true });
    execFileSync('cp', ['-a', context, moved]);
    await other.succeed(['build', '-q', ...options, '-t', 'app', moved], { environment });
    if (environment['DOCKER_BUILDKIT'] === '0') await first.succeed(['build', '-q', '-t', 'classic', context], { environment });
    assert.equal(await identity(other), await identity(first, environment['DOCKER_BUILDKIT'] === '0' ? 'classic' : 'app'));
  });
}

test('another umask: the same image', async () => {
  await using other = await openSandbox();
  await other.base('busybox');
  const usual = process.umask(0o077);
  try {
    await other.succeed(['build', '-q', '-t', 'app', context]);
  } finally {
    process.umask(usual);
  }
  assert.equal(await identity(other), await identity(first));
});

test('people see when it was made here, the config what is the same everywhere', async () => {
  assert.match(await first.succeed(['images', 'app']), /seconds? ago|minutes? ago/u);
  const [line] = (await first.succeed(['history', '--format', '{{.CreatedSince}}', 'app'])).split('\n');
  assert.match(line ?? '', /seconds? ago|minutes? ago/u);
  const settings = first.files({ Dockerfile: 'FROM busybox\nENV B=1\n' }, 'settings');
  await first.succeed(['build', '-q', '-t', 'settings', settings]);
  assert.match(await first.succeed(['images', '--format', '{{.CreatedSince}}', 'settings']), /seconds? ago|a second/u);
  const created = Date.parse((await first.succeed(['inspect', '--format', '{{.Created}}', 'app'])).trim());
  const base = Date.parse((await first.succeed(['inspect', '--format', '{{.Created}}', 'busybox'])).trim());
  assert.ok(created >= base && created < Date.now() - 1, `${created} ${base}`);
});

test('a later step has no younger files than what it was given', async () => {
  const out = join(first.folder, 'list');
  await first.succeed(['save', '-o', out, 'app']);
  assert.ok(readFileSync(out).length > 0);
  const listed = await first.succeed(['run', '--rm', 'app', 'stat', '-c', '%Y', '/out/d/x', '/out/d', '/out/old']);
  const [file = 0, folder = 0, old = 0] = listed.trim().split('\n').map(Number);
  assert.equal(old, 978_307_200);
  assert.equal(file, folder);
  assert.ok(file < Date.now() / 1000 - 1);
});

/** One file, of 1999. */
function tarOf(name: string): Uint8Array {
  const block = new Uint8Array(1024 + 1024);
  const put = (at: number, text: string): void => block.set(new TextEncoder().encode(text), at);
  put(0, name);
  put(100, '0000644\0');
  put(108, '0000000\0');
  put(116, '0000000\0');
  put(124, '00000000002\0');
  put(136, '06777777777\0');
  put(148, '        ');
  put(156, '0');
  put(257, 'ustar\u000000');
  put(
    148,
    `${block
      .subarray(0, 512)
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
  );
  put(512, 'x\n');
  return block;
}
