import { test } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { digestOf, hexOf } from '#ground/base/digest.ts';
import { isCode } from '#ground/base/errors.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { collectingSink } from '#test/kit/collecting-sink.ts';
import { startS3, type S3Service } from '#test/kit/s3-service.ts';
import { serve } from '#test/kit/web.ts';
import { openS3Bucket, type S3Bucket } from './s3-bucket.ts';

const signal = new AbortController().signal;

function openAt(service: Pick<S3Service, 'url' | 'keyId' | 'secretKey' | 'sessionToken'>, secretKey = service.secretKey): S3Bucket {
  const { keyId, sessionToken } = service;
  return openS3Bucket({
    bucket: 'caches',
    region: 'eu-test-1',
    endpoint: new URL(service.url),
    usePathStyle: true,
    credentials: { keyId, secretKey, sessionToken },
    userAgent: 'test',
    environment: {},
    timing: { firstPause: 1 },
    now: Date.now,
  });
}

async function write(bucket: S3Bucket, key: string, bytes: Uint8Array): Promise<void> {
  const open = function* (): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 1_000_000) yield bytes.subarray(at, at + 1_000_000);
  };
  await bucket.write(key, { size: bytes.length, sha256: hexOf(digestOf(bytes)), open }, signal);
}

test('objects come back as they were, small ones and ones in parts, also from the middle; old ones are made new', async () => {
  await using service = await startS3();
  using bucket = openAt(service);
  for (const size of [10, 1 << 20, (32 << 20) + 7]) {
    const bytes = randomBytes(size);
    const key = `a b/(${size})/sha256:é+&~`;
    assert.equal(await bucket.stat(key, signal), undefined);
    assert.equal(await bucket.read(key, 1000, signal), undefined);
    await write(bucket, key, bytes);
    assert.equal((await bucket.stat(key, signal))?.size, size);
    const sink = collectingSink(bytes.subarray(0, size >> 1));
    const descriptor = { mediaType: mediaTypes.layer, digest: digestOf(bytes), size };
    service.fail(({ method, key: asked }) => (method === 'GET' && asked === key ? (service.fail(undefined), 'cut') : undefined));
    await bucket.download(key, { descriptor, sink }, signal);
    assert.ok(sink.bytes().equals(bytes));
    const object = service.objects.get(key);
    assert.ok(object);
    object.modified = 0;
    await bucket.touch(key, signal);
    assert.ok(object.modified > 0);
  }
  assert.deepEqual(service.complaints, []);
  assert.equal(service.openUploads(), 0);
});

test('an upload in parts that fails is given up, at the service, too', async () => {
  await using service = await startS3();
  using bucket = openAt(service);
  service.fail(({ query }) =>
    query.startsWith('partNumber=3') ? { status: 400, body: '<Error><Code>InvalidPart</Code><Message>no</Message></Error>' } : undefined,
  );
  await assert.rejects(
    write(bucket, 'key', randomBytes(34 << 20)),
    (error) => isCode(error, 'object/unavailable') && /InvalidPart: no/u.test(error.message),
  );
  assert.equal(service.openUploads(), 0);
  // It may say so only at the end of an answer that began well.
  service.fail(({ method, query }) =>
    method === 'POST' && query.startsWith('uploadId') ? { status: 200, body: '\n<Error><Code>InternalError</Code></Error>' } : undefined,
  );
  await assert.rejects(write(bucket, 'key', randomBytes(34 << 20)), /failed after all: InternalError/u);
  assert.equal(service.objects.size, 0);
});

test('wrong credentials, and a redirect: said in the service’s words, without any secret, and no other host gets one', async () => {
  await using service = await startS3();
  using wrong = openAt(service, 'another');
  await assert.rejects(
    wrong.read('key', 10, signal),
    (error) => isCode(error, 'object/unauthorized') && /SignatureDoesNotMatch/u.test(error.message),
  );
  let asked = 0;
  await using elsewhere = await serve((_request, response) => {
    asked++;
    response.end();
  });
  await using moved = await serve((_request, response) => {
    response
      .writeHead(307, { location: `http://${elsewhere.host}/`, 'x-amz-bucket-region': 'us-west-2' })
      .end(`<Error><Code>TemporaryRedirect</Code><Message>with ${service.secretKey}</Message></Error>`);
  });
  using bucket = openAt({ ...service, url: `http://${moved.host}` });
  await assert.rejects(bucket.read('key', 10, signal), (error) => {
    assert.ok(error instanceof Error);
    assert.match(error.message, /307.*with \*\*\*: the bucket is in us-west-2/u);
    assert.equal(error.stack?.includes(service.secretKey), false);
    return true;
  });
  assert.equal(asked, 0);
});
