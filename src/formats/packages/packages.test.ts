import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, statSync, openSync, readSync, closeSync, existsSync } from 'node:fs';
import { readerFor } from './catalog.ts';
import { readOsRelease } from './distribution.ts';
import { licenseExpression } from './license.ts';
import { packageOf, purlOf } from './package.ts';
import { elfSections, readGoProgram, type FileBytes } from './programs.ts';
import { spdxDocument } from './spdx.ts';
import { readDebianCopyright } from './system.ts';

const debian = readOsRelease('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nID=debian\n');

function urls(path: string, text: string): readonly string[] {
  return (readerFor(path) ?? assert.fail(`nobody reads ${path}`))(text, path, debian).map(purlOf);
}

test('package URLs are encoded as the specification says', () => {
  assert.equal(
    purlOf(
      packageOf({
        type: 'deb',
        namespace: 'debian',
        name: 'libstdc++6',
        version: '1:14.2-8+b1',
        qualifiers: { distro: 'debian-13', arch: 'amd64' },
        foundIn: '',
      }),
    ),
    'pkg:deb/debian/libstdc%2B%2B6@1:14.2-8%2Bb1?arch=amd64&distro=debian-13',
  );
  assert.equal(
    purlOf(packageOf({ type: 'npm', namespace: '@angular', name: 'core', version: '16.0.0', foundIn: '' })),
    'pkg:npm/%40angular/core@16.0.0',
  );
  assert.equal(
    purlOf(packageOf({ type: 'pypi', name: 'Typing_Extensions', version: '4.1', foundIn: '' })),
    'pkg:pypi/typing-extensions@4.1',
  );
  assert.equal(
    purlOf(packageOf({ type: 'golang', namespace: 'golang.org/x', name: 'net', version: 'v0.1.0', foundIn: '' })),
    'pkg:golang/golang.org/x/net@v0.1.0',
  );
});

test('a long file that is made to be slow is read in the time of its length, and half a character in a name is shown as none', () => {
  const long = 400_000;
  const files = [
    ['requirements.txt', `${'\n'.repeat(long)}x`],
    ['requirements.txt', 'a[\n'.repeat(long)],
    ['pnpm-lock.yaml', `packages:\n${'  a@1\n'.repeat(long)}`],
    ['pnpm-lock.yaml', `packages:\n  a@${'1'.repeat(long)}`],
    ['var/lib/dpkg/status', `Package: a\n${' '.repeat(long)}x${'\n'.repeat(long)}`],
  ] as const;
  const before = process.cpuUsage();
  for (const [path, text] of files) urls(path, text);
  readDebianCopyright(`License: a${' '.repeat(long)}b`);
  // Some milliseconds each; with a look at the rest of the file from each place, minutes.
  assert.ok(process.cpuUsage(before).user < 10_000_000);
  assert.deepEqual(urls('node_modules/a/package.json', '{"name": "a\\ud800", "version": "1"}'), ['pkg:npm/a%EF%BF%BD@1']);
});

test('dpkg and apk', () => {
  const status = [
    'Package: zlib1g\nStatus: install ok installed\nSource: zlib (1:1.3)\nVersion: 1:1.3.1-1+b1\nArchitecture: amd64\nMaintainer: M <m@x>\nDescription: x\n Version: no\n',
    'Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n',
    'Package: base-files\nVersion: 13\nArchitecture: amd64\n',
  ].join('\n');
  assert.deepEqual(urls('var/lib/dpkg/status', status), [
    'pkg:deb/debian/zlib1g@1:1.3.1-1%2Bb1?arch=amd64&distro=debian-13&upstream=zlib%401:1.3',
    'pkg:deb/debian/base-files@13?arch=amd64&distro=debian-13',
  ]);
  assert.equal(readerFor('var/lib/dpkg/status.d/base.md5sums'), undefined);
  const apk =
    'C:Q1x=\nP:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\nm:A <a@b>\nF:lib\nR:ld.so\n\nP:musl-utils\nV:1.2.5-r0\nA:x86_64\nL:MIT AND BSD-2-Clause\no:musl\n';
  assert.deepEqual(
    (readerFor('lib/apk/db/installed') ?? assert.fail())(apk, 'x', { id: 'alpine', version: '3.20.1' }).map((one) => [
      purlOf(one),
      one.licenses,
    ]),
    [
      ['pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.1', ['MIT']],
      ['pkg:apk/alpine/musl-utils@1.2.5-r0?arch=x86_64&distro=alpine-3.20.1&upstream=musl', ['MIT AND BSD-2-Clause']],
    ],
  );
});

test('lock files and installed packages of languages', () => {
  assert.deepEqual(urls('app/node_modules/@a/b/package.json', '{"name":"@a/b","version":"1.0.0","license":{"type":"MIT"}}'), [
    'pkg:npm/%40a/b@1.0.0',
  ]);
  assert.equal(readerFor('app/package.json'), undefined);
  assert.deepEqual(
    urls(
      'app/package-lock.json',
      '{"lockfileVersion":3,"packages":{"":{"version":"9"},"node_modules/a":{"version":"1.0.0"},"node_modules/a/node_modules/@x/y":{"version":"2.0.0"},"node_modules/l":{"link":true,"version":"1.0.0"}}}',
    ),
    ['pkg:npm/a@1.0.0', 'pkg:npm/%40x/y@2.0.0'],
  );
  assert.deepEqual(urls('package-lock.json', '{"dependencies":{"a":{"version":"1.0.0","dependencies":{"b":{"version":"2.0.0"}}}}}'), [
    'pkg:npm/a@1.0.0',
    'pkg:npm/b@2.0.0',
  ]);
  assert.deepEqual(
    urls(
      'yarn.lock',
      '# yarn lockfile v1\n\n"@s/a@^1.0.0", "@s/a@^1.1.0":\n  version "1.1.0"\n  dependencies:\n    b "^1"\n\nb@npm:^1:\n  version: 1.2.0\n',
    ),
    ['pkg:npm/%40s/a@1.1.0', 'pkg:npm/b@1.2.0'],
  );
  const pnpm =
    "lockfileVersion: '9.0'\n\npackages:\n\n  '@s/a@1.0.0':\n    resolution: {integrity: x}\n\n  b@2.0.0-rc.1:\n    resolution: {}\n\n  /c@3.0.0(b@2.0.0):\n    x: y\n\n  /d/4.0.0:\n    x: y\n\nsnapshots:\n\n  e@1.0.0: {}\n";
  assert.deepEqual(urls('pnpm-lock.yaml', pnpm), ['pkg:npm/%40s/a@1.0.0', 'pkg:npm/b@2.0.0-rc.1', 'pkg:npm/c@3.0.0', 'pkg:npm/d@4.0.0']);
  assert.deepEqual(
    urls(
      'usr/lib/python3/dist-packages/x-1.0.dist-info/METADATA',
      'Metadata-Version: 2.1\nName: X_y\nVersion: 1.0\nLicense: BSD\n\nName: no\n',
    ),
    ['pkg:pypi/x-y@1.0'],
  );
  assert.deepEqual(urls('requirements.txt', 'a==1.0 # c\nb>=2\nc[x] == 3.0.post1\n-r other\n'), ['pkg:pypi/a@1.0', 'pkg:pypi/c@3.0.post1']);
  assert.deepEqual(
    urls(
      'poetry.lock',
      '[[package]]\nname = "a"\nversion = "1.0"\n\n[package.extras]\nversion = "no"\n\n[[package]]\nname = "b"\nversion = "2"\n',
    ),
    ['pkg:pypi/a@1.0', 'pkg:pypi/b@2'],
  );
  assert.deepEqual(
    urls(
      'Cargo.lock',
      '[[package]]\nname = "own"\nversion = "0.1.0"\n\n[[package]]\nname = "dep"\nversion = "1.0.0"\nsource = "registry+x"\n',
    ),
    ['pkg:cargo/dep@1.0.0'],
  );
  assert.deepEqual(urls('Pipfile.lock', '{"default":{"a":{"version":"==1.0"},"g":{"git":"x"}},"develop":{}}'), ['pkg:pypi/a@1.0']);
  assert.deepEqual(urls('Gemfile.lock', 'GEM\n  specs:\n    rack (3.0.1)\n      webrick (~> 1.0)\n    nokogiri (1.16.0-x86_64-linux)\n'), [
    'pkg:gem/rack@3.0.1',
    'pkg:gem/nokogiri@1.16.0-x86_64-linux',
  ]);
  assert.deepEqual(
    urls('var/gems/specifications/rake-13.1.gemspec', 'Gem::Specification.new do |s|\n  s.name = "rake".freeze\n  s.version = "13.1"\n'),
    ['pkg:gem/rake@13.1'],
  );
  assert.deepEqual(urls('composer.lock', '{"packages":[{"name":"a/b","version":"v1.2"}],"packages-dev":[]}'), ['pkg:composer/a/b@1.2']);
  assert.deepEqual(
    urls(
      'go.mod',
      'module m\n\nrequire golang.org/x/net v0.1.0\n\nrequire (\n\tgithub.com/a/b v1.0.0 // indirect\n)\n\nreplace (\n\tx v1 => y v2\n)\n',
    ),
    ['pkg:golang/golang.org/x/net@v0.1.0', 'pkg:golang/github.com/a/b@v1.0.0'],
  );
});

test('what is no such file says nothing', () => {
  for (const path of [
    'package-lock.json',
    'yarn.lock',
    'composer.lock',
    'Pipfile.lock',
    'Cargo.lock',
    'var/lib/dpkg/status',
    'go.mod',
    'pnpm-lock.yaml',
    'x.dist-info/METADATA',
  ])
    for (const text of ['', '{', 'null', '[]', '\u0000\u0001', '[[package]]\n', '{"packages":{"x":1}}'])
      assert.deepEqual(urls(path, text), [], `${path}: ${text}`);
});

test('licenses become expressions, names that SPDX does not know references', () => {
  const extracted = new Map<string, string>();
  assert.equal(licenseExpression(['MIT'], extracted), 'MIT');
  assert.equal(licenseExpression(['GPL-2+', 'Expat'], extracted), 'GPL-2.0-or-later AND MIT');
  assert.equal(licenseExpression(['(MIT or Apache-2.0)'], extracted), '(MIT OR Apache-2.0)');
  assert.equal(licenseExpression(['MIT OR Apache-2.0', 'ISC'], extracted), '(MIT OR Apache-2.0) AND ISC');
  assert.equal(licenseExpression(['GPL-2.0-only WITH Classpath-exception-2.0'], extracted), 'GPL-2.0-only WITH Classpath-exception-2.0');
  assert.equal(extracted.size, 0);
  assert.equal(licenseExpression(['BSD license, see file'], extracted), 'LicenseRef-BSD-license-see-file');
  assert.equal(licenseExpression(['MIT AND'], extracted), 'LicenseRef-MIT-AND');
  assert.equal(licenseExpression([], extracted), 'NOASSERTION');
  assert.deepEqual(readDebianCopyright('Files: *\nLicense: GPL-2+ and Expat\n text\n\nFiles: debian/*\nLicense: GPL-2+\n'), [
    'Expat',
    'GPL-2+',
  ]);
  assert.deepEqual(readDebianCopyright('see /usr/share/common-licenses/GPL-3.'), ['GPL-3']);
});

test('a document names each package once, whatever the order', () => {
  const one = packageOf({ type: 'npm', name: 'a', version: '1', foundIn: 'a/package.json', licenses: ['MIT'] });
  const two = packageOf({
    type: 'deb',
    namespace: 'debian',
    name: 'b',
    version: '2',
    foundIn: 'var/lib/dpkg/status',
    licenses: ['odd one'],
  });
  const subject = { name: 'app', digest: `sha256:${'1'.repeat(64)}`, distribution: debian };
  const origin = { tool: 'jettison-1', created: 0, unread: ['rpm'] };
  const document = spdxDocument(subject, [one, two, { ...one, licenses: [] }], origin);
  assert.deepEqual(document, spdxDocument(subject, [{ ...one, licenses: [] }, two, one], origin));
  const { packages, relationships, hasExtractedLicensingInfos } = document as Record<string, readonly Record<string, unknown>[]>;
  assert.deepEqual(
    packages?.map(({ name, licenseDeclared }) => [name, licenseDeclared]),
    [
      ['b', 'LicenseRef-odd-one'],
      ['a', 'MIT'],
      ['app', 'NOASSERTION'],
    ],
  );
  assert.equal(relationships?.length, 3);
  assert.equal(hasExtractedLicensingInfos?.[0]?.['extractedText'], 'odd one');
});

test('a program of Go tells its modules; others tell nothing', () => {
  const node = fileBytes(process.execPath);
  assert.ok((elfSections(node) ?? []).some(({ name }) => name === '.text'));
  assert.deepEqual(readGoProgram(node, elfSections(node) ?? [], 'x'), []);
  assert.equal(elfSections({ size: 3, read: () => new Uint8Array([1, 2, 3]) }), undefined);
  const runc = ['/usr/sbin/runc', '/usr/bin/runc'].find((path) => existsSync(path));
  if (runc !== undefined) {
    const file = fileBytes(runc);
    const [stdlib] = readGoProgram(file, elfSections(file) ?? [], 'usr/sbin/runc');
    assert.match(stdlib === undefined ? '' : purlOf(stdlib), /^pkg:golang\/stdlib@1\.\d+/u);
  }
  const frame = '0'.repeat(16);
  const list = `${frame}path\tcmd/x\nmod\texample.org/x\t(devel)\t\ndep\tgolang.org/x/net\tv0.1.0\th1:a=\ndep\told.org/y\tv1.0.0\n=>\tnew.org/y\tv1.0.1\th1:b=\n${frame}`;
  const info = new Uint8Array([
    0xff,
    ...new TextEncoder().encode(' Go buildinf:'),
    8,
    2,
    ...Array.from({ length: 16 }, () => 0),
    ...varString('go1.22.1'),
    ...varString(list),
  ]);
  const program: FileBytes = { size: info.length, read: (offset, length) => info.subarray(offset, offset + length) };
  assert.deepEqual(readGoProgram(program, [{ name: '.go.buildinfo', offset: 0, size: info.length }], 'x').map(purlOf), [
    'pkg:golang/stdlib@1.22.1',
    'pkg:golang/example.org/x',
    'pkg:golang/golang.org/x/net@v0.1.0',
    'pkg:golang/new.org/y@v1.0.1',
  ]);
});

/** As encoding/binary.PutUvarint has it, and the bytes behind it. */
function varString(text: string): readonly number[] {
  const length = [];
  for (let rest = text.length; rest > 0 || length.length === 0; rest = Math.floor(rest / 128))
    length.push((rest % 128) | (rest >= 128 ? 128 : 0));
  return [...length, ...new TextEncoder().encode(text)];
}

test('a broken program is no harm', () => {
  const bytes = new Uint8Array(readFileSync(process.execPath).subarray(0, 4096));
  for (let seed = 1; seed < 300; seed++) {
    const broken = Uint8Array.from(bytes);
    for (let index = 0; index < 8; index++) broken[16 + ((seed * 31 + index * 17) % 48)] = (seed * 7 + index) % 256;
    const file: FileBytes = { size: broken.length, read: (offset, length) => broken.subarray(offset, offset + length) };
    readGoProgram(file, elfSections(file) ?? [], 'x');
  }
});

function fileBytes(path: string): FileBytes {
  return {
    size: statSync(path).size,
    read(offset, length) {
      const file = openSync(path, 'r');
      try {
        const bytes = new Uint8Array(length);
        return bytes.subarray(0, readSync(file, bytes, 0, length, offset));
      } finally {
        closeSync(file);
      }
    },
  };
}
