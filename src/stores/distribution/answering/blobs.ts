/** Blobs: OCI distribution spec, "Pulling blobs", "Deleting Blobs"; ranges as in RFC 9110, section 14. */
import type { Digest } from '#ground/base/digest.ts';
import { answerEmpty, refuse, type Answer, type Call } from './answer.ts';
import { dropBytes, sizeOfBlob, type Shelf } from './shelf.ts';

/** Bytes from `start` up to and with `end`. */
type Range = { readonly start: number; readonly end: number };

export function answerBlob(shelf: Shelf, repository: string, digest: Digest, call: Call, signal: AbortSignal): Answer {
  const size = sizeOfBlob(shelf, repository, digest);
  if (size === undefined) return refuse(404, 'BLOB_UNKNOWN', 'blob unknown to registry');
  if (call.method === 'DELETE') {
    shelf.repositories.removeBlob(repository, digest);
    dropBytes(shelf, digest);
    return answerEmpty(202);
  }
  const headers = {
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    'accept-ranges': 'bytes',
    etag: `"${digest}"`,
  };
  const range = call.method === 'GET' ? readRange(call.header('range'), size) : undefined;
  if (range === 'beyond') return refuse(416, 'SIZE_INVALID', 'the range is not within the blob', { 'content-range': `bytes */${size}` });
  const { start, end } = range ?? { start: 0, end: size - 1 };
  return {
    status: range === undefined ? 200 : 206,
    headers: range === undefined ? headers : { ...headers, 'content-range': `bytes ${start}-${end}/${size}` },
    body: { size: end + 1 - start, open: () => firstBytes(shelf.content.openStream(digest, start, signal), end + 1 - start) },
  };
}

/** undefined: the whole is sent, as for what is no range, or several. */
function readRange(header: string | undefined, size: number): Range | 'beyond' | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/u.exec(header ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(size - 1, Number(last));
  if (first !== '' && last !== '' && Number(last) < start) return undefined;
  return start > end ? 'beyond' : { start, end };
}

async function* firstBytes(source: AsyncIterable<Uint8Array>, count: number): AsyncGenerator<Uint8Array, void, void> {
  let left = count;
  for await (const chunk of source) {
    yield chunk.length > left ? chunk.subarray(0, left) : chunk;
    left -= chunk.length;
    if (left < 0) return;
  }
}
