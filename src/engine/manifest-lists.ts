/** `jettison manifest`: lists of manifests that are in registries already, put together here and pushed. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Report } from '#formats/progress/event.ts';
import type { TypedDocument } from '#execution/exporter/assemble-index.ts';
import { descriptorAsGo, indexAsManifestPush } from '#execution/exporter/index-forms.ts';
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
    throw notInList(list, wanted, `Add it: jettison manifest create --amend ${name} ${manifest}`);
  const changed = manifests.map((one) => (one.reference === wanted ? { ...one, descriptor: withChange(one.descriptor, change) } : one));
  openManifestLists(engine.database).save(list, changed);
}

function withChange(descriptor: Descriptor, change: PlatformChange): Descriptor {
  return { ...descriptor, platform: { os: '', architecture: '', ...descriptor.platform, ...change } };
}

/** The list as it would be pushed; undefined when there is no such list here. */
export function listDocument(engine: Engine, name: string): TypedDocument | undefined {
  const manifests = openManifestLists(engine.database).get(fullName(name));
  return manifests && documentOf(manifests);
}

export type DescribedManifest = {
  readonly reference: string;
  readonly mediaType: string;
  /** As docker writes it. */
  readonly descriptor: Json;
  /** The manifest, as its registry has it. */
  readonly bytes: Uint8Array;
};

/** One manifest of a list, with what the list says of it. Throws `engine/no-such-list`, `engine/not-in-list`, `registry/...`. */
export async function describeListed(engine: Engine, name: string, manifest: string, signal: AbortSignal): Promise<DescribedManifest> {
  const [list, wanted] = [fullName(name), fullName(manifest)];
  const listed = readList(engine, list).find(({ reference }) => reference === wanted);
  if (listed === undefined) throw notInList(list, wanted, `"jettison manifest inspect ${name}" shows what is in it`);
  return await fetched(engine, listed, signal);
}

/** The manifests of a list here or of an index in its registry; of a name that stands for one manifest that one alone. Throws `registry/...`, `oci/...`. */
export async function describeManifests(
  engine: Engine,
  text: string,
  signal: AbortSignal,
): Promise<DescribedManifest | readonly DescribedManifest[]> {
  const listed = openManifestLists(engine.database).get(fullName(text));
  if (listed !== undefined) return await Promise.all(inDockersOrder(listed).map(async (one) => await fetched(engine, one, signal)));
  const reference = withDefaultTag(parseReference(text));
  const name = printReference(reference);
  const { descriptor, bytes, document } = await findDocument(engine, reference, signal);
  if (document.kind === 'manifest') {
    const platform = await platformOf(engine, reference, document.manifest, signal);
    return describedAs(name, { ...descriptor, ...(platform === undefined ? {} : { platform }) }, bytes);
  }
  const entries = document.index.manifests.map(async (entry) => {
    const { mediaType, digest, size, platform } = entry;
    const short = { mediaType, digest, size, ...(platform === undefined ? {} : { platform }) };
    const found = await findDocument(engine, reference, signal, entry);
    return describedAs(`${name}@${digest}`, short, found.bytes);
  });
  return await Promise.all(entries);
}

async function fetched(engine: Engine, { reference, descriptor }: ListedManifest, signal: AbortSignal): Promise<DescribedManifest> {
  const { bytes } = await findDocument(engine, parseReference(reference), signal, descriptor);
  return describedAs(reference, descriptor, bytes);
}

function describedAs(reference: string, descriptor: Descriptor, bytes: Uint8Array): DescribedManifest {
  return { reference, mediaType: descriptor.mediaType, descriptor: descriptorAsGo(descriptor), bytes };
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

function notInList(list: string, manifest: string, hint: string): JettisonError {
  return new JettisonError('engine/not-in-list', `manifest for image ${manifest} does not exist in ${list}`, { hint });
}

function readList(engine: Engine, list: string): readonly ListedManifest[] {
  const manifests = openManifestLists(engine.database).get(list);
  if (manifests !== undefined) return manifests;
  throw noSuchList(list);
}

export function hasList(engine: Engine, name: string): boolean {
  return openManifestLists(engine.database).get(fullName(name)) !== undefined;
}

/** `engine/no-such-list`. */
export function noSuchList(name: string): JettisonError {
  return new JettisonError('engine/no-such-list', `No such manifest: ${fullName(name)}`, {
    hint: 'Begin one: jettison manifest create LIST MANIFEST...',
  });
}

/** Docker's form unless a manifest is in OCI's. */
function documentOf(manifests: readonly ListedManifest[]): TypedDocument {
  const isDocker = manifests.every(({ descriptor }) => descriptor.mediaType === mediaTypes.dockerManifest);
  const entries = inDockersOrder(manifests).map(({ descriptor }) => descriptor);
  return indexAsManifestPush(entries, isDocker ? 'docker' : 'oci');
}

/** Docker keeps each manifest of a list in a file named after it, and has them in the order of these names. */
function inDockersOrder(manifests: readonly ListedManifest[]): readonly ListedManifest[] {
  return manifests.toSorted((one, other) => (fileName(one) < fileName(other) ? -1 : 1));
}

function fileName({ reference }: ListedManifest): string {
  return reference.replaceAll(':', '-').replaceAll('/', '_');
}

function fullName(text: string): string {
  return printReference(withDefaultTag(parseReference(text)));
}
