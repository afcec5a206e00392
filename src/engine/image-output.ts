/** `type=image` and `type=registry`: images in the store, and in registries. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Report } from '#formats/progress/event.ts';
import { nameOf, parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { OutputRequest } from './build-requests.ts';
import { makeIndexed, type Indexed } from './saved-image.ts';
import type { Engine } from './open.ts';
import type { Outgoing, Say } from './outputs.ts';
import { noteManifests, pushImages } from './push.ts';

export type StoreOrPush = { readonly output: Extract<OutputRequest, { kind: 'image' }>; readonly outgoing: Outgoing };

/** Pushes under all names where that is wanted; the caller names it in the store. Gives all names, with digests where these were wanted. Throws like `pushImages`. */
export async function storeOrPush(
  engine: Engine,
  { output, outgoing }: StoreOrPush,
  { report, say }: { readonly report: Report; readonly say: Say },
  signal: AbortSignal,
): Promise<{ readonly descriptor: Descriptor | undefined; readonly names: readonly string[] }> {
  const { built, names, layers } = outgoing;
  const { main, index, formOf } = built;
  const wish = { main, index, form: { ...layers, isAsked: true }, formOf };
  let made: Indexed | undefined;
  for (const name of output.isPushed ? names : []) {
    const reference = output.byDigest ? parseReference(name) : withDefaultTag(parseReference(name));
    made = await pushImages(engine, { ...wish, reference }, report, signal);
    if (output.isStored) noteManifests(engine, reference, made);
    say(`pushing manifest for ${printReference({ ...reference, digest: made.top.digest })} done`);
  }
  const repositories = canonicalNames(output, names);
  if (repositories.length > 0) made ??= await makeIndexed(engine, { main, index, form: layers, formOf }, report, signal);
  if (made === undefined) return { descriptor: undefined, names };
  const { mediaType, digest, bytes } = made.top;
  if (output.isStored) for (const repository of repositories) noteManifests(engine, parseReference(repository), made);
  const canonical = repositories.map((name) => `${name}@${digest}`);
  return { descriptor: { mediaType, digest, size: bytes.length }, names: [...(output.byDigest ? [] : names), ...canonical] };
}

/** Repositories under which the digest is a name. */
function canonicalNames({ isCanonical, byDigest, danglingPrefix }: StoreOrPush['output'], names: readonly string[]): readonly string[] {
  const own = isCanonical || byDigest ? names.map((name) => nameOf(parseReference(name))) : [];
  return [...new Set(names.length === 0 && danglingPrefix !== undefined ? [nameOf(parseReference(danglingPrefix))] : own)];
}
