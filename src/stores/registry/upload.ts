/** One blob to one endpoint: mounted from another repository, in one request, or streamed and resumed after a break. */
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError, isCode } from '#ground/base/errors.ts';
import type { Endpoint } from './config.ts';
import { registryError } from './errors.ts';
import type { EndpointRequest, Speaker } from './http/speaker.ts';
import { expectStatus, targetOf, type Answer } from './transport.ts';

export type BlobUpload = {
  readonly digest: Digest;
  readonly size: number;
  /** The blob's bytes from `offset` on; may be asked for several times. */
  open(offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Repositories of the same registry that probably have the blob. */
  readonly mountFrom?: readonly string[];
  /** Bytes that went out so far. */
  readonly onProgress?: (sent: number) => void;
};

type Session = {
  readonly speaker: Speaker;
  readonly endpoint: Endpoint;
  readonly repository: string;
  readonly upload: BlobUpload;
};

/** Blobs up to this size go in one request; larger ones are streamed first, so that a break need not begin at 0 again. */
const oneRequest = 8 << 20;
const mostMounts = 3;
const goodProgress = 4 << 20;

/** Throws `registry/...`; until the last request the repository does not have the blob. */
export async function uploadBlob(
  speaker: Speaker,
  endpoint: Endpoint,
  repository: string,
  upload: BlobUpload,
  signal: AbortSignal,
): Promise<'mounted' | 'uploaded'> {
  const session: Session = { speaker, endpoint, repository, upload };
  let location: URL | undefined;
  for (const from of (upload.mountFrom ?? []).slice(0, mostMounts)) {
    const mounted = await mount(session, from, signal);
    if (mounted === 'mounted') return 'mounted';
    location = mounted ?? location;
  }
  let offset = 0;
  const task = async (): Promise<void> => {
    // A break in a stream that had got far begins to count anew.
    for (;;) {
      const before = offset;
      try {
        location ??= await begin(session, signal);
        await (upload.size <= oneRequest ? finish(session, location, 0, signal) : sendStream(session, location, offset, signal));
        return;
      } catch (error) {
        if (!(error instanceof JettisonError) || !error.retryable || signal.aborted) throw error;
        const state = location && upload.size > oneRequest ? await whereAreWe(session, location, signal) : undefined;
        location = state?.location;
        offset = state?.offset ?? 0;
        if (offset - before < goodProgress) throw error;
      }
    }
  };
  await speaker.transport.persist(task, signal);
  return 'uploaded';
}

function ask(session: Session, request: Omit<EndpointRequest, 'scopes'>, signal: AbortSignal, from?: string): Promise<Answer> {
  const scopes = [`repository:${session.repository}:pull,push`, ...(from === undefined ? [] : [`repository:${from}:pull`])];
  return session.speaker.ask(session.endpoint, { ...request, scopes }, signal);
}

/** A registry that does not mount may begin an upload instead: then its address; or it refuses: then nothing. */
async function mount(session: Session, from: string, signal: AbortSignal): Promise<'mounted' | URL | undefined> {
  const query = new URLSearchParams({ mount: session.upload.digest, from }).toString();
  try {
    return await session.speaker.transport.persist(async () => {
      using answer = await ask(session, { method: 'POST', path: `/v2/${session.repository}/blobs/uploads/?${query}` }, signal, from);
      if (answer.status === 201) return 'mounted';
      await expectStatus(answer, 'POST', [202]);
      return locationOf(answer);
    }, signal);
  } catch (error) {
    const refusals = ['registry/unauthorized', 'registry/forbidden', 'registry/not-found', 'registry/refused'];
    if (refusals.some((code) => isCode(error, code))) return undefined;
    throw error;
  }
}

async function begin(session: Session, signal: AbortSignal): Promise<URL> {
  using answer = await ask(session, { method: 'POST', path: `/v2/${session.repository}/blobs/uploads/` }, signal);
  await expectStatus(answer, 'POST', [202]);
  return locationOf(answer);
}

async function sendStream(session: Session, location: URL, offset: number, signal: AbortSignal): Promise<void> {
  const { upload } = session;
  if (offset === upload.size) return await finish(session, location, offset, signal);
  using answer = await ask(
    session,
    {
      method: 'PATCH',
      path: location,
      headers: {
        'content-type': 'application/octet-stream',
        ...(offset > 0 ? { 'content-range': `${offset}-${upload.size - 1}` } : {}),
      },
      body: bodyFrom(upload, offset),
      isCommit: true,
    },
    signal,
  );
  await expectStatus(answer, 'PATCH', [202, 204]);
  await finish(session, locationOf(answer, location), upload.size, signal);
}

/** Closes the upload with what is missing from `offset` on. */
async function finish(session: Session, location: URL, offset: number, signal: AbortSignal): Promise<void> {
  const { upload } = session;
  const url = new URL(location);
  url.searchParams.set('digest', upload.digest);
  using answer = await ask(
    session,
    {
      method: 'PUT',
      path: url,
      headers: { 'content-type': 'application/octet-stream' },
      body: offset === upload.size ? { size: 0, open: () => [] } : bodyFrom(upload, offset),
      isCommit: true,
    },
    signal,
  );
  await expectStatus(answer, 'PUT', [200, 201, 202, 204]);
  const stored = answer.headers['docker-content-digest'];
  if (typeof stored === 'string' && stored !== upload.digest) {
    throw registryError('wrong-digest', `"${url.host}" stored ${stored.slice(0, 160)} where ${upload.digest} was sent`);
  }
}

/** How much of a broken upload the registry has; undefined: it has lost it. */
async function whereAreWe(session: Session, location: URL, signal: AbortSignal): Promise<{ location: URL; offset: number } | undefined> {
  try {
    using answer = await ask(session, { method: 'GET', path: location }, signal);
    const range = /^(?:bytes=)?0-(\d+)$/u.exec(headerText(answer, 'range'));
    if (answer.status !== 204 || !range) return undefined;
    const offset = Number(range[1]) + 1;
    return offset <= session.upload.size ? { location: locationOf(answer, location), offset: offset === 1 ? 0 : offset } : undefined;
  } catch (error) {
    if (error instanceof JettisonError && !signal.aborted) return undefined;
    throw error;
  }
}

function bodyFrom(upload: BlobUpload, offset: number) {
  return {
    size: upload.size - offset,
    async *open(signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
      let sent = offset;
      for await (const chunk of upload.open(offset, signal)) {
        yield chunk;
        sent += chunk.length;
        upload.onProgress?.(sent);
      }
    },
  };
}

function locationOf(answer: Answer, fallback?: URL): URL {
  const header = headerText(answer, 'location');
  return header === '' && fallback ? fallback : targetOf(answer, header);
}

function headerText(answer: Answer, name: string): string {
  const value = answer.headers[name];
  return typeof value === 'string' ? value : '';
}
