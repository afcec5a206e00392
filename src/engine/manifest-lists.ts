/** `jettison manifest`: lists of manifests that are in registries already, put together here and pushed. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { normalPlatform } from '#formats/oci/platform.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Report } from '#formats/progress/event.ts';
import { assembleIndex, type TypedDocument } from '#execution/exporter/assemble-index.ts';
import { openManifestLists, type ListedManifest } from '#stores/image/manifest-lists.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { publish } from './create-index.ts';
import type { Engine } from './open.ts';
import type { PlatformChange } from './registry-requests.ts';
import { findDocument, platformOf } from './remote-documents.ts';

/** Begins a list, or with `amend` adds to it. Gives its name in full. Throws `engine/list-exists`, `engine/not-a-manifest`, `registry/...`. */
export async function createList(
  engine: Engine,
  { name, manifests, amend }: { readonly name: string; readonly manifests: readonly string[]; readonly amend: boolean },
  signal: AbortSignal,
): Promise<string> {
  const list = fullName(name);
  const lists = openManifestLists(engine.database);
  const before = lists.get(list);
  if (before !== undefined && !amend)
    throw new JettisonError('engine/list-exists', 'refusing to amend an existing manifest list with no --amend flag', {
      hint: `Add "--amend", or remove it first: jettison manifest rm ${name}`,
    });
  const added = new Map((before ?? []).map((one) => [one.reference, one]));
  for (const text of manifests) {
    const one = await lookUp(engine, text, signal);
    added.set(one.reference, one);
  }
  lists.save(list, [...added.values()]);
  return list;
}

async function lookUp(engine: Engine, text: string, signal: AbortSignal): Promise<ListedManifest> {
  const reference = withDefaultTag(parseReference(text));
  const name = printReference(reference);
  const { descriptor, document } = await findDocument(engine, reference, signal);
  if (document.kind !== 'manifest')
    throw new JettisonError('engine/not-a-manifest', `${name} is a manifest list`, {
      hint: 'Name the manifests in it, or use "jettison buildx imagetools create"',
    });
  const { mediaType, digest, size } = descriptor;
  const platform = await platformOf(engine, reference, document.manifest, signal);
  return { reference: name, descriptor: { mediaType, digest, size, ...(platform === undefined ? {} : { platform }) } };
}

/** Throws `engine/no-such-list`, `engine/not-in-list`. */
export function annotateList(
  engine: Engine,
  { name, manifest, change }: { readonly name: string; readonly manifest: string; readonly change: PlatformChange },
): void {
  const list = fullName(name);
  const manifests = readList(engine, list);
  const wanted = fullName(manifest);
  if (!manifests.some(({ reference }) => reference === wanted))
    throw new JettisonError('engine/not-in-list', `manifest for image ${wanted} does not exist in ${list}`, {
      hint: `Add it: jettison manifest create --amend ${name} ${manifest}`,
    });
  const changed = manifests.map((one) => (one.reference === wanted ? { ...one, descriptor: withChange(one.descriptor, change) } : one));
  openManifestLists(engine.database).save(list, changed);
}

function withChange(descriptor: Descriptor, change: PlatformChange): Descriptor {
  return { ...descriptor, platform: normalPlatform({ os: '', architecture: '', ...descriptor.platform, ...change }) };
}

/** The list as it would be pushed; undefined when there is no such list here. */
export function listDocument(engine: Engine, name: string): TypedDocument | undefined {
  const manifests = openManifestLists(engine.database).get(fullName(name));
  return manifests && documentOf(manifests);
}

/** What one manifest of a list is there. Throws `engine/no-such-list`. */
export function listedManifest(engine: Engine, name: string, manifest: string): Descriptor | undefined {
  const wanted = fullName(manifest);
  return readList(engine, fullName(name)).find(({ reference }) => reference === wanted)?.descriptor;
}

/** Manifests that the list's repository lacks are copied there. With `purge` the list goes afterwards. Throws `engine/no-such-list`, `registry/...`. */
export async function pushList(
  engine: Engine,
  { name, purge }: { readonly name: string; readonly purge: boolean },
  report: Report,
  signal: AbortSignal,
): Promise<TypedDocument> {
  const list = fullName(name);
  const manifests = readList(engine, list);
  const top = documentOf(manifests);
  const sources = manifests.map(({ reference, descriptor }) => ({ reference: parseReference(reference), descriptor }));
  await publish(engine, { target: parseReference(list), manifests: sources, top }, report, signal);
  if (purge) openManifestLists(engine.database).remove(list);
  return top;
}

/** Throws `engine/no-such-list` for the first that is not there; nothing is removed then. */
export function removeLists(engine: Engine, names: readonly string[]): void {
  const lists = names.map(fullName);
  for (const list of lists) readList(engine, list);
  for (const list of lists) openManifestLists(engine.database).remove(list);
}

function readList(engine: Engine, list: string): readonly ListedManifest[] {
  const manifests = openManifestLists(engine.database).get(list);
  if (manifests !== undefined) return manifests;
  throw new JettisonError('engine/no-such-list', `No such manifest: ${list}`, {
    hint: 'Begin one: jettison manifest create LIST MANIFEST...',
  });
}

/** Docker's form unless a manifest is in OCI's. */
function documentOf(manifests: readonly ListedManifest[]): TypedDocument {
  const isDocker = manifests.every(({ descriptor }) => descriptor.mediaType === mediaTypes.dockerManifest);
  const entries = manifests.map(({ descriptor }) => descriptor);
  return assembleIndex(entries, { format: isDocker ? 'docker' : 'oci', annotations: {} });
}

function fullName(text: string): string {
  return printReference(withDefaultTag(parseReference(text)));
}
