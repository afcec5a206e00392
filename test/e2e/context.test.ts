/** Files of the build context that change in ways which are easy to miss: the image always holds what the context holds. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cleanPattern } from '#ground/base/patterns.ts';
import { readDocument } from '#test/kit/schemas.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

/** Kind, mode and content of everything below a folder. */
function describe(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const stats = lstatSync(join(folder, name));
    const mode = (stats.mode & 0o7777).toString(8);
    if (stats.isSymbolicLink()) found[name] = `-> ${readlinkSync(join(folder, name))}`;
    else found[name] = stats.isDirectory() ? `folder ${mode}` : `${mode} ${readFileSync(join(folder, name), 'latin1')}`;
  }
  return found;
}

/** Builds, and gives what the image's one layer holds, unpacked from its archive; its DiffID must be that of the layer's bytes. */
async function built(place: Sandbox, context: string): Promise<Record<string, string>> {
  await place.succeed(['build', '-t', 'files', context]);
  const folder = join(place.folder, 'saved');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'layer'), { recursive: true });
  const archive = join(folder, 'image.tar');
  await place.succeed(['save', '-o', archive, 'files']);
  execFileSync('tar', ['-xf', archive, '-C', folder]);
  const [manifest] = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as [{ Config: string; Layers: [string] }];
  const config = JSON.parse(readFileSync(join(folder, manifest.Config), 'utf8')) as { rootfs: { diff_ids: string[] } };
  const layer = join(folder, manifest.Layers[0]);
  assert.deepEqual(config.rootfs.diff_ids, [`sha256:${createHash('sha256').update(readFileSync(layer)).digest('hex')}`]);
  execFileSync('tar', ['-xf', layer, '-C', join(folder, 'layer')]);
  return describe(join(folder, 'layer/app'));
}

test('the image holds what the context holds, however its files were changed', async () => {
  await using place = await openSandbox();
  const context = place.files({ Dockerfile: 'FROM scratch\nCOPY src /app\n' }, 'context');
  const src = join(context, 'src');
  for (let d = 0; d < 4; d++) {
    mkdirSync(join(src, `d${d}`), { recursive: true });
    for (let f = 0; f < 30; f++) writeFileSync(join(src, `d${d}/f${f}`), `file ${d} ${f}`);
  }
  const at = (path: string): string => join(src, path);
  const keepTimes = (path: string, change: () => void): void => {
    const { atime, mtime } = statSync(at(path));
    change();
    utimesSync(at(path), atime, mtime);
  };
  const changes: Readonly<Record<string, () => void>> = {
    'nothing yet': () => undefined,
    'same size and time': () => keepTimes('d0/f0', () => writeFileSync(at('d0/f0'), 'FILE 0 0')),
    'the same a moment later': () => keepTimes('d0/f0', () => writeFileSync(at('d0/f0'), 'File 0 0')),
    'only a mode': () => keepTimes('d1/f1', () => chmodSync(at('d1/f1'), 0o755)),
    'a link for a file': () => {
      rmSync(at('d2/f2'));
      symlinkSync('f3', at('d2/f2'));
    },
    'another file with the same size and time': () =>
      keepTimes('d3/f3', () => {
        writeFileSync(at('d3/new'), 'FILE 3 3');
        renameSync(at('d3/new'), at('d3/f3'));
      }),
    'two files change places': () => {
      renameSync(at('d3/f4'), at('d3/x'));
      renameSync(at('d3/f5'), at('d3/f4'));
      renameSync(at('d3/x'), at('d3/f5'));
    },
    'a time long ago': () => {
      writeFileSync(at('d0/f7'), 'FILE 0 7');
      utimesSync(at('d0/f7'), 1, 1);
    },
    'a folder for a file, a file for a folder': () => {
      rmSync(at('d2/f9'));
      mkdirSync(at('d2/f9'));
      rmSync(at('d1'), { recursive: true });
      writeFileSync(at('d1'), 'file');
    },
  };
  for (const [what, change] of Object.entries(changes)) {
    change();
    assert.deepEqual(await built(place, context), describe(src), what);
  }
  // Only times: nothing is copied, the layer stays.
  // What was built is named anew, and that has a time.
  const inspect = async (): Promise<string> => (await place.succeed(['inspect', 'files'])).replace(/"LastTagTime": "\S+"/u, '');
  const before = await inspect();
  for (let f = 0; f < 30; f++) utimesSync(at(`d0/f${f}`), 5, 5);
  await place.succeed(['build', '-t', 'files', context]);
  assert.equal(await inspect(), before);
});

type Listed = {
  readonly contexts: readonly {
    readonly name: string;
    readonly files: readonly {
      readonly path: string;
      readonly state: string;
      readonly rule: { readonly file: string; readonly line: number; readonly pattern: string } | null;
      readonly takenBy: readonly { readonly line: number }[];
    }[];
  }[];
  readonly missing: readonly string[];
};

const ignoreFiles: readonly string[] = [
  '',
  '# all but some\n*\n!src\nsrc/**/*.o\n!src/b/keep.o\n',
  '/src/a\n!src/a/x.c\n\n  ./docs/../docs  \n',
  '**\n!**/*.c\n',
  'src/?/[xy].*\n!src/b\n',
];

test('context lists what COPY . takes, each file with the rule that decided', async () => {
  await using place = await openSandbox();
  const names = [
    'a.log',
    'src/a/x.c',
    'src/a/y.o',
    'src/b/keep.o',
    'src/b/tmp/z.c',
    'src/top.c',
    'docs/one.md',
    'docs/tmp',
    'odd name\u{e4}.c',
  ];
  const context = place.files({ Dockerfile: 'FROM scratch\nCOPY . /\n', ...Object.fromEntries(names.map((name) => [name, name])) });
  symlinkSync('top.c', join(context, 'src/link.c'));
  for (const text of ignoreFiles) {
    writeFileSync(join(context, '.dockerignore'), text);
    const out = join(place.folder, 'out');
    rmSync(out, { recursive: true, force: true });
    mkdirSync(out);
    await place.succeed(['build', '-q', '-o', out, context]);
    const copied = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter((name) => !lstatSync(join(out, name)).isDirectory());
    const { contexts } = readDocument('context', await place.succeed(['context', '--json', context])) as Listed;
    const files = contexts[0]?.files ?? [];
    assert.deepEqual(
      files
        .filter(({ state }) => state === 'sent')
        .map(({ path }) => path)
        .toSorted(),
      copied.toSorted(),
      text,
    );
    assert.equal(files.length, names.length + 3, 'nothing is left out of the list');
    assert.ok(files.every(({ state, takenBy }) => takenBy.length === (state === 'sent' ? 1 : 0)));
    const lines = text.split('\n');
    for (const { rule } of files) if (rule !== null) assert.equal(cleanPattern(lines[rule.line - 1] ?? ''), rule.pattern);
  }
});

test('context says who takes a file, and which rule keeps it out: also of named contexts, mounts, and the ignore file of a Dockerfile', async () => {
  await using place = await openSandbox();
  await place.base('busybox');
  const context = place.files({
    'app.Dockerfile': [
      'FROM busybox AS made',
      'COPY src /src',
      'RUN --mount=type=bind,source=lib.h,target=/lib.h true',
      'FROM scratch',
      'COPY --from=more *.txt /',
      'COPY --from=made / /',
      'COPY *.c gone.log /',
      'FROM scratch AS other',
      'COPY unused /',
    ].join('\n'),
    'app.Dockerfile.dockerignore': '*.log\n!kept.log\n',
    '.dockerignore': '*\n',
    'src/main.c': 'c',
    'lib.h': 'h',
    'gone.log': '',
    'kept.log': '',
    unused: '',
  });
  const more = place.files({ 'x.txt': 'x', y: 'y', '.dockerignore': 'y\n' }, 'more');
  const words = ['-f', join(context, 'app.Dockerfile'), '--target', '1', '--build-context', `more=${more}`, context];
  const listed = JSON.parse(await place.succeed(['context', '--json', ...words])) as Listed;
  const seen = Object.fromEntries(
    listed.contexts.flatMap(({ name, files }) =>
      files.map(({ path, rule, takenBy }) => [
        `${name}:${path}`,
        [rule === null ? '' : `${rule.file}:${rule.line}`, ...takenBy.map(({ line }) => line)],
      ]),
    ),
  );
  assert.deepEqual(seen, {
    'context:.dockerignore': [''],
    'context:app.Dockerfile': [''],
    'context:app.Dockerfile.dockerignore': [''],
    'context:gone.log': ['app.Dockerfile.dockerignore:1'],
    'context:kept.log': ['app.Dockerfile.dockerignore:2'],
    'context:lib.h': ['', 3],
    'context:src/main.c': ['', 2],
    'context:unused': [''],
    'more:.dockerignore': [''],
    'more:x.txt': ['', 5],
    'more:y': ['.dockerignore:1'],
  });
  assert.match(listed.missing.join('\n'), /^COPY .*gone\.log.* \(line 7\): .*app\.Dockerfile\.dockerignore:1 leaves it out/u);
  assert.match(await place.succeed(['context', '--unused', ...words]), /^0B +context:kept\.log +taken by nothing/mu);
  assert.equal(
    await place.succeed(['context', '--ignored', ...words]),
    '0B        context:gone.log   app.Dockerfile.dockerignore:1 (*.log)\n1B        more:y             .dockerignore:1 (y)\n',
  );
  assert.match(
    await place.succeed(['context', '--why', 'src', ...words]),
    /^context:src\/main\.c: sent, no rule names it; taken by COPY src \/src \(.*:2\)\n$/u,
  );
  assert.equal((await place.jettison(['context', '--why', 'nothing', ...words])).status, 1);
  assert.match(await place.succeed(['context', ...words]), /^ {2}0B +1 file +app\.Dockerfile\.dockerignore:1 \(\*\.log\)$/mu);
});
