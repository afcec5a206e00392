/** `jettison registry serve`: the push and pull of tutorials without any other program, and what others do with it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { startOwnRegistry } from '#test/kit/own-registry.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

const dockerfile = 'FROM scratch\nCOPY a b /\nCMD ["/a"]\n';

function skopeo(...words: readonly string[]): string {
  return execFileSync('skopeo', words, { encoding: 'utf8' });
}

function blobs(sandbox: Sandbox): readonly string[] {
  return readdirSync(join(sandbox.store, 'registry/blobs/sha256'));
}

test('built, pushed, removed, pulled; copied out and in by skopeo, out and in by buildah', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startOwnRegistry(sandbox);
  const name = `${registry.host}/team/app`;
  const context = sandbox.files({ Dockerfile: dockerfile, a: 'the file a', b: randomBytes(3 << 20) });
  await sandbox.succeed(['build', '-t', `${name}:1`, '--provenance=mode=min', '--push', context]);
  const id = await sandbox.succeed(['images', '-q', '--no-trunc', `${name}:1`]);
  await sandbox.succeed(['rmi', `${name}:1`]);
  await sandbox.succeed(['pull', `${name}:1`]);
  assert.equal(await sandbox.succeed(['images', '-q', '--no-trunc', `${name}:1`]), id);
  assert.match(await sandbox.succeed(['buildx', 'imagetools', 'inspect', `${name}:1`]), /unknown\/unknown/u);

  const layout = join(sandbox.folder, 'layout');
  skopeo('copy', '-q', '--all', '--src-tls-verify=false', `docker://${name}:1`, `oci:${layout}:1`);
  for (const form of ['oci', 'v2s2']) {
    skopeo('copy', '-q', '--dest-tls-verify=false', '--format', form, `oci:${layout}:1`, `docker://${registry.host}/by/skopeo:${form}`);
  }
  skopeo('copy', '-q', '--all', '--dest-tls-verify=false', `oci:${layout}:1`, `docker://${registry.host}/by/skopeo:all`);
  assert.deepEqual(JSON.parse(skopeo('list-tags', '--tls-verify=false', `docker://${registry.host}/by/skopeo`)).Tags, [
    'all',
    'oci',
    'v2s2',
  ]);
  const raw = (from: string): string => skopeo('inspect', '--raw', '--tls-verify=false', `docker://${registry.host}/${from}`);
  assert.equal(raw('by/skopeo:all'), raw('team/app:1'));

  const place = ['--root', join(sandbox.folder, 'b'), '--runroot', join(sandbox.folder, 'r'), '--storage-driver', 'vfs'];
  const buildah = (...words: readonly string[]): string => execFileSync('buildah', [...place, ...words], { encoding: 'utf8' });
  buildah('pull', '-q', '--tls-verify=false', `${name}:1`);
  buildah('push', '-q', '--tls-verify=false', `${name}:1`, `docker://${registry.host}/by/buildah:1`);
  await sandbox.succeed(['pull', `${registry.host}/by/buildah:1`]);
  buildah('rmi', '-a', '-f');

  skopeo('delete', '--tls-verify=false', `docker://${registry.host}/by/skopeo:oci`);
  assert.equal((await sandbox.jettison(['pull', `${registry.host}/by/skopeo:oci`])).status, 1);
});

test('a signal ends it well, a kill leaves whole blobs only, and what was pushed is there the next time', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({ Dockerfile: dockerfile, a: 'a', b: 'b' });
  {
    await using registry = await startOwnRegistry(sandbox);
    await sandbox.succeed(['build', '-t', `${registry.host}/app`, '--push', context]);
    assert.equal(await registry.stop('SIGTERM'), 0);
  }
  const whole = blobs(sandbox);
  assert.equal(whole.length, 3);
  {
    await using registry = await startOwnRegistry(sandbox);
    await sandbox.succeed(['pull', `${registry.host}/app`]);
    const upload = request(`http://${registry.host}/v2/app/blobs/uploads/?digest=sha256:${'0'.repeat(64)}`, { method: 'POST' });
    upload.on('error', () => undefined);
    upload.write(randomBytes(1 << 20));
    const ingest = join(sandbox.store, 'registry/ingest');
    while (readdirSync(ingest).length === 0) await new Promise((done) => setTimeout(done, 5));
    await registry.stop('SIGKILL');
    upload.destroy();
    assert.deepEqual(blobs(sandbox), whole);
    assert.equal(readdirSync(ingest).length, 1);
  }
  await using registry = await startOwnRegistry(sandbox);
  assert.deepEqual(readdirSync(join(sandbox.store, 'registry/ingest')), []);
  await sandbox.succeed(['pull', `${registry.host}/app`]);
  assert.equal(await registry.stop('SIGINT'), 0);
});

test('with a password and a certificate, elsewhere in the machine; what cannot be served is refused before anything listens', async () => {
  await using sandbox = await openSandbox();
  const [cert, key] = [join(sandbox.folder, 'cert.pem'), join(sandbox.folder, 'key.pem')];
  const subject = '-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1'.split(' ');
  const fresh = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -x509 -days 2'.split(' ');
  execFileSync('openssl', ['req', ...fresh, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const users = join(sandbox.folder, 'users');
  writeFileSync(users, 'anna:$2y$05$abcdefghijklmnopqrstuuVWu8RjbNovPZWAMRdd7iqaaG0mI53Uu\n');
  const kept = join(sandbox.folder, 'kept');
  {
    await using registry = await startOwnRegistry(sandbox, ['--tls-cert', cert, '--tls-key', key, '--htpasswd', users, '--dir', 'kept']);
    const environment = { SSL_CERT_FILE: cert, NODE_EXTRA_CA_CERTS: cert };
    const context = sandbox.files({ Dockerfile: dockerfile, a: 'a', b: 'b' });
    await sandbox.succeed(['build', '-t', `${registry.host}/app`, context]);
    assert.notEqual((await sandbox.jettison(['push', `${registry.host}/app`], { environment })).status, 0);
    await sandbox.succeed(['login', '-u', 'anna', '--password-stdin', registry.host], { input: 'geheim', environment });
    await sandbox.succeed(['push', `${registry.host}/app`], { environment });
    const seen = execFileSync('skopeo', ['inspect', '--tls-verify=false', '--creds', 'anna:geheim', `docker://${registry.host}/app`]);
    assert.match(seen.toString(), /"Name"/u);
    assert.ok(existsSync(join(kept, 'registry.db')));
    const taken = await sandbox.jettison(['registry', 'serve', '--listen', registry.host, '--dir', 'second']);
    assert.match(taken.stderr, /^ERROR: Cannot listen on .*: something else does already/u);
  }
  rmSync(kept, { recursive: true });
  for (const [words, message] of [
    [['--listen', '0.0.0.0:0'], /Refusing plain HTTP on "0\.0\.0\.0"/u],
    [['--listen', '[::]:0', '--tls-cert', cert], /two halves/u],
    [['--listen', ':5000'], /":5000" is no address/u],
    [['--tls-cert', cert, '--tls-key', cert, '--listen', '0'], /Cannot use the certificate/u],
    [['--htpasswd', key], /key\.pem:1: not a name and a bcrypt hash/u],
    [['--htpasswd', 'missing'], /Cannot read ".*missing": ENOENT/u],
    [['--htpasswd', '/dev/zero'], /Cannot read "\/dev\/zero": it is longer than 1 MiB/u],
    [['--dir', '/proc/x'], /Cannot keep images in "\/proc\/x"/u],
    [['--dir', users], /Cannot keep images in ".*users": "?.*no folder/u],
  ] as const) {
    const refused = await sandbox.jettison(['registry', 'serve', '--dir', 'kept', ...words]);
    assert.match(refused.stderr, message);
    assert.equal(refused.status, 1, words.join(' '));
  }
  assert.doesNotMatch(readFileSync(users, 'utf8'), /geheim/u);
});
