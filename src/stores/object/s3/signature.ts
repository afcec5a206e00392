/** Signature version 4 of AWS, in headers (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html). */
import { createHmac } from 'node:crypto';
import { digestOf, hexOf } from '#ground/base/digest.ts';

export type S3Credentials = {
  readonly keyId: string;
  readonly secretKey: string;
  /** Of credentials for a time. */
  readonly sessionToken: string | undefined;
};

export type Signing = {
  readonly method: string;
  /** Path and query as they are sent, every byte but letters, digits and `-._~/` encoded: see `encodeKey`. */
  readonly url: URL;
  /** All of these are signed, and `host`. Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** sha256 of the body, in hex. */
  readonly bodyHash: string;
  readonly region: string;
  readonly credentials: S3Credentials;
  /** Milliseconds since the epoch. */
  readonly now: number;
};

const algorithm = 'AWS4-HMAC-SHA256';

/** The headers to send, `authorization` apart from the others. */
export function signRequest(signing: Signing): { readonly headers: Readonly<Record<string, string>>; readonly authorization: string } {
  const { method, url, bodyHash, region, credentials, now } = signing;
  const time = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/gu, '');
  const headers = {
    ...signing.headers,
    'x-amz-content-sha256': bodyHash,
    'x-amz-date': time,
    ...(credentials.sessionToken === undefined ? {} : { 'x-amz-security-token': credentials.sessionToken }),
  };
  const signed = Object.entries({ ...headers, host: url.host }).toSorted(([one], [other]) => compare(one, other));
  const names = signed.map(([name]) => name).join(';');
  const canonical = [
    method,
    url.pathname,
    canonicalQuery(url.searchParams),
    ...signed.map(([name, value]) => `${name}:${value.trim().replaceAll(/ +/gu, ' ')}`),
    '',
    names,
    bodyHash,
  ].join('\n');
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  const toSign = [algorithm, time, scope, hexOf(digestOf(canonical))].join('\n');
  const key = [time.slice(0, 8), region, 's3', 'aws4_request'].reduce<Uint8Array | string>(
    (secret, part) => hmac(secret, part),
    `AWS4${credentials.secretKey}`,
  );
  const signature = createHmac('sha256', key).update(toSign).digest('hex');
  return { headers, authorization: `${algorithm} Credential=${credentials.keyId}/${scope},SignedHeaders=${names},Signature=${signature}` };
}

/** A key as a path: slashes stay. */
export function encodeKey(key: string): string {
  return key.split('/').map(encode).join('/');
}

/** A query with its parameters in the order and the spelling that are signed. */
export function canonicalQuery(parameters: Iterable<readonly [string, string]>): string {
  return [...parameters]
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .toSorted(([one, first], [other, second]) => compare(one, other) || compare(first, second))
    .map((pair) => pair.join('='))
    .join('&');
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/gu, (unit) => `%${unit.charCodeAt(0).toString(16).toUpperCase()}`);
}

function hmac(key: Uint8Array | string, text: string): Uint8Array {
  return createHmac('sha256', key).update(text).digest();
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
