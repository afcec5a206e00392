/** From method and path to an answer: OCI distribution spec, "Endpoints". */
import { isDigest, type Digest } from '#ground/base/digest.ts';
import { isRepositoryName, isTag } from '#formats/oci/reference.ts';
import { answerJson, refuse, type Answer, type Call } from './answer.ts';
import { answerBlob } from './blobs.ts';
import { answerCatalog, answerReferrers, answerTags } from './lists.ts';
import { answerManifest } from './manifests.ts';
import type { Shelf } from './shelf.ts';
import type { Uploads } from './uploads.ts';

export type Answering = { readonly shelf: Shelf; readonly uploads: Uploads };

/** The longest ends come first: names of repositories may hold the words of ends. */
const grammars = {
  uploads: /^\/v2\/(.+)\/blobs\/uploads\/?$/u,
  upload: /^\/v2\/(.+)\/blobs\/uploads\/([0-9a-f-]{36})$/u,
  blob: /^\/v2\/(.+)\/blobs\/([^/]+)$/u,
  manifest: /^\/v2\/(.+)\/manifests\/([^/]+)$/u,
  tags: /^\/v2\/(.+)\/tags\/list$/u,
  referrers: /^\/v2\/(.+)\/referrers\/([^/]+)$/u,
} as const;

/** The answer to a request for `path` (decoded, without its query). Throws what reading the request's body throws. */
export async function answer({ shelf, uploads }: Answering, path: string, call: Call, signal: AbortSignal): Promise<Answer> {
  if (path === '/v2/' || path === '/v2') return await only(call, ['GET'], () => answerJson({}));
  if (path === '/v2/_catalog') return await only(call, ['GET'], () => answerCatalog(shelf, call));
  for (const [kind, grammar] of Object.entries(grammars)) {
    const [, repository, last = ''] = grammar.exec(path) ?? [];
    if (repository === undefined) continue;
    if (!isRepositoryName(repository)) return refuse(400, 'NAME_INVALID', 'invalid repository name');
    switch (kind) {
      case 'uploads':
        return await only(call, ['POST'], async () => await uploads.begin(repository, call, signal));
      case 'upload':
        return await only(call, ['GET', 'PATCH', 'PUT', 'DELETE'], async () => await uploads.go(repository, last, call, signal));
      case 'blob':
        return await only(call, ['GET', 'DELETE'], () => withDigest(last, (digest) => answerBlob(shelf, repository, digest, call, signal)));
      case 'manifest':
        if (!isDigest(last) && !isTag(last))
          return refuse(400, last.includes(':') ? 'DIGEST_INVALID' : 'MANIFEST_INVALID', 'neither tag nor digest');
        return await only(call, ['GET', 'PUT', 'DELETE'], async () => {
          return await answerManifest(shelf, { repository, reference: last }, call, signal);
        });
      case 'tags':
        return await only(call, ['GET'], () => answerTags(shelf, repository, call));
      default:
        return await only(call, ['GET'], () => withDigest(last, (digest) => answerReferrers(shelf, repository, digest, call)));
    }
  }
  return refuse(404, 'UNSUPPORTED', 'this is a registry for images: everything is below /v2/');
}

function withDigest(text: string, then: (digest: Digest) => Answer): Answer {
  return isDigest(text) ? then(text) : refuse(400, 'DIGEST_INVALID', 'not a digest');
}

/** HEAD is GET without the body, which is left out where the answer is sent. */
async function only(call: Call, methods: readonly string[], then: () => Answer | Promise<Answer>): Promise<Answer> {
  if (methods.includes(call.method)) return await then();
  return refuse(405, 'UNSUPPORTED', `not for ${call.method}`, { allow: methods.join(', ') });
}
