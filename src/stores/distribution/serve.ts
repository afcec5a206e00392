/**
 * The other side of the distribution protocol: a registry over a folder, for one machine. Blobs lie in a content store, so a file that has its name is whole; which
 * repository has what is in a database beside it. OCI distribution spec 1.1.
 */
import { accessSync, constants } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fullDisk, fullDiskHint, JettisonError, messageOf } from '#ground/base/errors.ts';
import { createLog } from '#ground/base/log.ts';
import { makeFolders } from '#ground/base/make-folders.ts';
import { openContentStore } from '#stores/content/store.ts';
import { openDatabase } from '#stores/db/open.ts';
import { refuse, type Answer, type Call } from './answering/answer.ts';
import { answer, type Answering } from './answering/route.ts';
import { openUploads } from './answering/uploads.ts';
import { isOwnName, type Address } from './address.ts';
import { openListener, type Tls } from './listener.ts';
import type { Users } from './users.ts';
import { openRepositories, repositoryTables } from './repositories.ts';

export type Serving = {
  /** Everything is kept in it; made when it is not there. Absolute. */
  readonly folder: string;
  readonly address: Address;
  /** Without it the registry speaks plain HTTP. */
  readonly tls: Tls | undefined;
  /** undefined: everybody may do everything. */
  readonly users: Users | undefined;
};

export type RunningRegistry = AsyncDisposable & {
  /** Where it listens now: the port that was asked for, or the one that was found. */
  readonly port: number;
  /** What a person should know: that a damaged database was put aside. */
  readonly notes: readonly string[];
  /** Never settles but with the error that ends the server. */
  readonly failed: Promise<never>;
};

const log = createLog('distribution');

/**
 * Listens until it is disposed of; connections and unfinished uploads end then. Throws `distribution/cannot-listen`, `distribution/bad-tls`,
 * `distribution/bad-folder`, and what opening what is in it throws.
 */
export async function serveRegistry(serving: Serving): Promise<RunningRegistry> {
  makeFolder(serving.folder);
  await using all = new AsyncDisposableStack();
  const database = all.use(openDatabase({ file: join(serving.folder, 'registry.db'), migrations: [repositoryTables] }));
  const shelf = { content: openContentStore({ folder: serving.folder }), repositories: openRepositories(database) };
  const uploads = all.use(openUploads(shelf));
  const stopping = new AbortController();
  const listener = await openListener(serving.address, serving.tls, (request, response) => {
    void respond({ shelf, uploads }, serving, { request, response }, stopping.signal);
  });
  all.use(listener);
  all.defer(() => stopping.abort(new JettisonError('distribution/stopped', 'The registry was stopped', { fault: 'environment' })));
  const kept = all.move();
  return {
    port: listener.port,
    notes: database.notes,
    failed: listener.failed,
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  };
}

function makeFolder(folder: string): void {
  try {
    makeFolders(folder, 0o700);
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const full = fullDisk(error);
    throw new JettisonError('distribution/bad-folder', `Cannot keep images in "${folder}": ${full ?? messageOf(error)}`, {
      fault: 'environment',
      hint: full === undefined ? 'Name another folder with --dir' : fullDiskHint,
      cause: error,
    });
  }
}

type Exchange = { readonly request: IncomingMessage; readonly response: ServerResponse };

async function respond(answering: Answering, serving: Serving, exchange: Exchange, signal: AbortSignal): Promise<void> {
  const { request, response } = exchange;
  try {
    const found = (await forbidden(serving, request, signal)) ?? (await dispatch(answering, request, signal));
    log('%s %s %d', request.method, request.url, found.status);
    await send(found, exchange);
  } catch (error) {
    log('%s %s %s', request.method, request.url, messageOf(error));
    // The headers may have gone out: then only a connection that breaks says that something is wrong.
    if (response.headersSent || response.destroyed || request.destroyed) response.destroy();
    else await send(failure(error), exchange).catch(() => response.destroy());
  }
}

function failure(error: unknown): Answer {
  const full = fullDisk(error) ?? fullDisk(error instanceof Error ? error.cause : undefined);
  return full === undefined ? refuse(500, 'UNKNOWN', messageOf(error)) : refuse(507, 'UNKNOWN', full);
}

/** Whoever may not ask at all: without a password, or a web page that was led here by another name (DNS rebinding). */
async function forbidden({ users, tls, address }: Serving, { headers }: IncomingMessage, signal: AbortSignal): Promise<Answer | undefined> {
  const own = headers.host ?? '';
  if (tls === undefined && !isOwnName(own, address)) return refuse(403, 'DENIED', `"${own}" is not a name of this registry`);
  if (headers.origin !== undefined && URL.parse(headers.origin)?.host !== own) return refuse(403, 'DENIED', 'not for web pages');
  const standing = users === undefined ? 'known' : await users.standingOf(headers.authorization, signal);
  if (standing === 'known') return undefined;
  if (standing === 'busy') return refuse(429, 'TOOMANYREQUESTS', 'too many passwords at once', { 'retry-after': '1' });
  return refuse(401, 'UNAUTHORIZED', 'authentication required', { 'www-authenticate': 'Basic realm="jettison registry"' });
}

async function dispatch(answering: Answering, request: IncomingMessage, signal: AbortSignal): Promise<Answer> {
  const url = URL.parse(`http://registry${request.url ?? ''}`);
  const path = url === null ? undefined : decodePath(url.pathname);
  if (url === null || path === undefined) return refuse(400, 'UNSUPPORTED', 'not a path');
  const call: Call = {
    method: request.method === 'HEAD' ? 'GET' : (request.method ?? ''),
    query: url.searchParams,
    header(name) {
      const value = request.headers[name];
      return typeof value === 'string' ? value : value?.[0];
    },
    body: request,
    giveUp: () => void request.socket.destroy(),
  };
  return await answer(answering, path, call, signal);
}

function decodePath(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

async function send({ status, headers, body }: Answer, { request, response }: Exchange): Promise<void> {
  const size = body === undefined ? 0 : body instanceof Uint8Array ? body.length : body.size;
  response.strictContentLength = true;
  // What was not read of a refused body is not waited for.
  const closes = request.complete ? {} : { connection: 'close' };
  response.writeHead(status, {
    'docker-distribution-api-version': 'registry/2.0',
    ...closes,
    ...headers,
    ...(status === 204 ? {} : { 'content-length': size }),
  });
  if (body === undefined || request.method === 'HEAD') return void response.end();
  if (body instanceof Uint8Array) return void response.end(body);
  await pipeline(Readable.from(body.open(), { objectMode: false }), response);
}
