/**
 * A registry of the OCI distribution spec in this process, on 127.0.0.1, that can go wrong in all the ways that registries do. What it
 * keeps is in memory; every request is written down.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** Must be survived. */
export const passingPullFaults = [
  'good',
  'no-head',
  'no-range',
  'chunked',
  'no-digest-header',
  'redirect',
  'relative-redirect',
  'retry-503',
  'retry-500-blob',
  'retry-429',
  'retry-429-date',
  'drop-once',
  'drop-thrice',
  'reset-connect',
  'slow',
  'token',
  'token-short',
  'keepalive-close',
  'mediatype-param',
  'wrong-blob-once',
  'basic',
] as const;

/** Must end in an error in time. */
export const failingPullFaults = [
  '404',
  '403',
  '401-basic',
  '500-always',
  '429-always',
  '429-long',
  'drop-always',
  'stall',
  'stall-headers',
  'trickle',
  'wrong-blob',
  'wrong-manifest',
  'wrong-digest-header',
  'short-blob',
  'long-blob',
  'endless-blob',
  'endless-manifest',
  'empty-blob',
  'html',
  'redirect-loop',
  'redirect-file',
  'token-never',
  'token-evil-realm',
  'http09',
  'no-answer',
  'refused',
] as const;

export const passingPushFaults = [
  'good',
  'relative-location',
  'push-503-once',
  'push-drop-once',
  'push-drop-lost',
  'session-lost',
  'upload-unknown',
  'push-token-expires',
  'mount-refused',
  'manifest-503-once',
  'token',
  'redirect-upload',
] as const;

export const failingPushFaults = [
  '413',
  'digest-refused',
  'push-stall',
  'push-403',
  'push-500-always',
  'manifest-refused',
  'push-no-location',
] as const;

export type Fault =
  | (typeof passingPullFaults)[number]
  | (typeof failingPullFaults)[number]
  | (typeof passingPushFaults)[number]
  | (typeof failingPushFaults)[number];

export type Seen = {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
};

export type TestRegistry = AsyncDisposable & {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** A second server, another origin: where redirects lead. */
  readonly otherHost: string;
  readonly blobs: Map<string, Uint8Array>;
  /** By `repository:tag` and `repository@digest`. */
  readonly manifests: Map<string, { readonly bytes: Uint8Array; readonly mediaType: string }>;
  readonly seen: Seen[];
  readonly seenElsewhere: Seen[];
  fault: Fault;
  /** Answers a request itself, and then gives true. */
  twist: Twist | undefined;
  /** What basic auth and the token server take. */
  readonly credential: { readonly username: string; readonly password: string };
};

export type TwistCall = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly registry: TestRegistry;
  /** `config` is any short blob. */
  readonly what: 'manifest' | 'layer' | 'config' | 'upload' | 'token' | 'other';
  /** How often this method was used for this kind of thing, this time included. */
  readonly times: number;
  /** The bytes that are asked for, where they are there. */
  readonly bytes: Uint8Array;
};

export type Twist = (call: TwistCall) => boolean;

export type SampleImage = {
  readonly config: Uint8Array;
  readonly layers: readonly Uint8Array[];
  readonly manifest: Uint8Array;
  readonly mediaType: string;
  readonly digest: string;
};

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** An image with layers of these sizes; the bytes are no real tars. */
export function sampleImage(sizes: readonly number[], architecture = 'amd64', docker = false): SampleImage {
  const layers = sizes.map((size) => new Uint8Array(randomBytes(size)));
  const config = encodeJson({
    architecture,
    os: 'linux',
    config: { Env: ['A=b'] },
    rootfs: { type: 'layers', diff_ids: layers.map(sha256) },
  });
  const types = docker
    ? { config: 'application/vnd.docker.container.image.v1+json', layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip' }
    : { config: 'application/vnd.oci.image.config.v1+json', layer: 'application/vnd.oci.image.layer.v1.tar' };
  const mediaType = docker ? 'application/vnd.docker.distribution.manifest.v2+json' : 'application/vnd.oci.image.manifest.v1+json';
  const descriptor = (type: string, bytes: Uint8Array): object => ({ mediaType: type, digest: sha256(bytes), size: bytes.length });
  const manifest = encodeJson({
    schemaVersion: 2,
    mediaType,
    config: descriptor(types.config, config),
    layers: layers.map((layer) => descriptor(types.layer, layer)),
  });
  return { config, layers, manifest, mediaType, digest: sha256(manifest) };
}

/** Puts an image into the registry under `name` (`repository:tag`). */
export function addImage(registry: TestRegistry, name: string, image: SampleImage): void {
  for (const blob of [image.config, ...image.layers]) registry.blobs.set(sha256(blob), blob);
  addManifest(registry, name, image.manifest, image.mediaType);
}

export function addManifest(registry: TestRegistry, name: string, bytes: Uint8Array, mediaType: string): void {
  const repository = name.slice(0, name.lastIndexOf(':'));
  registry.manifests.set(name, { bytes, mediaType });
  registry.manifests.set(`${repository}@${sha256(bytes)}`, { bytes, mediaType });
}

/** What a body without a length is taken for, in bytes, by faults that strike in the middle. */
const streamedLength = 4 << 20;

type Upload = { readonly repository: string; chunks: Uint8Array[]; size: number };

type State = TestRegistry & {
  readonly counts: Map<string, number>;
  readonly tokens: Map<string, number>;
  readonly uploads: Map<string, Upload>;
};

export async function startRegistry(fault: Fault = 'good'): Promise<TestRegistry> {
  const counts = new Map<string, number>();
  const state: { value?: State } = {};
  // A client that goes away in the middle is no fault of ours.
  const server = createServer(
    (request, response) => void (state.value && serve(state.value, request, response).catch(() => response.destroy())),
  );
  const other = createServer((request, response) => void (state.value && serveElsewhere(state.value, request, response)));
  const sockets = new Set<Socket>();
  for (const one of [server, other]) {
    one.keepAliveTimeout = 60_000;
    one.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
      if (state.value?.fault === 'reset-connect' && bump(counts, 'connections') <= 2) socket.resetAndDestroy();
    });
    one.listen(0, '127.0.0.1');
    await new Promise((done) => one.once('listening', done));
  }
  const hostOf = (one: typeof server): string => `127.0.0.1:${(one.address() as AddressInfo).port}`;
  const registry: State = {
    host: hostOf(server),
    otherHost: hostOf(other),
    blobs: new Map(),
    manifests: new Map(),
    seen: [],
    seenElsewhere: [],
    fault,
    twist: undefined,
    credential: { username: 'ada', password: 'love:lace' },
    counts,
    tokens: new Map(),
    uploads: new Map(),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await Promise.all([server, other].map((one) => new Promise((done) => one.close(done))));
    },
  };
  state.value = registry;
  if (fault === 'refused') await new Promise((done) => server.close(done));
  return registry;
}

function bump(counts: Map<string, number>, name: string): number {
  const count = (counts.get(name) ?? 0) + 1;
  counts.set(name, count);
  return count;
}

function note(request: IncomingMessage): Seen {
  return {
    method: request.method ?? '',
    url: request.url ?? '',
    authorization: request.headers.authorization,
    range: request.headers.range,
  };
}

function refuse(response: ServerResponse, status: number, code: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify({ errors: [{ code, message: `${code.toLowerCase().replaceAll('_', ' ')} here` }] }));
}

async function serve(registry: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  registry.seen.push(note(request));
  request.on('error', () => {});
  const url = new URL(request.url ?? '/', `http://${registry.host}`);
  if (registry.twist?.(twistCall(registry, request, response, url)) === true) return;
  if (registry.fault === 'keepalive-close') response.on('finish', () => setTimeout(() => request.socket.destroy(), 2));
  if (url.pathname === '/token') return serveToken(registry, request, url, response);
  if (!allowed(registry, request, url, response)) return;
  const [, repository = '', kind = '', rest = ''] = /^\/v2\/(.+?)\/(manifests|blobs)\/(.*)$/u.exec(url.pathname) ?? [];
  if (url.pathname === '/v2/') return void response.end('{}');
  if (kind === 'manifests') return await serveManifest(registry, { request, response, repository, name: rest });
  if (rest.startsWith('uploads/'))
    return await serveUpload(registry, { request, response, repository, id: rest.slice(8), query: url.searchParams });
  if (kind === 'blobs') return await serveBlob(registry, { request, response, repository, digest: rest });
  return refuse(response, 404, 'NAME_UNKNOWN');
}

function twistCall(registry: State, request: IncomingMessage, response: ServerResponse, url: URL): TwistCall {
  const [, repository = '', kind = '', name = ''] = /^\/v2\/(.+?)\/(manifests|blobs)\/(.*)$/u.exec(url.pathname) ?? [];
  const manifest = registry.manifests.get(name.startsWith('sha256:') ? `${repository}@${name}` : `${repository}:${name}`)?.bytes;
  const bytes = (kind === 'manifests' ? manifest : registry.blobs.get(name)) ?? new Uint8Array();
  const blob = name.startsWith('uploads/') ? 'upload' : bytes.length > 10_000 ? 'layer' : 'config';
  const what = url.pathname === '/token' ? 'token' : kind === 'manifests' ? 'manifest' : kind === 'blobs' ? blob : 'other';
  return { request, response, url, registry, what, bytes, times: bump(registry.counts, `${request.method} ${what}`) };
}

/** Where redirected blobs come from. */
async function serveElsewhere(registry: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  registry.seenElsewhere.push(note(request));
  const blob = registry.blobs.get((request.url ?? '').slice(1));
  if (!blob) return refuse(response, 404, 'BLOB_UNKNOWN');
  await Promise.resolve();
  sendBytes(request, response, blob, true);
}

function basicOf(registry: State): string {
  return `Basic ${Buffer.from(`${registry.credential.username}:${registry.credential.password}`).toString('base64')}`;
}

function allowed(registry: State, request: IncomingMessage, url: URL, response: ServerResponse): boolean {
  const given = request.headers.authorization;
  const fault: string = registry.fault;
  switch (fault) {
    case 'basic':
    case '401-basic':
      if (registry.fault === 'basic' && given === basicOf(registry)) return true;
      refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="test, really"' });
      return false;
    case 'token':
    case 'token-short':
    case 'push-token-expires':
    case 'token-never':
    case 'token-evil-realm': {
      const left = registry.tokens.get(given ?? '') ?? 0;
      if (registry.fault !== 'token-never' && left > 0) {
        registry.tokens.set(given ?? '', left - 1);
        return true;
      }
      const realm = registry.fault === 'token-evil-realm' ? 'file:///etc/passwd' : `http://${registry.host}/token`;
      const repository = /^\/v2\/(.+?)\/(?:manifests|blobs)\//u.exec(url.pathname)?.[1] ?? '';
      refuse(response, 401, 'UNAUTHORIZED', {
        'www-authenticate': `Bearer realm="${realm}",service="test service",scope="repository:${repository}:pull"`,
      });
      return false;
    }
    default:
      return true;
  }
}

function serveToken(registry: State, request: IncomingMessage, url: URL, response: ServerResponse): void {
  const uses = { 'token-short': 1, 'push-token-expires': 6 } as Record<string, number>;
  const token = `t${bump(registry.counts, 'tokens')}`;
  const scope = url.searchParams.getAll('scope').join(' ');
  const text = request.headers.authorization;
  if (text !== undefined && text !== basicOf(registry)) return refuse(response, 401, 'UNAUTHORIZED');
  if (!scope.includes('repository:') || url.searchParams.get('service') !== 'test service') return refuse(response, 400, 'UNSUPPORTED');
  registry.tokens.set(`Bearer ${token}`, uses[registry.fault] ?? Infinity);
  response.end(JSON.stringify({ token, expires_in: 300 }));
}

type ManifestCall = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly repository: string;
  readonly name: string;
};

async function serveManifest(registry: State, call: ManifestCall): Promise<void> {
  const { request, response, repository, name } = call;
  const { fault, counts } = registry;
  if (request.method === 'PUT') return await takeManifest(registry, call);
  if (fault === 'no-head' && request.method === 'HEAD') return refuse(response, 405, 'UNSUPPORTED');
  if (fault === '404') return refuse(response, 404, 'MANIFEST_UNKNOWN');
  if (fault === '403') return refuse(response, 403, 'DENIED');
  if (fault === 'html') return void response.writeHead(200, { 'content-type': 'text/html' }).end('<html><body>Welcome</body></html>');
  if (fault === 'http09') return void request.socket.end('<html>what is a status line</html>');
  if (fault === 'no-answer') return;
  if (fault === '500-always' || (fault === 'retry-503' && bump(counts, 'manifests') <= 2)) return refuse(response, 503, 'UNAVAILABLE');
  if (fault === '429-always') return refuse(response, 429, 'TOOMANYREQUESTS', { 'retry-after': '0' });
  if (fault === '429-long') return refuse(response, 429, 'TOOMANYREQUESTS', { 'retry-after': '3600' });
  if (fault === 'endless-manifest' && request.method === 'GET') return pour(response, ' '.repeat(1 << 16));
  const found = registry.manifests.get(name.startsWith('sha256:') ? `${repository}@${name}` : `${repository}:${name}`);
  if (!found) return refuse(response, 404, 'MANIFEST_UNKNOWN');
  const bytes = fault === 'wrong-manifest' ? new TextEncoder().encode('{"schemaVersion":2,"manifests":[]}') : found.bytes;
  const digest = fault === 'wrong-digest-header' ? `sha256:${'0'.repeat(64)}` : sha256(found.bytes);
  response.writeHead(200, {
    'content-type': fault === 'mediatype-param' ? `${found.mediaType}; charset=utf-8` : found.mediaType,
    'content-length': bytes.length,
    ...(fault === 'no-digest-header' ? {} : { 'docker-content-digest': digest }),
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

async function takeManifest(registry: State, { request, response, repository, name }: ManifestCall): Promise<void> {
  const bytes = await readAll(request);
  if (registry.fault === 'manifest-503-once' && bump(registry.counts, 'put') === 1) return refuse(response, 503, 'UNAVAILABLE');
  if (registry.fault === 'manifest-refused') return refuse(response, 400, 'MANIFEST_INVALID');
  const manifest = JSON.parse(Buffer.from(bytes).toString()) as { config: { digest: string }; layers: { digest: string }[] };
  const missing = [manifest.config, ...manifest.layers].some(({ digest }) => !registry.blobs.has(digest));
  if (missing) return refuse(response, 400, 'MANIFEST_BLOB_UNKNOWN');
  addManifest(registry, `${repository}:${name}`, bytes, request.headers['content-type'] ?? '');
  response.writeHead(201, { 'docker-content-digest': sha256(bytes) }).end();
}

type BlobCall = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly repository: string;
  readonly digest: string;
};

async function serveBlob(registry: State, call: BlobCall): Promise<void> {
  const { request, response, digest } = call;
  const { counts } = registry;
  const fault: string = registry.fault;
  const blob = registry.blobs.get(digest);
  if (!blob) return refuse(response, 404, 'BLOB_UNKNOWN');
  if (request.method === 'HEAD') return void response.writeHead(200, { 'content-length': blob.length }).end();
  // Faults strike the large blobs (layers), not the config.
  const times = blob.length > 10_000 ? bump(counts, `blob ${digest}`) : Infinity;
  if (blob.length <= 10_000) return sendBytes(request, response, blob, true);
  const half = blob.length >> 1;
  switch (fault) {
    case 'redirect':
      return void response.writeHead(307, { location: `http://${registry.otherHost}/${digest}` }).end();
    case 'relative-redirect':
      if (request.url?.endsWith('?moved')) return sendBytes(request, response, blob, true);
      return void response.writeHead(302, { location: `./${digest}?moved` }).end();
    case 'redirect-loop':
      return void response.writeHead(307, { location: request.url ?? '' }).end();
    case 'redirect-file':
      return void response.writeHead(307, { location: 'file:///etc/passwd' }).end();
    case 'retry-500-blob':
      return times <= 2 ? refuse(response, 500, 'UNKNOWN') : sendBytes(request, response, blob, true);
    case 'retry-429':
      return times <= 2 ? refuse(response, 429, 'TOOMANYREQUESTS', { 'retry-after': '0' }) : sendBytes(request, response, blob, true);
    case 'retry-429-date':
      if (times > 2) return sendBytes(request, response, blob, true);
      return refuse(response, 429, 'TOOMANYREQUESTS', { 'retry-after': new Date().toUTCString() });
    case 'drop-once':
    case 'drop-thrice':
    case 'drop-always':
    case 'no-range': {
      const most: Record<string, number> = { 'drop-thrice': 3, 'drop-always': Infinity };
      if (times > (most[fault] ?? 1)) return sendBytes(request, response, blob, fault !== 'no-range');
      return sendPart(request, response, blob, fault === 'drop-always' ? 100 : blob.length >> 3);
    }
    case 'chunked':
      response.writeHead(200);
      response.write(blob.subarray(0, half));
      return void response.end(blob.subarray(half));
    case 'slow':
      return await drip(response, blob, 8, 15);
    case 'stall':
      response.writeHead(200, { 'content-length': blob.length });
      return void response.write(blob.subarray(0, half));
    case 'stall-headers':
      return;
    case 'trickle':
      return await drip(response, blob, blob.length / 10, 20);
    case 'wrong-blob':
      return sendBytes(request, response, damaged(blob), true);
    case 'wrong-blob-once':
      return sendBytes(request, response, times === 1 ? damaged(blob) : blob, true);
    case 'short-blob':
      return sendBytes(request, response, blob.subarray(0, half), false);
    case 'long-blob':
      return sendBytes(request, response, Buffer.concat([blob, blob]), false);
    case 'endless-blob':
      return pour(response, 'x'.repeat(1 << 16));
    case 'empty-blob':
      return void response.writeHead(200, { 'content-length': 0 }).end();
    default:
      return sendBytes(request, response, blob, true);
  }
}

function damaged(blob: Uint8Array): Uint8Array {
  return blob.map((byte, index) => (index === 7 ? byte ^ 1 : byte));
}

function rangeStart(request: IncomingMessage): number {
  return Number(/^bytes=(\d+)-/u.exec(request.headers.range ?? '')?.[1] ?? 0);
}

function head(request: IncomingMessage, response: ServerResponse, blob: Uint8Array, ranges: boolean): Uint8Array {
  const start = ranges ? rangeStart(request) : 0;
  const rest = blob.subarray(start);
  response.writeHead(start > 0 ? 206 : 200, {
    'content-length': rest.length,
    ...(start > 0 ? { 'content-range': `bytes ${start}-${blob.length - 1}/${blob.length}` } : {}),
  });
  return rest;
}

function sendBytes(request: IncomingMessage, response: ServerResponse, blob: Uint8Array, ranges: boolean): void {
  response.end(head(request, response, blob, ranges));
}

/** Some bytes, then the connection breaks. */
function sendPart(request: IncomingMessage, response: ServerResponse, blob: Uint8Array, count: number): void {
  response.write(head(request, response, blob, true).subarray(0, count), () => request.socket.destroy());
}

async function drip(response: ServerResponse, blob: Uint8Array, pieces: number, pause: number): Promise<void> {
  response.writeHead(200, { 'content-length': blob.length });
  const size = Math.ceil(blob.length / pieces);
  for (let start = 0; start < blob.length && !response.destroyed; start += size) {
    response.write(blob.subarray(start, start + size));
    await new Promise((done) => setTimeout(done, pause));
  }
  response.end();
}

/** Without end, until the client has had enough. */
function pour(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'application/vnd.oci.image.manifest.v1+json' });
  const more = (): void => {
    while (!response.destroyed && response.write(text));
  };
  response.on('drain', more);
  more();
}

type UploadCall = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly repository: string;
  readonly id: string;
  readonly query: URLSearchParams;
};

async function serveUpload(registry: State, call: UploadCall): Promise<void> {
  const { request, response, repository, id, query } = call;
  if (registry.fault === 'push-403') return refuse(response, 403, 'DENIED');
  if (registry.fault === 'push-500-always') return refuse(response, 500, 'UNKNOWN');
  if (request.method === 'POST') return beginUpload(registry, call);
  const upload = registry.uploads.get(id);
  if (!upload) return refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN');
  const where = { location: `/v2/${repository}/blobs/uploads/${id}?state=${upload.size}`, range: `0-${Math.max(0, upload.size - 1)}` };
  if (request.method === 'GET') return void response.writeHead(204, where).end();
  if (!(await takeBytes(registry, call, upload))) return;
  const whole = Buffer.concat(upload.chunks);
  where.range = `0-${whole.length - 1}`;
  if (request.method === 'PATCH') return void response.writeHead(202, where).end();
  const digest = query.get('digest') ?? '';
  if (registry.fault === 'digest-refused' || sha256(whole) !== digest) return refuse(response, 400, 'DIGEST_INVALID');
  registry.uploads.delete(id);
  registry.blobs.set(digest, new Uint8Array(whole));
  response.writeHead(201, { 'docker-content-digest': digest, location: `/v2/${repository}/blobs/${digest}` }).end();
}

function beginUpload(registry: State, { response, repository, query }: UploadCall): void {
  const mount = query.get('mount');
  if (mount !== null && registry.fault !== 'mount-refused' && registry.blobs.has(mount)) return void response.writeHead(201).end();
  if (registry.fault === 'push-503-once' && bump(registry.counts, 'begin') === 1) return refuse(response, 503, 'UNAVAILABLE');
  if (registry.fault === 'push-no-location') return void response.writeHead(202).end();
  const id = `u${bump(registry.counts, 'uploads')}`;
  registry.uploads.set(id, { repository, chunks: [], size: 0 });
  const path = `/v2/${repository}/blobs/uploads/${id}?state=0`;
  const location = registry.fault === 'relative-location' ? path : `http://${registry.host}${path}`;
  response.writeHead(202, { location, range: '0-0' }).end();
}

/** Bytes of a body that is sent in a stream, and may be gone on with. */
const longBody = 4 << 20;

/** Reads the body of an upload request; false: it has been answered (or broken off) already. */
async function takeBytes(registry: State, { request, response, id }: UploadCall, upload: Upload): Promise<boolean> {
  const { fault, counts } = registry;
  // What is sent without a length is long.
  const isChunked = request.headers['transfer-encoding'] === 'chunked';
  const size = Number(request.headers['content-length'] ?? (isChunked ? streamedLength : 0));
  const from = /^(\d+)-/u.exec(request.headers['content-range'] ?? '')?.[1];
  if (from !== undefined && Number(from) !== upload.size) return (refuse(response, 416, 'BLOB_UPLOAD_INVALID'), false);
  if (size <= 10_000) return (keep(upload, await readAll(request)), true);
  // Blobs come side by side: which is first is not to decide what happens.
  const isLong = size >= longBody;
  const times = bump(counts, isLong ? 'long bodies' : 'bodies');
  if (fault === '413') {
    request.resume();
    return (refuse(response, 413, 'SIZE_INVALID'), false);
  }
  if (fault === 'push-stall') return false;
  if ((fault === 'session-lost' || fault === 'upload-unknown') && isLong && times === 1) {
    registry.uploads.delete(id);
    await readAll(request);
    return (refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN'), false);
  }
  if (fault === 'redirect-upload' && times === 1) {
    request.resume();
    return (response.writeHead(307, { location: request.url ?? '' }).end(), false);
  }
  const drops = (fault === 'push-drop-once' || fault === 'push-drop-lost') && isLong && times === 1;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    keep(upload, chunk);
    if (drops && upload.size > size / 2) {
      if (fault === 'push-drop-lost') registry.uploads.delete(id);
      request.socket.destroy();
      return false;
    }
  }
  return true;
}

function keep(upload: Upload, bytes: Uint8Array): void {
  upload.chunks.push(bytes);
  upload.size += bytes.length;
}

async function readAll(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}
