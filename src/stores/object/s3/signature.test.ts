import { test } from 'node:test';
import assert from 'node:assert/strict';
import { digestOf, hexOf } from '#ground/base/digest.ts';
import { canonicalQuery, encodeKey, signRequest } from './signature.ts';

/** Amazon's published examples, "Signature Calculations for the Authorization Header". */
const credentials = {
  keyId: 'AKIAIOSFODNN7EXAMPLE',
  secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  sessionToken: undefined,
};
const examples = [
  ['GET', 'test.txt', {}, { range: 'bytes=0-9' }, '', 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41'],
  [
    'PUT',
    'test$file.text',
    {},
    { date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
    'Welcome to Amazon S3.',
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  ],
  ['GET', '', { lifecycle: '' }, {}, '', 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543'],
  ['GET', '', { prefix: 'J', 'max-keys': '2' }, {}, '', '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7'],
] as const;

test('signatures are those of Amazon’s examples', () => {
  for (const [method, key, query, headers, body, signature] of examples) {
    const url = new URL(`https://examplebucket.s3.amazonaws.com/${encodeKey(key)}`);
    url.search = canonicalQuery(Object.entries(query));
    const bodyHash = hexOf(digestOf(body));
    const signed = signRequest({ method, url, headers, bodyHash, region: 'us-east-1', credentials, now: Date.UTC(2013, 4, 24) });
    assert.equal(/Signature=([0-9a-f]+)$/u.exec(signed.authorization)?.[1], signature, `${method} ${key}`);
    assert.match(
      signed.authorization,
      /^AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE\/20130524\/us-east-1\/s3\/aws4_request,SignedHeaders=/u,
    );
  }
});

test('a session token is sent and signed; keys are spelt so that no server reads them otherwise', () => {
  const url = new URL('https://b.example/k');
  const withToken = { ...credentials, sessionToken: 'token' };
  const signed = signRequest({ method: 'GET', url, headers: {}, bodyHash: 'x', region: 'r', credentials: withToken, now: 0 });
  assert.equal(signed.headers['x-amz-security-token'], 'token');
  assert.match(signed.authorization, /SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,/u);
  assert.equal(encodeKey("a b/sha256:é!'()*~"), 'a%20b/sha256%3A%C3%A9%21%27%28%29%2A~');
  assert.equal(new URL(`https://b.example/${encodeKey('x/sha256:1')}`).pathname, '/x/sha256%3A1');
});
