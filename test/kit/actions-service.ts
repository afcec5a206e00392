/**
 * The cache service of GitHub Actions in both versions of its protocol, as actions/toolkit and BuildKit speak it, and the storage behind its signed
 * addresses, on a port of its own. It is strict: what a real one would refuse, or not do before something else was done, it refuses; and it notes
 * each secret that reaches the storage.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { serve } from './web.ts';

/** `find`, `reserve`, `upload`, `commit` at the service; `get` and `put` at the storage; `list` at the API. `key`: of the entry. */
export type ActionsCall = { readonly kind: 'find' | 'reserve' | 'upload' | 'commit' | 'get' | 'put' | 'list'; readonly key: string };

/** What goes wrong instead of an answer: a status with its headers and body, half of a body, or other bytes. */
export type ActionsFault =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  | 'cut'
  | 'damage';

export type ActionsService = AsyncDisposable & {
  /** `http://127.0.0.1:port/some/path/` */
  readonly url: string;
  readonly api: string;
  readonly host: string;
  readonly token: string;
  readonly apiToken: string;
  /** All that was asked so far. */
  readonly calls: readonly ActionsCall[];
  /** What should not have happened: tokens at the storage, requests that break the protocol. */
  readonly complaints: readonly string[];
  /** Keys that are committed, oldest first. */
  keys(): readonly string[];
  /** Reserves a key as another job does that never comes to an end. */
  block(key: string): void;
  /** What to do wrong from now on. */
  fail(choose: ((call: ActionsCall) => ActionsFault | undefined) | undefined): void;
  /** Environment of a job: what buildx takes address and token from. */
  readonly environment: Readonly<Record<string, string>>;
};

type Entry = {
  readonly id: number;
  readonly key: string;
  readonly version: string;
  readonly blocks: Map<string, Buffer>;
  ranges: { readonly from: number; readonly bytes: Buffer }[];
  content: Buffer | undefined;
  committed: number | undefined;
};

type Reply = { readonly status: number; readonly json?: object; readonly headers?: Record<string, string>; readonly bytes?: Buffer };
type Asked = { readonly request: IncomingMessage; readonly url: URL; readonly body: Buffer };

/** A token as jobs are given it; `scopes`: name and permission (1 read, 2 write). */
export function actionsToken(
  scopes: readonly (readonly [string, number])[] = [['refs/heads/main', 3]],
  { from = -60, to = 3600 }: { readonly from?: number; readonly to?: number } = {},
): string {
  const now = Math.floor(Date.now() / 1000);
  const ac = JSON.stringify(scopes.map(([Scope, Permission]) => ({ Scope, Permission })));
  return `${encoded({ alg: 'RS256', typ: 'JWT' })}.${encoded({ ac, nbf: now + from, exp: now + to, iss: 'test' })}.c2lnbmF0dXJlIG9mIG5vdGhpbmc`;
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function failed(fault: ActionsFault | undefined): Reply | undefined {
  if (typeof fault !== 'object') return undefined;
  return { status: fault.status, ...(fault.headers ? { headers: fault.headers } : {}), bytes: Buffer.from(fault.body ?? '') };
}

export async function startActionsService({
  version = 2,
  token = actionsToken(),
}: { version?: 1 | 2; token?: string } = {}): Promise<ActionsService> {
  const entries: Entry[] = [];
  const calls: ActionsCall[] = [];
  const complaints: string[] = [];
  const apiToken = 'ghs_test-token-of-the-api';
  let choose: ((call: ActionsCall) => ActionsFault | undefined) | undefined;
  let commits = 0;

  const note = (kind: ActionsCall['kind'], key: string): ActionsFault | undefined => {
    const call = { kind, key };
    calls.push(call);
    return choose?.(call);
  };
  const complain = (text: string): Reply => {
    complaints.push(text);
    return { status: 400, json: { code: 'malformed', msg: text, message: text } };
  };
  const find = (key: string, entryVersion: string, prefixes: readonly string[]): Entry | undefined => {
    const ready = entries.filter((one) => one.committed !== undefined && one.version === entryVersion);
    const newest = (fits: (one: Entry) => boolean) => ready.filter(fits).toSorted((a, b) => (b.committed ?? 0) - (a.committed ?? 0))[0];
    return newest((one) => one.key === key) ?? newest((one) => prefixes.some((prefix) => one.key.startsWith(prefix)));
  };
  const reserve = (key: string, entryVersion: string): Entry | undefined => {
    if (entries.some((one) => one.key === key && one.version === entryVersion)) return undefined;
    const entry: Entry = {
      id: entries.length + 1,
      key,
      version: entryVersion,
      blocks: new Map(),
      ranges: [],
      content: undefined,
      committed: undefined,
    };
    entries.push(entry);
    return entry;
  };

  const storage = await serve((request, response) => {
    void answer(request, response, ({ url, body }) => {
      const text = [...Object.values(request.headers), request.url].join(' ');
      if (request.headers.authorization !== undefined || text.includes(token) || text.includes(apiToken))
        return complain('a token was sent to the storage');
      const entry = entries[Number(url.pathname.slice('/blobs/'.length)) - 1];
      if (entry === undefined || url.searchParams.get('sig') !== `s+/=${entry.id}` || url.searchParams.get('se') !== '2030-01-01T00:00:00Z')
        return complain(`the signature of ${request.method ?? ''} ${url.pathname} is not as it was given`);
      if (request.method === 'GET' && url.searchParams.get('sp') === 'r') return download(entry, request);
      if (request.method === 'PUT' && url.searchParams.get('sp') === 'w') return put(entry, { request, url, body });
      return complain(`${request.method ?? ''} is not what that address is for`);
    });
  });
  const signed = (entry: Entry, right: 'r' | 'w'): string =>
    `http://${storage.host}/blobs/${entry.id}?se=2030-01-01T00%3A00%3A00Z&sig=s%2B%2F%3D${entry.id}&sp=${right}`;

  const download = (entry: Entry, request: IncomingMessage): Reply | 'cut' => {
    const fault = note('get', entry.key);
    const reply = failed(fault);
    if (reply !== undefined) return reply;
    const whole = entry.content ?? Buffer.alloc(0);
    const range = /^bytes=(\d+)-(\d*)$/u.exec(request.headers.range ?? '');
    const from = range ? Number(range[1]) : 0;
    const bytes = Buffer.from(whole.subarray(from));
    if (fault === 'cut')
      return { status: 200, headers: { 'content-length': String(whole.length) }, bytes: bytes.subarray(0, bytes.length / 2) };
    if (fault === 'damage') bytes.fill(7);
    if (range === null) return { status: 200, bytes };
    return { status: 206, bytes, headers: { 'content-range': `bytes ${from}-${whole.length - 1}/${whole.length}` } };
  };
  const put = (entry: Entry, { request, url, body }: Asked): Reply => {
    const reply = failed(note('put', entry.key));
    if (reply !== undefined) return reply;
    if (entry.committed !== undefined) return complain('an entry is written that was committed');
    if (request.headers['content-length'] === undefined) return complain('a blob without a length');
    switch (url.searchParams.get('comp')) {
      case null:
        if (request.headers['x-ms-blob-type'] !== 'BlockBlob') return complain('Put Blob without its type');
        entry.content = body;
        return { status: 201 };
      case 'block': {
        const id = url.searchParams.get('blockid') ?? '';
        const decoded = Buffer.from(id, 'base64');
        if (id === '' || decoded.toString('base64') !== id || decoded.length > 64) return complain('a block with a bad name');
        if ([...entry.blocks.keys()].some((other) => Buffer.from(other, 'base64').length !== decoded.length))
          return complain('names of blocks differ in length');
        entry.blocks.set(id, body);
        return { status: 201 };
      }
      case 'blocklist': {
        const ids = [...body.toString().matchAll(/<Latest>([^<]+)<\/Latest>/gu)].map((match) => match[1] ?? '');
        const blocks = ids.map((id) => entry.blocks.get(id));
        if (!/^<\?xml .*<BlockList>.*<\/BlockList>$/su.test(body.toString()) || ids.length === 0)
          return complain('a list of blocks that is none');
        if (blocks.includes(undefined)) return complain('a list names a block that was not sent');
        entry.content = Buffer.concat(blocks.flatMap((block) => block ?? []));
        return { status: 201 };
      }
      default:
        return complain('an unknown operation');
    }
  };

  const commit = (entry: Entry | undefined, size: number): Reply | undefined => {
    if (entry === undefined || entry.committed !== undefined) return complain('a commit of what is not reserved');
    if (entry.content === undefined || entry.content.length !== size)
      return complain(`a commit of ${size} bytes where ${entry.content?.length} were sent`);
    entry.committed = ++commits;
    return undefined;
  };

  const twirp = ({ request, url, body }: Asked): Reply => {
    const method = url.pathname.slice('/some/path/twirp/github.actions.results.api.v1.CacheService/'.length);
    if (request.method !== 'POST' || request.headers['content-type'] !== 'application/json')
      return complain('a call that is no JSON by POST');
    const { key, version: entryVersion, ...rest } = JSON.parse(body.toString()) as Record<string, unknown>;
    if (typeof key !== 'string' || typeof entryVersion !== 'string' || !/^[0-9a-f]{64}$/u.test(entryVersion))
      return complain('a call without key or version');
    const expect = (...names: readonly string[]): boolean => Object.keys(rest).every((name) => names.includes(name));
    switch (method) {
      case 'GetCacheEntryDownloadURL': {
        const reply = failed(note('find', key));
        if (reply !== undefined) return reply;
        const prefixes = rest['restore_keys'] ?? [];
        if (!expect('restore_keys') || !Array.isArray(prefixes)) return complain('members that are not known');
        const entry = find(key, entryVersion, prefixes.map(String));
        return {
          status: 200,
          json: entry === undefined ? { ok: false } : { ok: true, signed_download_url: signed(entry, 'r'), matched_key: entry.key },
        };
      }
      case 'CreateCacheEntry': {
        const reply = failed(note('reserve', key));
        if (reply !== undefined) return reply;
        if (!expect()) return complain('members that are not known');
        const entry = reserve(key, entryVersion);
        if (entry === undefined)
          return { status: 409, json: { code: 'already_exists', msg: 'cache entry with the same key, version, and scope already exists' } };
        return { status: 200, json: { ok: true, signed_upload_url: signed(entry, 'w') } };
      }
      case 'FinalizeCacheEntryUpload': {
        const reply = failed(note('commit', key));
        if (reply !== undefined) return reply;
        if (!expect('size_bytes')) return complain('members that are not known');
        const entry = entries.find((one) => one.key === key && one.version === entryVersion);
        return commit(entry, Number(rest['size_bytes'])) ?? { status: 200, json: { ok: true, entry_id: String(entry?.id) } };
      }
      default:
        return complain(`there is no ${method}`);
    }
  };

  const version1 = ({ request, url, body }: Asked): Reply => {
    const path = url.pathname.slice('/some/path/_apis/artifactcache/'.length);
    if (!(request.headers.accept ?? '').includes('api-version=')) return complain('a request without a version of the API');
    if (path === 'cache' && request.method === 'GET') {
      const keys = (url.searchParams.get('keys') ?? '').split(',');
      const reply = failed(note('find', keys[0] ?? ''));
      if (reply !== undefined) return reply;
      const entry = find(keys[0] ?? '', url.searchParams.get('version') ?? '', keys);
      return entry === undefined
        ? { status: 204 }
        : { status: 200, json: { cacheKey: entry.key, scope: 'refs/heads/main', archiveLocation: signed(entry, 'r') } };
    }
    if (path === 'caches' && request.method === 'POST') {
      const { key, version: entryVersion } = JSON.parse(body.toString()) as { key: string; version: string };
      const reply = failed(note('reserve', key));
      if (reply !== undefined) return reply;
      const entry = reserve(key, entryVersion);
      return entry === undefined
        ? { status: 409, json: { typeKey: 'ArtifactCacheItemAlreadyExistsException', message: 'Cache already exists' } }
        : { status: 201, json: { cacheId: entry.id } };
    }
    const entry = entries[Number(/^caches\/(\d+)$/u.exec(path)?.[1]) - 1];
    if (entry === undefined || entry.committed !== undefined) return complain('there is no such reservation');
    if (request.method === 'PATCH') {
      const reply = failed(note('upload', entry.key));
      if (reply !== undefined) return reply;
      const range = /^bytes (\d+)-(\d+)\/\*$/u.exec(request.headers['content-range'] ?? '');
      if (range === null || Number(range[2]) - Number(range[1]) + 1 !== body.length)
        return complain('a block that is not what its range says');
      if (request.headers['content-type'] !== 'application/octet-stream') return complain('a block of another type');
      entry.ranges.push({ from: Number(range[1]), bytes: body });
      return { status: 204 };
    }
    const reply = failed(note('commit', entry.key));
    if (reply !== undefined) return reply;
    const parts = entry.ranges.toSorted((a, b) => a.from - b.from);
    const content = Buffer.concat(parts.map((part) => part.bytes));
    if (parts.some((part, index) => part.from !== (parts[index - 1]?.from ?? 0) + (parts[index - 1]?.bytes.length ?? 0)))
      return complain('blocks with gaps');
    entry.content = content;
    return commit(entry, (JSON.parse(body.toString()) as { size: number }).size) ?? { status: 204 };
  };

  const service = await serve((request, response) => {
    void answer(request, response, (asked) => {
      const { url } = asked;
      const isApi = url.pathname === '/api/v3/repos/owner/name/actions/caches';
      if (request.headers.authorization !== `Bearer ${isApi ? apiToken : token}`)
        return { status: 401, json: { code: 'unauthenticated', msg: 'bad token' } };
      if (isApi) {
        const reply = failed(note('list', url.searchParams.get('key') ?? ''));
        if (reply !== undefined) return reply;
        const found = entries.filter((one) => one.committed !== undefined && one.key.startsWith(url.searchParams.get('key') ?? ''));
        const page = Number(url.searchParams.get('page'));
        const size = Number(url.searchParams.get('per_page'));
        return {
          status: 200,
          json: {
            total_count: found.length,
            actions_caches: found.slice((page - 1) * size, page * size).map(({ id, key }) => ({ id, key })),
          },
        };
      }
      if (version === 2 && url.pathname.startsWith('/some/path/twirp/')) return twirp(asked);
      if (version === 1 && url.pathname.startsWith('/some/path/_apis/artifactcache/')) return version1(asked);
      return { status: 404, bytes: Buffer.from('404 page not found') };
    });
  });

  const url = `http://${service.host}/some/path/`;
  return {
    url,
    api: `http://${service.host}/api/v3`,
    host: service.host,
    token,
    apiToken,
    calls,
    complaints,
    keys: () => entries.filter(({ committed }) => committed !== undefined).map(({ key }) => key),
    block: (key) => void reserve(key, entries[0]?.version ?? ''),
    fail: (next) => {
      choose = next;
    },
    environment: {
      ACTIONS_RUNTIME_TOKEN: token,
      ACTIONS_CACHE_URL: version === 1 ? url : '',
      ACTIONS_RESULTS_URL: version === 2 ? url : '',
      ACTIONS_CACHE_SERVICE_V2: version === 2 ? 'True' : '',
    },
    [Symbol.asyncDispose]: async () => {
      await service[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
    },
  };
}

/** Reads the request, asks for the reply, and writes it; a reply with fewer bytes than its length says is cut off there. */
async function answer(request: IncomingMessage, response: ServerResponse, reply: (asked: Asked) => Reply | 'cut'): Promise<void> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return; // the other side has given it up
  }
  const made = reply({ request, url: new URL(request.url ?? '/', 'http://here'), body: Buffer.concat(chunks) });
  if (made === 'cut') return void response.destroy();
  const bytes = made.json === undefined ? (made.bytes ?? Buffer.alloc(0)) : Buffer.from(JSON.stringify(made.json));
  response.writeHead(made.status, { ...(made.json === undefined ? {} : { 'content-type': 'application/json' }), ...made.headers });
  if (Number(made.headers?.['content-length'] ?? bytes.length) > bytes.length) return void response.write(bytes, () => response.destroy());
  response.end(bytes);
}
