/** TLS: certificates are checked, plain HTTP is a guess that a TLS port corrects, and nothing is sent down from TLS to plain HTTP. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttpsServer } from 'node:https';
import type { RequestListener } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { digestOf } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { parseReference } from '#formats/oci/reference.ts';
import { createRegistryClient } from '#stores/registry/client.ts';
import { noRegistryConfig } from '#stores/registry/config.ts';
import { createCredentials } from '#stores/registry/credentials.ts';
import { startRegistry } from '#test/kit/registry.ts';
import { openSandbox } from '#test/kit/sandbox.ts';
import { clientFor, signal, temporary } from '#test/kit/transfer.ts';

type CertificateOptions = { readonly name?: string; readonly from?: string; readonly until?: string };

const authority = `[ca]
default_ca = own
[own]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
`;

/** A certificate that signs itself. `openssl req` makes none of other times. */
function makeCertificate(folder: string, { name = 'localhost', from = '20200101000000Z', until = '20900101000000Z' }: CertificateOptions) {
  const [key, cert, config] = [join(folder, 'key.pem'), join(folder, 'cert.pem'), join(folder, 'ca.cnf')];
  for (const [file, text] of Object.entries({ 'ca.cnf': authority, index: '', serial: '01' })) writeFileSync(join(folder, file), text);
  const openssl = (words: string): void =>
    void execFileSync('openssl', words.split(' '), { cwd: folder, stdio: 'ignore', env: { PATH: process.env['PATH'], HOME: folder } });
  const asked = `-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout ${key} -out request.pem`;
  openssl(`req -new ${asked} -addext subjectAltName=DNS:${name}`);
  openssl(
    `ca -batch -notext -selfsign -config ${config} -keyfile ${key} -in request.pem -out ${cert} -startdate ${from} -enddate ${until}`,
  );
  return { key, cert };
}

/** Speaks TLS, and answers plain HTTP as Go's net/http does on such a port. */
async function startTls(folder: string, serve: RequestListener, options: CertificateOptions & { readonly clients?: string } = {}) {
  const { key, cert } = makeCertificate(folder, options);
  const asks = options.clients === undefined ? {} : { requestCert: true, rejectUnauthorized: true, ca: options.clients };
  const secure = createHttpsServer({ key: readFileSync(key), cert: readFileSync(cert), ...asks }, serve);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('readable', () => {
      const first: unknown = socket.read(1);
      if (!(first instanceof Uint8Array)) return;
      socket.unshift(first);
      if (first[0] === 0x16) secure.emit('connection', socket);
      else socket.end('HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `localhost:${(server.address() as AddressInfo).port}`,
    certificate: readFileSync(cert, 'utf8'),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

test('an unknown certificate is refused by name; a known one is taken, also where plain HTTP was guessed', async () => {
  using folder = temporary();
  await using server = await startTls(folder.path, (_, response) => void response.end('{}'));
  for (const config of [{}, { [server.host]: { plainHttp: false } }]) {
    using client = clientFor(config);
    await assert.rejects(
      client.ping(server.host, signal),
      (error) =>
        isCode(error, 'registry/untrusted') && error.message.includes(server.host) && error.hint?.includes('NODE_EXTRA_CA_CERTS') === true,
    );
  }
  const before = getCACertificates('default');
  setDefaultCACertificates([...before, server.certificate]);
  try {
    for (const config of [{}, { [server.host]: { plainHttp: false } }]) {
      using client = clientFor(config);
      await client.ping(server.host, signal);
      // Its first request is HEAD, whose answer says nothing.
      using fresh = clientFor(config);
      assert.equal(await fresh.hasBlob(parseReference(`${server.host}/app`), digestOf('x'), signal), true);
    }
  } finally {
    setDefaultCACertificates(before);
  }
});

test('certs.d of docker and of containers: an authority, and a certificate of ours, for one host', async () => {
  using folder = temporary();
  using ours = temporary();
  const mine = makeCertificate(ours.path, { name: 'client' });
  await using server = await startTls(folder.path, (_, response) => void response.end('{}'), { clients: readFileSync(mine.cert, 'utf8') });
  const pinged = async (home: string): Promise<unknown> => {
    const environment = { HOME: home };
    using client = createRegistryClient({ config: noRegistryConfig, findCredential: createCredentials({ environment }), environment });
    return await client.ping(server.host, signal).then(
      () => 'pong',
      (error: unknown) => error,
    );
  };
  for (const place of ['docker', 'containers']) {
    using home = temporary();
    const certificates = join(home.path, '.config', place, 'certs.d', server.host);
    mkdirSync(certificates, { recursive: true });
    assert.ok(isCode(await pinged(home.path), 'registry/untrusted'));
    writeFileSync(join(certificates, 'ca.crt'), server.certificate);
    assert.ok(isCode(await pinged(home.path), 'registry/wants-certificate'));
    copyFileSync(mine.cert, join(certificates, 'client.cert'));
    const halved = await pinged(home.path);
    assert.ok(
      isCode(halved, 'registry/bad-certificates') && halved.message.includes(certificates) && halved.message.includes('client.key'),
    );
    copyFileSync(mine.key, join(certificates, 'client.key'));
    assert.equal(await pinged(home.path), 'pong');
    writeFileSync(join(certificates, 'client.key'), 'none');
    assert.ok(isCode(await pinged(home.path), 'registry/bad-certificates'));
  }
});

test('an authority that this machine knows is known', async () => {
  using folder = temporary();
  await using server = await startTls(folder.path, (_, response) => void response.end('{}'));
  await using sandbox = await openSandbox();
  const login = ['login', '-u', 'a', '--password-stdin', server.host];
  const environment = { SSL_CERT_FILE: join(folder.path, 'cert.pem'), SSL_CERT_DIR: folder.path };
  assert.match((await sandbox.jettison(login, { input: 'b' })).stderr, /is not trusted/u);
  assert.equal(await sandbox.succeed(login, { input: 'b', environment }), 'Login Succeeded\n');
});

const badCertificates: readonly (readonly [name: string, options: CertificateOptions, reason: RegExp, hint: RegExp])[] = [
  ['F: tls-wrong-host', { name: 'other.example' }, /other\.example/u, /another name/u],
  ['F: tls-expired', { until: '20200201000000Z' }, /expired/u, /clock/u],
  ['F: tls-not-yet', { from: '20890101000000Z' }, /not yet valid/u, /clock/u],
];

for (const [name, options, reason, hint] of badCertificates) {
  test(name, async () => {
    using folder = temporary();
    await using server = await startTls(folder.path, (_, response) => void response.end('{}'), options);
    const before = getCACertificates('default');
    setDefaultCACertificates([...before, server.certificate]);
    try {
      using client = clientFor({ [server.host]: { plainHttp: false } });
      await assert.rejects(client.ping(server.host, signal), (error) => {
        assert.ok(isCode(error, 'registry/untrusted'), String(error));
        assert.match(error.message, reason);
        assert.ok(error.message.includes(server.host));
        assert.match(error.hint ?? '', hint);
        return true;
      });
    } finally {
      setDefaultCACertificates(before);
    }
  });
}

test('TLS to a plain HTTP registry says how to configure it', async () => {
  await using registry = await startRegistry();
  using client = clientFor({ [registry.host]: { plainHttp: false } });
  await assert.rejects(
    client.ping(registry.host, signal),
    (error) => isCode(error, 'registry/no-tls') && error.hint?.includes('"plainHttp": true') === true,
  );
});

test('a redirect from TLS down to plain HTTP is refused', async () => {
  using folder = temporary();
  await using registry = await startRegistry();
  await using server = await startTls(
    folder.path,
    (_, response) => void response.writeHead(307, { location: `http://${registry.host}/v2/` }).end(),
  );
  const before = getCACertificates('default');
  setDefaultCACertificates([...before, server.certificate]);
  try {
    using client = clientFor({ [server.host]: { plainHttp: false } });
    await assert.rejects(client.resolve(parseReference(`${server.host}/app`), signal), (error) => isCode(error, 'registry/bad-redirect'));
    assert.equal(registry.seen.length, 0);
  } finally {
    setDefaultCACertificates(before);
  }
});
