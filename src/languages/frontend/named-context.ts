/** `--build-context NAME=...`: what a name in a source text means instead of an image or a stage. */
import { familiarName, parseReference } from '#formats/oci/reference.ts';
import type { SourceGitOp, SourceHttpOp } from '#formats/graph/op.ts';
import { JettisonError } from '#ground/base/errors.ts';

/**
 * `folder`: files of the client, known to the graph under the context's name. `remote`: files from elsewhere.
 * `image`: what `resolveImage` is to be asked for.
 */
export type NamedContext =
  | { readonly kind: 'folder' }
  | { readonly kind: 'remote'; readonly op: SourceGitOp | SourceHttpOp }
  | { readonly kind: 'image'; readonly reference: string };

/**
 * The one form of a name by which contexts are found: `docker.io/library/debian:latest` is `debian`, and a stage's name is itself.
 * undefined for what can be no name of a context.
 */
export function contextName(text: string): string | undefined {
  try {
    const reference = parseReference(text);
    const tag = reference.tag === undefined || reference.tag === 'latest' ? '' : `:${reference.tag}`;
    return `${familiarName(reference)}${tag}${reference.digest === undefined ? '' : `@${reference.digest}`}`;
  } catch (error) {
    if (error instanceof JettisonError) return undefined;
    throw error;
  }
}
