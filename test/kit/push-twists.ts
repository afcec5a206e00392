/** More that registries do to a push: each a twist of one kind of request; the rest is answered as it should be. */
import type { TransportTiming } from '#stores/registry/transport.ts';
import type { Twist, TwistCall } from './registry.ts';

type Row = readonly [name: string, twist: Twist, timing?: Partial<TransportTiming>];
type Failing = readonly [name: string, twist: Twist, error: RegExp, timing?: Partial<TransportTiming>];

const short = { connect: 2000, firstByte: 500, commit: 500, idle: 500, leastBytes: 20_000, notice: 200 };

const on =
  (method: string, what: TwistCall['what'], act: (call: TwistCall) => void, most = Infinity): Twist =>
  (call) => {
    if (call.request.method !== method || call.what !== what || call.times > most) return false;
    act(call);
    return true;
  };

const answer =
  (status: number, headers: Record<string, string> = {}, body = '') =>
  ({ request, response }: TwistCall): void => {
    request.resume();
    response.writeHead(status, headers).end(body);
  };

/** The request is served, but its answer is lost. */
const lost =
  (method: string, what: TwistCall['what'], most = 1): Twist =>
  (call) => {
    if (call.request.method !== method || call.what !== what || call.times > most) return false;
    const { response, request } = call;
    response.writeHead = () => {
      request.socket.destroy();
      return response;
    };
    return false;
  };

const isBlobHead = ({ request, url }: TwistCall): boolean => request.method === 'HEAD' && url.pathname.includes('/blobs/');

export const passingPushes: readonly Row[] = [
  ['put-answer-lost', lost('PUT', 'upload', 2)],
  // The last request of a long blob, whose bytes went before.
  ['last-answer-lost', (call) => call.request.headers['content-length'] === '0' && lost('PUT', 'upload', Infinity)(call)],
  ['patch-answer-lost', lost('PATCH', 'upload')],
  ['manifest-answer-lost', lost('PUT', 'manifest')],
  ['post-answer-lost', lost('POST', 'upload')],
  ['no-head-blob', (call) => isBlobHead(call) && (call.response.writeHead(405).end(), true)],
  ['head-503-once', (call) => isBlobHead(call) && call.times === 1 && (call.response.writeHead(503).end(), true)],
  ['post-429', on('POST', 'upload', answer(429, { 'retry-after': '0' }), 2)],
  ['patch-502', on('PATCH', 'upload', answer(502), 1)],
  ['put-504', on('PUT', 'upload', answer(504), 2)],
  ['put-408', on('PUT', 'upload', answer(408), 1)],
  ['patch-stall-once', on('PATCH', 'upload', () => {}, 1), short],
  ['manifest-500-once', on('PUT', 'manifest', answer(500), 1)],
  [
    'manifest-created-200',
    (call) => {
      if (call.request.method === 'PUT' && call.what === 'manifest') {
        const { response } = call;
        const real = response.writeHead.bind(response);
        response.writeHead = () => real(200);
      }
      return false;
    },
  ],
  ['post-drop-twice', on('POST', 'upload', ({ request }) => void request.socket.destroy(), 2)],
];

export const failingPushes: readonly Failing[] = [
  ['401-write', on('POST', 'upload', answer(401)), /401 Unauthorized/u],
  [
    '403-write',
    on('POST', 'upload', answer(403, {}, '{"errors":[{"code":"DENIED","message":"read only"}]}')),
    /403 Forbidden.*DENIED: read only/u,
  ],
  [
    '404-repository',
    on('POST', 'upload', answer(404, {}, '{"errors":[{"code":"NAME_UNKNOWN","message":"make it first"}]}')),
    /NAME_UNKNOWN: make it first/u,
  ],
  ['405-read-only', on('POST', 'upload', answer(405)), /answered 405/u],
  [
    '409-immutable',
    on('PUT', 'manifest', answer(409, {}, '{"errors":[{"code":"TAG_IMMUTABLE","message":"tag is fixed"}]}')),
    /TAG_IMMUTABLE: tag is fixed/u,
  ],
  ['413-manifest', on('PUT', 'manifest', answer(413)), /413/u],
  ['429-always', on('POST', 'upload', answer(429, { 'retry-after': '0' })), /429 Too Many/u],
  ['429-long', on('POST', 'upload', answer(429, { 'retry-after': '7200' })), /7200 seconds/u],
  ['507-full', on('PUT', 'upload', answer(507)), /507/u],
  ['quota', on('PATCH', 'upload', answer(403, {}, '{"errors":[{"code":"DENIED","message":"quota exceeded"}]}')), /quota exceeded/u],
  ['post-stall', on('POST', 'upload', () => {}), /did not answer for/u, short],
  ['put-stall', on('PUT', 'upload', () => {}), /did not answer for/u, short],
  ['manifest-stall', on('PUT', 'manifest', () => {}), /did not answer for/u, short],
  ['head-stall', (call) => isBlobHead(call), /did not answer for/u, short],
  ['location-file', on('POST', 'upload', answer(202, { location: 'file:///etc/passwd' })), /which is not the web/u],
  ['location-metadata', on('POST', 'upload', answer(202, { location: 'http://169.254.169.254/x' })), /network link only/u],
  ['location-broken', on('POST', 'upload', answer(202, { location: 'http://[::1/' })), /redirects to no address/u],
  ['location-refused', on('POST', 'upload', answer(202, { location: 'http://127.0.0.1:1/x' })), /127\.0\.0\.1:1": connection refused/u],
  ['html', on('POST', 'upload', answer(200, { 'content-type': 'text/html' }, '<html>')), /answered 200/u],
  [
    'other-digest',
    (call) => {
      if (call.request.method !== 'PUT' || call.what !== 'upload') return false;
      answer(201, { 'docker-content-digest': `sha256:${'0'.repeat(64)}` })(call);
      return true;
    },
    /stored sha256:0000/u,
  ],
  [
    'manifest-other-digest',
    on('PUT', 'manifest', answer(201, { 'docker-content-digest': `sha256:${'0'.repeat(64)}` })),
    /other bytes|sha256:0000/u,
  ],
  ['drop-always', on('PATCH', 'upload', ({ request }) => void request.socket.destroy()), /broke/u],
  ['http09', on('POST', 'upload', ({ request }) => void request.socket.end('what\r\n')), /does not answer in HTTP/u],
];
