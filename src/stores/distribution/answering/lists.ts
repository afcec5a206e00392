/** Lists in pages: tags, referrers (OCI distribution spec, "Listing Tags", "Listing Referrers") and Docker's `_catalog`. */
import type { Digest } from '#ground/base/digest.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import type { HeldManifest, Page } from '../repositories.ts';
import { answerJson, refuse, type Answer, type Call } from './answer.ts';
import type { Shelf } from './shelf.ts';

const longestPage = 1000;
/** Clients read documents of at most 4 MiB. */
const longestDocument = 3 << 20;

export function answerTags(shelf: Shelf, repository: string, call: Call): Answer {
  if (!shelf.repositories.has(repository)) return refuse(404, 'NAME_UNKNOWN', 'repository name not known to registry');
  const page = readPage(call.query);
  if (page === undefined) return badPage();
  const tags = shelf.repositories.tags(repository, { ...page, count: page.count + 1 });
  return inPages({ name: repository }, 'tags', tags, page, `/v2/${repository}/tags/list`);
}

export function answerCatalog(shelf: Shelf, call: Call): Answer {
  const page = readPage(call.query);
  if (page === undefined) return badPage();
  return inPages({}, 'repositories', shelf.repositories.names({ ...page, count: page.count + 1 }), page, '/v2/_catalog');
}

export function answerReferrers(shelf: Shelf, repository: string, subject: Digest, call: Call): Answer {
  const wanted = call.query.get('artifactType');
  const last = call.query.get('last') ?? '';
  const manifests: object[] = [];
  let length = 0;
  let next: string | undefined;
  for (const one of shelf.repositories.referrers(repository, subject, { last, count: longestPage + 1 })) {
    const descriptor = describe(one);
    length += JSON.stringify(descriptor).length;
    if (manifests.length > 0 && (manifests.length === longestPage || length > longestDocument)) break;
    next = one.digest;
    if (wanted === null || wanted === one.artifactType) manifests.push(descriptor);
  }
  const hasMore = next !== undefined && shelf.repositories.referrers(repository, subject, { last: next, count: 1 }).length > 0;
  const query = new URLSearchParams({ ...(wanted === null ? {} : { artifactType: wanted }), last: next ?? '' });
  return answerJson(
    { schemaVersion: 2, mediaType: mediaTypes.index, manifests },
    {
      'content-type': mediaTypes.index,
      ...(wanted === null ? {} : { 'oci-filters-applied': 'artifactType' }),
      ...(hasMore ? { link: `</v2/${repository}/referrers/${subject}?${query.toString()}>; rel="next"` } : {}),
    },
  );
}

function describe({ mediaType, digest, size, artifactType, annotations }: HeldManifest): object {
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}

/** `found` is one longer than the page where there is more. */
function inPages(rest: object, member: string, found: readonly string[], { count }: Page, path: string): Answer {
  const shown = found.slice(0, count);
  const last = shown.at(-1);
  const query = new URLSearchParams({ last: last ?? '', n: String(count) });
  const link = last === undefined || found.length <= count ? {} : { link: `<${path}?${query.toString()}>; rel="next"` };
  return answerJson({ ...rest, [member]: shown }, link);
}

function readPage(query: URLSearchParams): Page | undefined {
  const count = query.get('n') ?? String(longestPage);
  if (!/^\d{1,9}$/u.test(count)) return undefined;
  return { last: query.get('last') ?? '', count: Math.min(longestPage, Number(count)) };
}

function badPage(): Answer {
  return refuse(400, 'UNSUPPORTED', 'n is not the length of a page');
}
