/** A bucket of Amazon S3, or of a service that speaks as it does (docs.aws.amazon.com/AmazonS3/latest/API). */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { digestOf, hexOf } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { fillSink, type BlobSink } from '#stores/registry/download.ts';
import { answerError, errorBodyLimit } from '#stores/registry/errors.ts';
import { createTransport, type Answer, type Body, type TransportOptions } from '#stores/registry/transport.ts';
import { blockSize, inBlocks } from './blocks.ts';
import type { Content } from './content.ts';
import { badAnswer, objectError } from './errors.ts';
import { canonicalQuery, encodeKey, signRequest, type S3Credentials } from './s3/signature.ts';

export type { S3Credentials } from './s3/signature.ts';

/** All functions throw `object/...`. */
export type S3Bucket = Disposable & {
  readonly host: string;
  /** When the object was written (milliseconds since the epoch), and its bytes; undefined when there is none. */
  stat(key: string, signal: AbortSignal): Promise<{ readonly modified: number; readonly size: number } | undefined>;
  /** An object of at most `limit` bytes; undefined when there is none. */
  read(key: string, limit: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Fills the sink with the object's bytes, from its offset on; they are still to be checked. Gives the host that they came from. */
  download(key: string, to: { readonly descriptor: Descriptor; readonly sink: BlobSink }, signal: AbortSignal): Promise<string>;
  /** Writes or replaces an object; `sha256` of its bytes, in hex. */
  write(key: string, content: Content & { readonly sha256: string }, signal: AbortSignal): Promise<void>;
  /** Makes an object as new, so that rules which remove old ones pass it over; of at most `mostTouched` bytes. */
  touch(key: string, signal: AbortSignal): Promise<void>;
};

export type S3Options = Pick<TransportOptions, 'environment' | 'userAgent' | 'onWait'> & {
  readonly timing?: TransportOptions['timing'];
  readonly bucket: string;
  readonly region: string;
  /** undefined: Amazon's own. */
  readonly endpoint: URL | undefined;
  /** `host/bucket/key` instead of `bucket.host/key`. */
  readonly usePathStyle: boolean;
  readonly credentials: S3Credentials;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
};

/** What one request can copy. */
export const mostTouched = 5 * 2 ** 30;
/** Up to so many bytes go in one request. */
const oneRequest = 32 << 20;
const mostParts = 10_000;
const answerLimit = 1 << 20;

type Call = {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body & { readonly hash: string };
};

/** Nothing is asked yet. */
export function openS3Bucket(options: S3Options): S3Bucket {
  const { userAgent, environment, onWait, timing, credentials, region } = options;
  const transport = createTransport({ userAgent, environment, onWait, ...(timing === undefined ? {} : { timing }) });
  const base = addressOf(options);
  const emptyHash = hexOf(digestOf(''));

  /** Signed anew for each try: a signature is good for minutes only. */
  const send = async ({ method, key, query, headers, body }: Call, signal: AbortSignal): Promise<Answer> => {
    const url = new URL(`${base.href}${encodeKey(key)}`);
    url.search = canonicalQuery(Object.entries(query ?? {}));
    const bodyHash = body?.hash ?? emptyHash;
    const signed = signRequest({ method, url, headers: headers ?? {}, bodyHash, region, credentials, now: options.now() });
    return await transport.send({ method, url, ...signed, body, stay: true, isCommit: method !== 'GET' }, signal);
  };
  /** Gives status, headers and the (small) body of an answer that is good, or one of `allowed`. */
  const call = async (request: Call, allowed: readonly number[], signal: AbortSignal) => {
    try {
      return await transport.persist(async () => {
        using answer = await send(request, signal);
        const isGood = answer.status >= 200 && answer.status < 300;
        if (!isGood && !allowed.includes(answer.status)) throw await failureOf(answer, request.method);
        const text = request.method === 'HEAD' ? '' : new TextDecoder().decode(await answer.bytes(answerLimit));
        return { status: answer.status, headers: answer.headers, text };
      }, signal);
    } catch (error) {
      throw explain(error);
    }
  };
  const explain = (error: unknown): unknown => objectError(error, [credentials.secretKey, credentials.sessionToken ?? '']);

  const writeParts = async (key: string, content: Content, signal: AbortSignal): Promise<void> => {
    if (content.size > mostParts * blockSize)
      throw new JettisonError('object/too-large', `"${key}" has ${content.size} bytes; at most ${mostParts * blockSize} are sent`);
    const begun = await call({ method: 'POST', key, query: { uploads: '' } }, [], signal);
    const uploadId = elementOf(begun.text, 'UploadId');
    if (uploadId === undefined) throw badAnswer(base.host, 'it begins no upload');
    try {
      const tags: string[] = [];
      await inBlocks(
        content.open(signal),
        async ({ index, bytes }, own) => {
          const query = { partNumber: String(index + 1), uploadId };
          const { headers } = await call({ method: 'PUT', key, query, body: bodyOf(bytes) }, [], own);
          tags[index] = headers.etag ?? '';
        },
        signal,
      );
      const parts = tags.map((tag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escape(tag)}</ETag></Part>`);
      const list = new TextEncoder().encode(`<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`);
      const done = await call({ method: 'POST', key, query: { uploadId }, body: bodyOf(list) }, [], signal);
      refuseError(base.host, done.text);
    } catch (error) {
      // What was sent would be kept, and paid for, until somebody removes it.
      if (!signal.aborted) await call({ method: 'DELETE', key, query: { uploadId } }, [404], signal).catch(() => undefined);
      throw error;
    }
  };

  return {
    host: base.host,
    stat: async (key, signal) => {
      const { status, headers } = await call({ method: 'HEAD', key }, [404], signal);
      if (status === 404) return undefined;
      return { modified: Date.parse(headers['last-modified'] ?? '') || 0, size: Number(headers['content-length'] ?? 0) };
    },
    read: async (key, limit, signal) => {
      try {
        return await transport.persist(async () => {
          using answer = await send({ method: 'GET', key }, signal);
          if (answer.status === 404) return undefined;
          if (answer.status !== 200) throw await failureOf(answer, 'GET');
          return await answer.bytes(limit);
        }, signal);
      } catch (error) {
        throw explain(error);
      }
    },
    download: async (key, { descriptor, sink }, signal) => {
      const get = async (headers: Readonly<Record<string, string>>, own: AbortSignal): Promise<Answer> => {
        const answer = await send({ method: 'GET', key, headers }, own);
        if ([200, 206, 416].includes(answer.status)) return answer;
        using failed = answer;
        throw await failureOf(failed, 'GET');
      };
      try {
        await transport.persist(async () => await fillSink({ host: base.host, get }, { descriptor, sink }, signal), signal);
      } catch (error) {
        throw explain(error);
      }
      return base.host;
    },
    write: async (key, content, signal) => {
      if (content.size > oneRequest) return await writeParts(key, content, signal);
      const body = { size: content.size, hash: content.sha256, open: (own: AbortSignal) => content.open(own) };
      await call({ method: 'PUT', key, body }, [], signal);
    },
    touch: async (key, signal) => {
      const headers = {
        'x-amz-copy-source': `/${options.bucket}/${encodeKey(key)}`,
        'x-amz-metadata-directive': 'REPLACE',
        'x-amz-meta-updated-at': new Date(options.now()).toISOString(),
      };
      const { text } = await call({ method: 'PUT', key, headers }, [], signal);
      refuseError(base.host, text);
    },
    [Symbol.dispose]: () => transport[Symbol.dispose](),
  };
}

/** Ends in a slash; keys follow. Names with dots are no part of a host that a certificate covers. */
function addressOf({ bucket, region, endpoint, usePathStyle }: S3Options): URL {
  const root = endpoint ?? new URL(`https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`);
  const path = root.pathname.replace(/\/$/u, '');
  const inPath = usePathStyle || isAddress(root.hostname) || (endpoint === undefined && bucket.includes('.'));
  return inPath ? new URL(`${root.origin}${path}/${bucket}/`) : new URL(`${root.protocol}//${bucket}.${root.host}${path}/`);
}

function isAddress(host: string): boolean {
  return host.startsWith('[') || /^\d+(?:\.\d+){3}$/u.test(host);
}

/** The reasons stand in XML. */
async function failureOf(answer: Answer, method: string) {
  const { url, status, statusText, headers } = answer;
  const text = method === 'HEAD' ? '' : new TextDecoder().decode(await answer.bytes(errorBodyLimit));
  const region = headers['x-amz-bucket-region'];
  const said = [elementOf(text, 'Code'), elementOf(text, 'Message'), typeof region === 'string' ? `the bucket is in ${region}` : undefined];
  const body = JSON.stringify({ message: said.filter((part) => part !== undefined).join(': ') });
  return answerError({ method, url, status, statusText, retryAfter: headers['retry-after'], body }, Date.now());
}

/** Long operations begin their answer before they know how they end. */
function refuseError(host: string, text: string): void {
  if (!/<Error>/u.test(text)) return;
  throw badAnswer(host, `it failed after all: ${elementOf(text, 'Code') ?? ''} ${elementOf(text, 'Message') ?? ''}`.trim());
}

function elementOf(text: string, name: string): string | undefined {
  const found = new RegExp(`<${name}>([^<]{1,1024})</${name}>`, 'u').exec(text)?.[1];
  return found
    ?.replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&');
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function bodyOf(bytes: Uint8Array): Body & { readonly hash: string } {
  return { size: bytes.length, hash: hexOf(digestOf(bytes)), open: () => [bytes] };
}
