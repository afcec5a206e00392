/** `jettison sbom`: what an image has, by what its package managers wrote down. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

let sandbox: Sandbox;

type Document = {
  readonly packages: readonly {
    readonly name: string;
    readonly SPDXID: string;
    readonly licenseDeclared: string;
    readonly externalRefs?: readonly { readonly referenceLocator: string }[];
  }[];
  readonly relationships: readonly { readonly spdxElementId: string; readonly relatedSpdxElement: string }[];
  readonly creationInfo: { readonly comment?: string };
};

before(async () => {
  sandbox = await openSandbox();
  await sandbox.base('debian');
  await sandbox.base('busybox');
});
after(async () => await sandbox[Symbol.asyncDispose]());

test('packages of the distribution are those that dpkg lists, those of languages stand beside them', async () => {
  const context = sandbox.files({
    Dockerfile: [
      'FROM debian',
      'COPY app /app',
      // The base has been made without documents.
      'COPY copyright /usr/share/doc/bash/copyright',
      // A package that was removed in a layer above is none of the image.
      'RUN dpkg --purge --force-depends ca-certificates >/dev/null 2>&1; ln -s /etc/passwd /app/yarn.lock; mkfifo /app/Cargo.lock',
      '',
    ].join('\n'),
    'app/node_modules/@a/b/package.json': '{"name":"@a/b","version":"1.0.0","license":"MIT"}',
    copyright: 'Files: *\nLicense: GPL-3+\n',
    'app/requirements.txt': 'flask==3.0.0\n',
  });
  await sandbox.succeed(['build', '-q', '-t', 'app', context]);
  const listed = (await sandbox.succeed(['run', '--rm', 'app', 'dpkg-query', '-W', '-f', '${Package}@${Version}\n'])).trim().split('\n');
  const file = join(sandbox.folder, 'sbom.json');
  await sandbox.succeed(['sbom', '--format', 'spdx-json', '-o', file, 'app']);
  const document = JSON.parse(readFileSync(file, 'utf8')) as Document;
  const found = document.packages.flatMap(
    ({ externalRefs }) => externalRefs?.map(({ referenceLocator }) => decodeURIComponent(referenceLocator)) ?? [],
  );
  const debs = found.flatMap((url) => /^pkg:deb\/debian\/(?<package>[^?]+)\?/u.exec(url)?.groups?.['package'] ?? []);
  assert.deepEqual(debs.toSorted(), listed.toSorted());
  assert.ok(!debs.some((one) => one.startsWith('ca-certificates@')));
  assert.deepEqual(
    found.filter((url) => !url.startsWith('pkg:deb/')),
    ['pkg:npm/@a/b@1.0.0', 'pkg:pypi/flask@3.0.0'],
  );
  const ids = new Set(document.packages.map(({ SPDXID }) => SPDXID));
  assert.equal(ids.size, document.packages.length);
  assert.ok(document.relationships.every(({ relatedSpdxElement }) => ids.has(relatedSpdxElement)));
  assert.match(document.packages.find(({ name }) => name === 'bash')?.licenseDeclared ?? '', /^GPL-3\.0-or-later$/u);
  assert.equal(await sandbox.succeed(['sbom', '--format', 'spdx-json', 'app']), readFileSync(file, 'utf8'), 'the same each time');
  assert.match(await sandbox.succeed(['sbom', 'app']), /^PACKAGE +VERSION +TYPE +FOUND IN\n/u);
});

test('a database that nobody here can read is said, not passed over', async () => {
  const context = sandbox.files({ Dockerfile: 'FROM busybox\nRUN mkdir -p /var/lib/rpm && echo x > /var/lib/rpm/rpmdb.sqlite\n' }, 'rpm');
  await sandbox.succeed(['build', '-q', '-t', 'rpm', context]);
  const done = await sandbox.jettison(['sbom', 'rpm', '--format', 'spdx-json']);
  assert.equal(done.status, 0);
  assert.match(done.stderr, /^WARNING: not read: rpm \(\/var\/lib\/rpm\/rpmdb\.sqlite\)$/mu);
  assert.match((JSON.parse(done.stdout) as Document).creationInfo.comment ?? '', /rpm/u);
});
