/** One blob to one endpoint: mounted from another repository, in one request, or streamed (perhaps while it is still made) and resumed after a break. */
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

/** A blob whose digest and size will be known when it is complete. */
export type GrowingUpload = Pick<BlobUpload, 'open' | 'onProgress'> & {
  /** Resolves when it is complete; what `open` gives ends then. */
  readonly complete: Promise<{ readonly digest: Digest; readonly size: number }>;
};

type Session = {
  readonly speaker: Speaker;
  readonly endpoint: Endpoint;
  readonly repository: string;
};

/** The bytes of an upload in a session; `size` undefined: not known yet. */
type Content = Pick<BlobUpload, 'open' | 'onProgress'> & { readonly size: number | undefined; digest(): Promise<Digest> };

/** What came of the last request of an upload: undefined before it went out. */
type Closing = { digest: Digest | undefined };

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
  const session: Session = { speaker, endpoint, repository };
  const location = await mountFromAny(session, upload, signal);
  if (location === 'mounted') return 'mounted';
  const content: Content = {
    ...upload,
    open: (offset, own) => upload.open(offset, own),
    digest: async () => await Promise.resolve(upload.digest),
  };
  await send(session, location, () => content, signal);
  return 'uploaded';
}

/** Gives whether another repository of the registry had it and lent it. Throws `registry/...`. */
export async function mountBlob(
  speaker: Speaker,
  endpoint: Endpoint,
  repository: string,
  blob: Pick<BlobUpload, 'digest' | 'mountFrom'>,
  signal: AbortSignal,
): Promise<boolean> {
  return (await mountFromAny({ speaker, endpoint, repository }, blob, signal)) === 'mounted';
}

/** The same for a blob that is still made: it is sent as it grows, in one request without a length, as docker sends layers. */
export async function uploadGrowingBlob(
  speaker: Speaker,
  endpoint: Endpoint,
  repository: string,
  upload: GrowingUpload,
  signal: AbortSignal,
): Promise<void> {
  let size: number | undefined;
  upload.complete.then(
    (blob) => (size = blob.size),
    () => undefined, // what `open` throws is the error
  );
  const growing: Content = {
    ...upload,
    size: undefined,
    open: (offset, own) => upload.open(offset, own),
    digest: async () => (await upload.complete).digest,
  };
  await send({ speaker, endpoint, repository }, undefined, () => (size === undefined ? growing : { ...growing, size }), signal);
}

/** `contentNow` is asked before each try. */
async function send(session: Session, begun: URL | undefined, contentNow: () => Content, signal: AbortSignal): Promise<void> {
  let location = begun;
  let offset = 0;
  const closing: Closing = { digest: undefined };
  const task = async (): Promise<void> => {
    // A break in a stream that had got far begins to count anew.
    for (;;) {
      const before = offset;
      const content = contentNow();
      const isLong = content.size === undefined || content.size > oneRequest;
      try {
        location ??= await begin(session, signal);
        const part = { content, location, offset: isLong ? offset : 0, closing };
        await (isLong ? sendStream(session, part, signal) : finish(session, part, signal));
        return;
      } catch (error) {
        if (!(error instanceof JettisonError) || !error.retryable || signal.aborted) throw error;
        // Only the answer may have been lost.
        if (closing.digest !== undefined && (await isStored(session, closing.digest, signal))) return;
        const state = location && isLong ? await whereAreWe(session, { content, location }, signal) : undefined;
        location = state?.location;
        offset = state?.offset ?? 0;
        if (offset - before < goodProgress) throw error;
      }
    }
  };
  await session.speaker.transport.persist(task, signal);
}

function ask(session: Session, request: Omit<EndpointRequest, 'scopes'>, signal: AbortSignal, from?: string): Promise<Answer> {
  const scopes = [`repository:${session.repository}:pull,push`, ...(from === undefined ? [] : [`repository:${from}:pull`])];
  return session.speaker.ask(session.endpoint, { ...request, scopes }, signal);
}

/** Else the address of an upload that the registry began instead, if it did. */
async function mountFromAny(
  session: Session,
  { digest, mountFrom }: Pick<BlobUpload, 'digest' | 'mountFrom'>,
  signal: AbortSignal,
): Promise<'mounted' | URL | undefined> {
  let location: URL | undefined;
  for (const from of (mountFrom ?? []).slice(0, mostMounts)) {
    const mounted = await mount(session, { digest, from }, signal);
    if (mounted === 'mounted') return 'mounted';
    location = mounted ?? location;
  }
  return location;
}

/** A registry that does not mount may begin an upload instead: then its address; or it refuses: then nothing. */
async function mount(
  session: Session,
  { digest, from }: { readonly digest: Digest; readonly from: string },
  signal: AbortSignal,
): Promise<'mounted' | URL | undefined> {
  const query = new URLSearchParams({ mount: digest, from }).toString();
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

/** What is still to be sent, and where to. */
type Part = { readonly content: Content; readonly location: URL; readonly offset: number; readonly closing: Closing };

async function sendStream(session: Session, part: Part, signal: AbortSignal): Promise<void> {
  const { content, location, offset } = part;
  if (offset === content.size) return await finish(session, part, signal);
  const sent = { end: offset };
  using answer = await ask(
    session,
    {
      method: 'PATCH',
      path: location,
      headers: {
        'content-type': 'application/octet-stream',
        // Without a size there is no range to name: the session itself knows where it is, and it was asked.
        ...(offset > 0 && content.size !== undefined ? { 'content-range': `${offset}-${content.size - 1}` } : {}),
      },
      body: bodyFrom(content, offset, sent),
      isCommit: true,
    },
    signal,
  );
  await expectStatus(answer, 'PATCH', [202, 204]);
  const whole = { ...content, size: content.size ?? sent.end };
  const next = locationOf(answer, location);
  await checkKept(session, { content: whole, location: next, answer }, signal);
  await finish(session, { ...part, content: whole, location: next, offset: whole.size }, signal);
}

/** A registry that kept less than it was sent is a broken connection: it is asked again, since some say anything in the answer itself. */
async function checkKept(
  session: Session,
  { content, location, answer }: Pick<Part, 'content' | 'location'> & { readonly answer: Answer },
  signal: AbortSignal,
): Promise<void> {
  const said = rangeEnd(answer);
  if (said === undefined || said === content.size) return;
  const kept = (await whereAreWe(session, { content, location }, signal))?.offset;
  if (kept === undefined || kept === 0 || kept === content.size) return;
  const message = `"${location.host}" kept ${kept} of the ${content.size} bytes that it was sent`;
  throw registryError('connection-lost', message, { retryable: true });
}

/** Closes the upload with what is missing from `offset` on. */
async function finish(session: Session, { content, location, offset, closing }: Part, signal: AbortSignal): Promise<void> {
  const digest = await content.digest();
  closing.digest = digest;
  const url = new URL(location);
  url.searchParams.set('digest', digest);
  using answer = await ask(
    session,
    {
      method: 'PUT',
      path: url,
      headers: { 'content-type': 'application/octet-stream' },
      body: offset === content.size ? { size: 0, open: () => [] } : bodyFrom(content, offset),
      isCommit: true,
      moves: offset,
    },
    signal,
  );
  await expectStatus(answer, 'PUT', [200, 201, 202, 204]);
  const stored = answer.headers['docker-content-digest'];
  if (typeof stored === 'string' && stored !== digest) {
    throw registryError('wrong-digest', `"${url.host}" stored ${stored.slice(0, 160)} where ${digest} was sent`);
  }
}

/** How much of a broken upload the registry has; undefined: it has lost it. */
async function whereAreWe(
  session: Session,
  { content, location }: Pick<Part, 'content' | 'location'>,
  signal: AbortSignal,
): Promise<{ location: URL; offset: number } | undefined> {
  try {
    using answer = await ask(session, { method: 'GET', path: location }, signal);
    const offset = rangeEnd(answer);
    if (answer.status !== 204 || offset === undefined) return undefined;
    return offset <= (content.size ?? Infinity) ? { location: locationOf(answer, location), offset: offset === 1 ? 0 : offset } : undefined;
  } catch (error) {
    if (error instanceof JettisonError && !signal.aborted) return undefined;
    throw error;
  }
}

/** How many bytes an upload has, by the header Range of an answer. */
function rangeEnd(answer: Answer): number | undefined {
  const range = /^(?:bytes=)?0-(\d{1,15})$/u.exec(headerText(answer, 'range'));
  return range ? Number(range[1]) + 1 : undefined;
}

/** Is the blob there by now? What cannot be found out counts as no. */
async function isStored(session: Session, digest: Digest, signal: AbortSignal): Promise<boolean> {
  try {
    return await hasBlob(session, digest, signal);
  } catch (error) {
    if (error instanceof JettisonError && !signal.aborted) return false;
    throw error;
  }
}

/** Does the repository have the blob? A registry that knows no HEAD has nothing that we know of. Throws `registry/...`. */
export async function hasBlob(session: Session, digest: Digest, signal: AbortSignal): Promise<boolean> {
  using answer = await ask(session, { method: 'HEAD', path: `/v2/${session.repository}/blobs/${digest}` }, signal);
  await expectStatus(answer, 'HEAD', [200, 404, 405, 501]);
  return answer.status === 200;
}

/** `sent.end`: what has gone out, from the beginning of the blob. */
function bodyFrom(content: Content, offset: number, sent = { end: offset }) {
  return {
    size: content.size === undefined ? undefined : content.size - offset,
    async *open(signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
      sent.end = offset;
      for await (const chunk of content.open(offset, signal)) {
        yield chunk;
        sent.end += chunk.length;
        content.onProgress?.(sent.end);
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
