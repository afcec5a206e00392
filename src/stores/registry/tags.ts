/** The tags of a repository (OCI distribution spec, "Listing Tags"). */
import * as v from 'valibot';
import { checkShape, parseJson } from '#ground/base/decode.ts';
import { isTag } from '#formats/oci/reference.ts';
import type { Endpoint } from './config.ts';
import { registryError } from './errors.ts';
import type { Speaker } from './http/speaker.ts';
import { expectStatus, refuseEncoding, type Answer } from './transport.ts';

/** Bytes of one page. */
const pageLimit = 4 << 20;
const mostPages = 1000;
const pageSchema = v.object({ tags: v.nullish(v.array(v.string())) });

/** All of them, in the order in which the registry has them. `repository`: its path at the endpoint. Throws `registry/...`. */
export async function listTags(speaker: Speaker, endpoint: Endpoint, repository: string, signal: AbortSignal): Promise<readonly string[]> {
  const tags = new Set<string>();
  const asked = new Set<string>();
  let query: string | undefined = '';
  while (query !== undefined) {
    if (asked.has(query) || asked.size === mostPages)
      throw registryError('bad-answer', `"${endpoint.host}" does not come to an end with the tags of "${repository}"`);
    asked.add(query);
    const path = `/v2/${repository}/tags/list${query}`;
    using answer: Answer = await speaker.ask(endpoint, { method: 'GET', path, scopes: [`repository:${repository}:pull`] }, signal);
    await expectStatus(answer, 'GET', [200]);
    refuseEncoding(answer);
    for (const tag of readPage(endpoint, await answer.bytes(pageLimit))) tags.add(tag);
    query = nextQuery(answer);
  }
  return [...tags];
}

function readPage(endpoint: Endpoint, bytes: Uint8Array): readonly string[] {
  const document = { what: `the tags of "${endpoint.host}"`, code: 'registry/bad-answer', limit: pageLimit };
  const tags = checkShape(parseJson(bytes, document), pageSchema, document).tags ?? [];
  const odd = tags.find((tag) => !isTag(tag));
  if (odd === undefined) return tags;
  throw registryError('bad-answer', `"${endpoint.host}" names a tag that is none: "${odd.slice(0, 160)}"`);
}

/** Of the address of the next page only what it asks for: it is a page of the same list, whatever host and path stand there. */
function nextQuery({ headers, url }: Answer): string | undefined {
  const target = /<([^>]*)>\s*;[^,]*\brel="?next\b/iu.exec(String(headers['link'] ?? ''))?.[1];
  return target === undefined || !URL.canParse(target, url.href) ? undefined : new URL(target, url).search;
}
