/** Keys that a repository's cache has, by GitHub's REST API (docs.github.com/rest/actions/cache): one request for a hundred of them, where the cache service limits how often it may be asked. */
import * as v from 'valibot';
import { checkShape, parseJson } from '#ground/base/decode.ts';
import { failureOf, type Transport } from '#stores/registry/transport.ts';

export type KeyListing = {
  /** `https://api.github.com` */
  readonly api: URL;
  /** `owner/name` */
  readonly repository: string;
  readonly token: string;
  readonly transport: Transport;
};

const perPage = 100;
const mostPages = 200;
const answerLimit = 4 << 20;
const page = v.looseObject({ total_count: v.number(), actions_caches: v.array(v.looseObject({ key: v.exactOptional(v.string()) })) });

/** Keys that begin with `prefix`, of one scope (a Git ref). Throws `registry/...`, `object/bad-answer`. */
export async function listKeys(
  listing: KeyListing,
  { prefix, scope }: { readonly prefix: string; readonly scope: string },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const keys: string[] = [];
  for (let number = 1; number <= mostPages; number++) {
    const found = await listing.transport.persist(async () => await readPage(listing, { prefix, scope, number }, signal), signal);
    keys.push(...found.flatMap(({ key }) => key ?? []));
    if (found.length < perPage) break;
  }
  return keys;
}

async function readPage(
  { api, repository, token, transport }: KeyListing,
  { prefix, scope, number }: { readonly prefix: string; readonly scope: string; readonly number: number },
  signal: AbortSignal,
) {
  const url = new URL(`${api.href.replace(/\/$/u, '')}/repos/${repository}/actions/caches`);
  url.search = new URLSearchParams({ per_page: String(perPage), page: String(number), key: prefix, ref: scope }).toString();
  const headers = { accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' };
  using answer = await transport.send({ method: 'GET', url, headers, authorization: `Bearer ${token}` }, signal);
  if (answer.status !== 200) throw await failureOf(answer, 'GET');
  const document = { what: `the list of caches of "${repository}"`, code: 'object/bad-answer', limit: answerLimit };
  return checkShape(parseJson(await answer.bytes(answerLimit), document), page, document).actions_caches;
}
