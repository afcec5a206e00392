/** More that servers and what stands before them do to a pull: each a twist of one kind of request; the rest is answered as it should be. */
import { gzipSync } from 'node:zlib';
import type { TransportTiming } from '#stores/registry/transport.ts';
import type { Twist, TwistCall } from './registry.ts';

type Row = readonly [name: string, twist: Twist, timing?: Partial<TransportTiming>];
type Failing = readonly [name: string, twist: Twist, error: RegExp, timing?: Partial<TransportTiming>];

/** Short enough to be waited for, long enough for a busy machine. */
const short = { connect: 2000, firstByte: 500, commit: 500, idle: 500, leastBytes: 20_000, notice: 200 };

const isGet = ({ request }: TwistCall): boolean => request.method === 'GET';
const onManifest =
  (act: (call: TwistCall) => void): Twist =>
  (call) => {
    if (call.what !== 'manifest' || !isGet(call)) return false;
    act(call);
    return true;
  };
const onLayer =
  (act: (call: TwistCall) => void, most = Infinity): Twist =>
  (call) => {
    if (call.what !== 'layer' || !isGet(call) || call.times > most) return false;
    act(call);
    return true;
  };
const raw = ({ request }: TwistCall, ...parts: readonly (string | Uint8Array)[]): void => {
  for (const part of parts) request.socket.write(part);
};
const rawEnd = (call: TwistCall, ...parts: readonly (string | Uint8Array)[]): void => {
  raw(call, ...parts);
  call.request.socket.end();
};
const manifestType = 'application/vnd.oci.image.manifest.v1+json';

/** Repeats `act` until the client has gone. */
function keepOn({ request }: TwistCall, pause: number, act: () => void): void {
  const timer = setInterval(act, pause);
  request.socket.once('close', () => clearInterval(timer));
}

/** Writes as fast as the client reads, until it has gone. */
function flood({ request }: TwistCall, text: string): void {
  const more = (): void => {
    while (!request.socket.destroyed && request.socket.write(text));
  };
  request.socket.on('drain', more);
  more();
}

export const passingPulls: readonly Row[] = [
  ['head-404', (call) => call.request.method === 'HEAD' && (call.response.writeHead(404).end(), true)],
  [
    'head-wrong-type',
    (call) => call.request.method === 'HEAD' && (call.response.writeHead(200, { 'content-type': 'text/plain' }).end(), true),
  ],
  ['head-400', (call) => call.request.method === 'HEAD' && (call.response.writeHead(400).end(), true)],
  [
    'many-headers',
    onLayer((call) => {
      for (let index = 0; index < 200; index++) call.response.setHeader(`x-${index}`, 'y');
      call.response.end(call.bytes);
    }),
  ],
  [
    'early-hints',
    onLayer((call) => {
      for (let count = 0; count < 20; count++) raw(call, 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n');
      call.response.end(call.bytes);
    }),
  ],
  ['no-length-close', onLayer((call) => rawEnd(call, 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n', call.bytes))],
  ['http10', onLayer((call) => rawEnd(call, `HTTP/1.0 200 OK\r\ncontent-length: ${call.bytes.length}\r\n\r\n`, call.bytes))],
  [
    'redirect-303',
    onLayer((call) => void call.response.writeHead(303, { location: `http://${call.registry.otherHost}/${sha(call)}` }).end()),
  ],
  ['redirect-308', onLayer((call) => void call.response.writeHead(308, { location: `//${call.registry.otherHost}/${sha(call)}` }).end())],
  [
    'redirect-with-password',
    onLayer((call) => void call.response.writeHead(307, { location: `http://eve:x@${call.registry.otherHost}/${sha(call)}` }).end()),
  ],
  ['drop-in-headers', onLayer((call) => rawEnd(call, 'HTTP/1.1 200 OK\r\ncontent-le'), 1)],
  ['drop-no-answer', onLayer((call) => void call.request.socket.destroy(), 2)],
  [
    'reset-in-body',
    onLayer((call) => {
      call.response.writeHead(200, { 'content-length': call.bytes.length });
      call.response.write(call.bytes.subarray(0, 20_000), () => call.request.socket.resetAndDestroy());
    }, 2),
  ],
  [
    'chunked-drop',
    onLayer((call) => {
      call.response.writeHead(200);
      call.response.write(call.bytes.subarray(0, 20_000), () => call.request.socket.destroy());
    }, 1),
  ],
  ['no-length-drop', onLayer((call) => rawEnd(call, 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n', call.bytes.subarray(0, 20_000)), 1)],
  [
    'stall-once',
    onLayer((call) => {
      call.response.writeHead(200, { 'content-length': call.bytes.length });
      call.response.write(call.bytes.subarray(0, 20_000));
    }, 1),
    short,
  ],
  ['408-once', onLayer((call) => void call.response.writeHead(408).end(), 1)],
  [
    '502-html-once',
    onLayer((call) => void call.response.writeHead(502, { 'content-type': 'text/html' }).end('<html>Bad gateway</html>'), 1),
  ],
  ['504-once-manifest', (call) => call.what === 'manifest' && call.times === 1 && (call.response.writeHead(504).end(), true)],
  ['retry-after-nonsense', onLayer((call) => void call.response.writeHead(503, { 'retry-after': 'soon' }).end(), 1)],
  ['retry-after-past', onLayer((call) => void call.response.writeHead(503, { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }).end(), 1)],
  [
    'range-from-elsewhere',
    onLayer((call) => {
      if (call.times === 1)
        return void call.response
          .writeHead(200, { 'content-length': call.bytes.length })
          .write(call.bytes.subarray(0, 20_000), () => call.request.socket.destroy());
      // Whoever asks for the rest gets all of it, called a part.
      return void call.response
        .writeHead(206, { 'content-range': `bytes 0-${call.bytes.length - 1}/${call.bytes.length}`, 'content-length': call.bytes.length })
        .end(call.bytes);
    }, 2),
  ],
  [
    'range-416',
    onLayer((call) => {
      if (call.times === 1)
        return void call.response
          .writeHead(200, { 'content-length': call.bytes.length })
          .write(call.bytes.subarray(0, 20_000), () => call.request.socket.destroy());
      return void call.response
        .writeHead(call.request.headers.range === undefined ? 200 : 416)
        .end(call.request.headers.range === undefined ? call.bytes : '');
    }),
  ],
  [
    'trailer-for-ever',
    onLayer((call) => {
      raw(call, `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${call.bytes.length.toString(16)}\r\n`, call.bytes, '\r\n0\r\n');
      flood(call, 'x: y\r\n');
    }),
  ],
  ['type-json', onManifest((call) => void call.response.writeHead(200, { 'content-type': 'application/json' }).end(call.bytes))],
  ['type-missing', onManifest((call) => void call.response.end(call.bytes))],
  ['etag-only', onManifest((call) => void call.response.writeHead(200, { etag: '"x"', 'content-type': manifestType }).end(call.bytes))],
];

export const failingPulls: readonly Failing[] = [
  ['header-bomb', onLayer((call) => rawEnd(call, `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(10_000)}\r\n`)), /more headers than are read/u],
  ['header-1mb', onManifest((call) => rawEnd(call, `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(1 << 20)}\r\n\r\n`)), /more headers than are read/u],
  [
    'header-endless',
    onManifest((call) => (raw(call, 'HTTP/1.1 200 OK\r\n'), flood(call, `x: ${'y'.repeat(1000)}\r\n`))),
    /more headers than are read/u,
  ],
  [
    'header-drip',
    onManifest((call) => (raw(call, 'HTTP/1.1 200 OK\r\n'), keepOn(call, 50, () => raw(call, 'x: y\r\n')))),
    /did not answer for/u,
    short,
  ],
  [
    'continue-for-ever',
    onManifest((call) => keepOn(call, 20, () => raw(call, 'HTTP/1.1 102 Processing\r\n\r\n'))),
    /did not answer for/u,
    short,
  ],
  ['continue-flood', onManifest((call) => flood(call, 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100))), /did not answer for/u, short],
  [
    'chunked-for-ever',
    onLayer((call) => (raw(call, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'), flood(call, `1000\r\n${'x'.repeat(4096)}\r\n`))),
    /sends more bytes|bytes for sha256/u,
  ],
  [
    'chunk-extension',
    onLayer((call) => (raw(call, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;'), flood(call, 'x'.repeat(4096)))),
    /HTTP|broke|headers/u,
  ],
  [
    'chunk-size-nonsense',
    onLayer((call) => rawEnd(call, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n')),
    /does not answer in HTTP/u,
  ],
  [
    'chunked-empty',
    onLayer((call) => rawEnd(call, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n')),
    /sends 0 bytes for sha256/u,
  ],
  [
    'trailer-for-ever',
    onLayer((call) => (raw(call, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n'), flood(call, 'x: y\r\n'))),
    /sent nothing more|did not answer|more headers/u,
    short,
  ],
  [
    'trickle-manifest',
    onManifest(
      (call) => (
        call.response.writeHead(200, { 'content-type': manifestType, 'content-length': 4_000_000 }),
        keepOn(call, 5, () => call.response.write(' '.repeat(500)))
      ),
    ),
    /short answer|almost nothing/u,
    short,
  ],
  [
    'trickle-one-byte',
    onLayer(
      (call) => (call.response.writeHead(200, { 'content-length': call.bytes.length }), keepOn(call, 20, () => call.response.write('x'))),
    ),
    /almost nothing/u,
    short,
  ],
  ['length-negative', onLayer((call) => rawEnd(call, 'HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n')), /does not answer in HTTP/u],
  ['length-huge', onLayer((call) => rawEnd(call, 'HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n')), /HTTP|bytes/u],
  [
    'length-twice',
    onLayer((call) => rawEnd(call, 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde')),
    /does not answer in HTTP/u,
  ],
  [
    'length-and-chunked',
    onLayer((call) => rawEnd(call, 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n')),
    /does not answer in HTTP/u,
  ],
  [
    'length-too-long-always',
    onLayer((call) => rawEnd(call, `HTTP/1.1 200 OK\r\ncontent-length: ${call.bytes.length}\r\n\r\nshort`)),
    /broke|stopped/u,
  ],
  ['status-nonsense', onManifest((call) => rawEnd(call, 'HTTP/1.1 abc WHAT\r\n\r\n')), /does not answer in HTTP/u],
  ['status-999', onManifest((call) => rawEnd(call, 'HTTP/1.1 999 WHAT\r\ncontent-length: 0\r\n\r\n')), /answered 999/u],
  [
    'status-101',
    onManifest((call) => rawEnd(call, 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')),
    /broke|answered 101/u,
  ],
  ['status-204', onManifest((call) => void call.response.writeHead(204).end()), /answered 204/u],
  ['status-304', onManifest((call) => void call.response.writeHead(304).end()), /answered 304/u],
  ['status-418', onManifest((call) => void call.response.writeHead(418).end('\u001b[31mteapot')), /answered 418/u],
  ['ssh-banner', onManifest((call) => rawEnd(call, 'SSH-2.0-OpenSSH_9.2p1\r\n')), /does not answer in HTTP/u],
  [
    'gzip-manifest',
    onManifest(
      (call) => void call.response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': manifestType }).end(gzipSync(call.bytes)),
    ),
    /compressed \(gzip\)/u,
  ],
  [
    'gzip-bomb-manifest',
    onManifest(
      (call) =>
        void call.response
          .writeHead(200, { 'content-encoding': 'gzip', 'content-type': manifestType })
          .end(gzipSync(Buffer.alloc(100 << 20))),
    ),
    /compressed \(gzip\)/u,
  ],
  [
    'gzip-layer',
    onLayer((call) => void call.response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(call.bytes))),
    /compressed \(gzip\)/u,
  ],
  ['redirect-nowhere', onLayer((call) => void call.response.writeHead(307).end()), /without "Location"/u],
  [
    'redirect-ftp',
    onLayer((call) => void call.response.writeHead(307, { location: 'ftp://127.0.0.1/x' }).end()),
    /"ftp:", which is not the web/u,
  ],
  ['redirect-data', onLayer((call) => void call.response.writeHead(307, { location: 'data:text/plain,x' }).end()), /which is not the web/u],
  [
    'redirect-metadata',
    onLayer((call) => void call.response.writeHead(307, { location: 'http://169.254.169.254/latest/meta-data' }).end()),
    /169\.254\.169\.254", an address of this network link only/u,
  ],
  [
    'redirect-metadata-number',
    onLayer((call) => void call.response.writeHead(307, { location: 'http://2852039166/' }).end()),
    /169\.254\.169\.254"/u,
  ],
  [
    'redirect-metadata-ipv6',
    onLayer((call) => void call.response.writeHead(307, { location: 'http://[::ffff:169.254.169.254]/' }).end()),
    /network link only/u,
  ],
  [
    'redirect-link-local',
    onLayer((call) => void call.response.writeHead(307, { location: 'http://[fe80::1]/' }).end()),
    /network link only/u,
  ],
  ['redirect-broken', onLayer((call) => void call.response.writeHead(307, { location: 'http://[::1/' }).end()), /redirects to no address/u],
  [
    'redirect-refused',
    onLayer((call) => void call.response.writeHead(307, { location: 'http://127.0.0.1:1/x' }).end()),
    /"127\.0\.0\.1:1": connection refused/u,
  ],
  [
    'redirect-asks-who',
    onLayer((call) => void call.response.writeHead(307, { location: `http://${call.registry.otherHost}/none` }).end()),
    /404/u,
  ],
  [
    'redirect-crlf',
    onLayer((call) => rawEnd(call, 'HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1/\r\n x: y\r\ncontent-length: 0\r\n\r\n')),
    /127\.0\.0\.1:1|HTTP/u,
  ],
  [
    'redirect-far',
    onManifest((call) => void call.response.writeHead(302, { location: `${call.url.pathname}?${call.times}` }).end()),
    /redirects more than 5 times/u,
  ],
  ['401-without-challenge', onManifest((call) => void call.response.writeHead(401).end()), /401 Unauthorized/u],
  [
    '401-unknown-scheme',
    onManifest((call) => void call.response.writeHead(401, { 'www-authenticate': 'Negotiate' }).end()),
    /401 Unauthorized/u,
  ],
  [
    '401-no-realm',
    onManifest((call) => void call.response.writeHead(401, { 'www-authenticate': 'Bearer service="x"' }).end()),
    /no web address/u,
  ],
  [
    '401-realm-metadata',
    onManifest((call) => void call.response.writeHead(401, { 'www-authenticate': 'Bearer realm="http://169.254.169.254/t"' }).end()),
    /169\.254\.169\.254", an address of this network link only/u,
  ],
  ['451', onManifest((call) => void call.response.writeHead(451).end('gone by order')), /451.*gone by order/u],
  [
    'json-html',
    onManifest((call) => void call.response.writeHead(200, { 'content-type': manifestType }).end('<html>')),
    /wrong|other bytes|digest/u,
  ],
  [
    'error-html-page',
    onManifest((call) => void call.response.writeHead(403, { 'content-type': 'text/html' }).end(`<html>${'x'.repeat(1 << 20)}`)),
    /403 Forbidden/u,
  ],
  [
    'error-endless',
    onManifest((call) => (call.response.writeHead(500), keepOn(call, 1, () => call.response.write('x'.repeat(60_000))))),
    /answered 500/u,
    short,
  ],
  ['error-stalls', onManifest((call) => void call.response.writeHead(403, { 'content-length': 1000 }).write('no')), /answered 403/u, short],
  [
    'error-deep-json',
    onManifest((call) => void call.response.writeHead(400, { 'content-type': 'application/json' }).end('['.repeat(60_000))),
    /answered 400/u,
  ],
  [
    'part-as-whole',
    onLayer(
      (call) =>
        void call.response
          .writeHead(206, { 'content-range': `bytes 0-9/${call.bytes.length}`, 'content-length': 10 })
          .end(call.bytes.subarray(0, 10)),
    ),
    /sends 10 bytes for sha256/u,
  ],
  ['zeros', onLayer((call) => void call.response.end(new Uint8Array(call.bytes.length))), /wrong bytes for sha256/u],
];

function sha({ url }: TwistCall): string {
  return url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
}
