/** Writes a blob to a signed address of Azure's storage: Put Blob, or Put Block and Put Block List (learn.microsoft.com/rest/api/storageservices). */
import { bodyOf, type Caller } from './caller.ts';
import { blockSize, inBlocks } from '../blocks.ts';
import type { Content } from '../content.ts';

const headers = { 'x-ms-version': '2020-10-02' };

/** Nothing is there before all of it is. Throws `registry/...`. */
export async function uploadAzureBlob(caller: Caller, url: URL, content: Content, signal: AbortSignal): Promise<void> {
  if (content.size <= blockSize) {
    const whole = { size: content.size, open: (own: AbortSignal) => content.open(own) };
    const one = { ...headers, 'x-ms-blob-type': 'BlockBlob', 'content-type': 'application/octet-stream' };
    await caller.send({ method: 'PUT', url, headers: one, body: whole, isCommit: true }, signal);
    return;
  }
  const count = await inBlocks(
    content.open(signal),
    async ({ index, bytes }, own) => {
      const target = withQuery(url, `comp=block&blockid=${encodeURIComponent(blockId(index))}`);
      await caller.send({ method: 'PUT', url: target, headers, body: bodyOf(bytes), isCommit: true }, own);
    },
    signal,
  );
  const ids = Array.from({ length: count }, (_, index) => `<Latest>${blockId(index)}</Latest>`);
  const list = `<?xml version="1.0" encoding="utf-8"?><BlockList>${ids.join('')}</BlockList>`;
  await caller.send(
    {
      method: 'PUT',
      url: withQuery(url, 'comp=blocklist'),
      headers: { ...headers, 'content-type': 'application/xml' },
      body: bodyOf(new TextEncoder().encode(list)),
      isCommit: true,
    },
    signal,
  );
}

/** All of one length, as the service demands. */
function blockId(index: number): string {
  return btoa(`block-${String(index).padStart(6, '0')}`);
}

/** The query is signed: what is in it stays as it is spelt. */
function withQuery(url: URL, query: string): URL {
  return new URL(`${url.origin}${url.pathname}${url.search === '' ? '?' : `${url.search}&`}${query}`);
}
