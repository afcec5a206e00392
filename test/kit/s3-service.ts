/** A bucket of S3 that checks each signature against the bytes that came, written apart from our own signing after Amazon's description of it. */
import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { serve } from './web.ts';

export type S3Call = { readonly method: string; readonly key: string; readonly query: string };
export type S3Fault = { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string } | 'cut';

export type S3Service = AsyncDisposable & {
  /** `http://127.0.0.1:port` */
  readonly url: string;
  readonly keyId: string;
  readonly secretKey: string;
  readonly sessionToken: string;
  readonly calls: readonly S3Call[];
  /** Requests that a real one would have refused for their form or their signature. */
  readonly complaints: readonly string[];
  readonly objects: Map<string, { bytes: Buffer; modified: number }>;
  /** Uploads in parts that neither ended nor were given up. */
  openUploads(): number;
  fail(choose: ((call: S3Call) => S3Fault | undefined) | undefined): void;
  readonly environment: Readonly<Record<string, string>>;
};

type Reply = { readonly status: number; readonly headers?: Record<string, string>; readonly text?: string; readonly bytes?: Buffer };

const sha256 = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');
const leastPart = 5 << 20;

/** `bucket` in the path, `region` as in the signatures. */
export async function startS3({ bucket = 'caches', region = 'eu-test-1' } = {}): Promise<S3Service> {
  const keyId = 'AKIATESTTESTTEST';
  const secretKey = 'secret/of+the+test';
  const sessionToken = 'session//token==';
  const objects = new Map<string, { bytes: Buffer; modified: number }>();
  const uploads = new Map<string, { key: string; parts: Map<number, Buffer> }>();
  const calls: S3Call[] = [];
  const complaints: string[] = [];
  let choose: ((call: S3Call) => S3Fault | undefined) | undefined;

  const refuse = (status: number, code: string, message: string): Reply => {
    complaints.push(`${code}: ${message}`);
    return { status, text: errorText(code, message) };
  };
  const signatureFault = (request: IncomingMessage, body: Buffer): string | undefined => {
    const [path = '', query = ''] = (request.url ?? '').split('?');
    const pattern =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/u;
    const [, key, date = '', place = '', names = '', signature] = pattern.exec(request.headers.authorization ?? '') ?? [];
    const header = (name: string): string => String(request.headers[name] ?? '');
    const time = header('x-amz-date');
    if (key !== keyId || place !== region || !time.startsWith(date)) return 'credential, region or date';
    const age = Date.now() - Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/u, '$1-$2-$3T$4:$5:$6Z'));
    if (!(Math.abs(age) < 15 * 60_000)) return 'the time';
    const signed = names.split(';');
    const must = Object.keys(request.headers).filter((name) => name === 'host' || name.startsWith('x-amz-'));
    if (must.some((name) => !signed.includes(name))) return 'headers that are not signed';
    if (header('x-amz-security-token') !== sessionToken) return 'the session token';
    if (header('x-amz-content-sha256') !== sha256(body)) return 'the hash of the body';
    const parameters = query === '' ? [] : query.split('&').map((pair) => (pair.includes('=') ? pair : `${pair}=`));
    const canonical = [
      request.method,
      path,
      parameters.toSorted().join('&'),
      ...signed.map((name) => `${name}:${header(name).trim()}`),
      '',
      names,
      sha256(body),
    ].join('\n');
    const text = `AWS4-HMAC-SHA256\n${time}\n${date}/${region}/s3/aws4_request\n${sha256(canonical)}`;
    let secret: Buffer = Buffer.from(`AWS4${secretKey}`);
    for (const part of [date, region, 's3', 'aws4_request']) secret = createHmac('sha256', secret).update(part).digest();
    return createHmac('sha256', secret).update(text).digest('hex') === signature ? undefined : 'the signature';
  };

  const reply = (request: IncomingMessage, body: Buffer): Reply | 'cut' => {
    const url = new URL(request.url ?? '/', 'http://here');
    const fault = signatureFault(request, body);
    if (fault !== undefined) return refuse(403, 'SignatureDoesNotMatch', fault);
    if (!url.pathname.startsWith(`/${bucket}/`)) return refuse(404, 'NoSuchBucket', url.pathname);
    if (/[^A-Za-z0-9%\-._~/]/u.test(url.pathname)) return refuse(400, 'InvalidURI', url.pathname);
    const key = decodeURIComponent(url.pathname.slice(bucket.length + 2));
    const call = { method: request.method ?? '', key, query: url.search.slice(1) };
    calls.push(call);
    const wrong = choose?.(call);
    if (typeof wrong === 'object')
      return { status: wrong.status, ...(wrong.headers ? { headers: wrong.headers } : {}), text: wrong.body ?? '' };
    const object = objects.get(key);
    const upload = uploads.get(url.searchParams.get('uploadId') ?? '');
    switch (call.method) {
      case 'HEAD':
      case 'GET': {
        if (object === undefined) return { status: 404, text: errorText('NoSuchKey', 'The specified key does not exist.') };
        const modified = { 'last-modified': new Date(object.modified).toUTCString(), 'content-length': String(object.bytes.length) };
        if (wrong === 'cut') return { status: 200, headers: modified, bytes: object.bytes.subarray(0, object.bytes.length >> 1) };
        if (call.method === 'HEAD') return { status: 200, headers: modified };
        const from = /^bytes=(\d+)-/u.exec(request.headers.range ?? '')?.[1];
        if (from === undefined) return { status: 200, bytes: object.bytes };
        const range = { 'content-range': `bytes ${from}-${object.bytes.length - 1}/${object.bytes.length}` };
        return { status: 206, headers: range, bytes: object.bytes.subarray(Number(from)) };
      }
      case 'PUT': {
        const source = request.headers['x-amz-copy-source'];
        if (typeof source === 'string') {
          if (object === undefined || decodeURIComponent(source) !== `/${bucket}/${key}`)
            return refuse(400, 'InvalidArgument', 'copy source');
          if (request.headers['x-amz-metadata-directive'] !== 'REPLACE')
            return refuse(400, 'InvalidRequest', 'a copy onto itself that changes nothing');
          object.modified = Date.now();
          return { status: 200, text: '<CopyObjectResult/>' };
        }
        if (request.headers['content-length'] === undefined) return refuse(411, 'MissingContentLength', key);
        const part = url.searchParams.get('partNumber');
        if (part === null) {
          objects.set(key, { bytes: body, modified: Date.now() });
          return { status: 200 };
        }
        if (upload?.key !== key) return refuse(404, 'NoSuchUpload', key);
        upload.parts.set(Number(part), body);
        return { status: 200, headers: { etag: `"${sha256(body).slice(0, 32)}"` } };
      }
      case 'POST': {
        if (url.searchParams.has('uploads')) {
          const id = `upload/${uploads.size + 1}+`;
          uploads.set(id, { key, parts: new Map() });
          return { status: 200, text: `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>` };
        }
        if (upload?.key !== key) return refuse(404, 'NoSuchUpload', key);
        const listed = [...body.toString().matchAll(/<Part><PartNumber>(\d+)<\/PartNumber><ETag>([^<]+)<\/ETag><\/Part>/gu)];
        const parts = listed.map(([, number = '', tag = '']) => {
          const bytes = upload.parts.get(Number(number));
          return bytes !== undefined && tag.replaceAll('&quot;', '') === sha256(bytes).slice(0, 32) ? bytes : undefined;
        });
        if (parts.length === 0 || parts.includes(undefined)) return refuse(400, 'InvalidPart', key);
        if (parts.slice(0, -1).some((bytes) => (bytes?.length ?? 0) < leastPart)) return refuse(400, 'EntityTooSmall', key);
        objects.set(key, { bytes: Buffer.concat(parts.flatMap((bytes) => bytes ?? [])), modified: Date.now() });
        uploads.delete(url.searchParams.get('uploadId') ?? '');
        return { status: 200, text: '<CompleteMultipartUploadResult/>' };
      }
      case 'DELETE':
        uploads.delete(url.searchParams.get('uploadId') ?? '');
        return { status: 204 };
      default:
        return refuse(405, 'MethodNotAllowed', call.method);
    }
  };

  const server = await serve((request, response) => void answer(request, response, reply));
  return {
    url: `http://${server.host}`,
    keyId,
    secretKey,
    sessionToken,
    calls,
    complaints,
    objects,
    openUploads: () => uploads.size,
    fail: (next) => {
      choose = next;
    },
    environment: { AWS_ACCESS_KEY_ID: keyId, AWS_SECRET_ACCESS_KEY: secretKey, AWS_SESSION_TOKEN: sessionToken, AWS_REGION: region },
    [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
  };
}

function errorText(code: string, message: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  reply: (request: IncomingMessage, body: Buffer) => Reply | 'cut',
): Promise<void> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return; // the other side has given it up
  }
  const made = reply(request, Buffer.concat(chunks));
  if (made === 'cut') return void response.destroy();
  const bytes = made.bytes ?? Buffer.from(made.text ?? '');
  response.writeHead(made.status, made.headers);
  if (request.method !== 'HEAD' && Number(made.headers?.['content-length'] ?? bytes.length) > bytes.length)
    return void response.write(bytes, () => response.destroy());
  response.end(bytes);
}
