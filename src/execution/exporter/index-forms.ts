/**
 * Indexes byte for byte as the tools of docker write them, so that the same images have the same digest whoever put them together: members in the order of
 * Go's structs (OCI image-spec, specs-go/v1; distribution, manifest/manifestlist), annotations sorted, nothing that is empty. What those do not know comes last.
 */
import type { Json } from '#ground/base/canonical-json.ts';
import { fromText } from '#ground/base/byte-string.ts';
import { digestOf } from '#ground/base/digest.ts';
import { goJson } from '#ground/base/go-json.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import type { ManifestForm } from '#stores/image/store.ts';
import type { TypedDocument } from './assemble-index.ts';

/** As `docker buildx imagetools create` writes it (buildx, util/imagetools/create.go). */
export function indexAsImagetools(manifests: readonly Descriptor[], form: ManifestForm): TypedDocument {
  return written(manifests, { ...form, first: ['mediaType', 'digest', 'size'], indent: 2 });
}

/** As `docker manifest push` writes it (docker/cli, cli/command/manifest/push.go): the size stands before the digest. */
export function indexAsManifestPush(manifests: readonly Descriptor[], format: ManifestForm['format']): TypedDocument {
  return written(manifests, { format, annotations: {}, first: ['mediaType', 'size', 'digest'], indent: 3 });
}

const furtherMembers = ['urls', 'annotations', 'data', 'platform', 'artifactType'];
const platformMembers = ['architecture', 'os', 'os.version', 'os.features', 'variant'];

type Writing = ManifestForm & { readonly first: readonly string[]; readonly indent: number };
type Members = Readonly<Record<string, Json | undefined>>;

function written(manifests: readonly Descriptor[], { format, annotations, first, indent }: Writing): TypedDocument {
  const mediaType = format === 'docker' ? mediaTypes.dockerManifestList : mediaTypes.index;
  const entries = manifests.map((one) => entryOf(one, first));
  const text = goJson({ schemaVersion: 2, mediaType, manifests: entries, annotations: sorted(annotations) }, indent);
  const bytes = new TextEncoder().encode(text);
  return { mediaType, bytes, digest: digestOf(bytes) };
}

/** A descriptor as Go's struct has it. */
export function descriptorAsGo(descriptor: Descriptor): Json {
  return entryOf(descriptor, ['mediaType', 'digest', 'size']);
}

function entryOf(descriptor: Descriptor, first: readonly string[]): Json {
  const platform = descriptor.platform && ordered(descriptor.platform, platformMembers);
  return ordered({ ...descriptor, annotations: sorted(descriptor.annotations), platform }, [...first, ...furtherMembers]);
}

/** `names` first, then what else there is. */
function ordered(members: Members, names: readonly string[]): Members {
  const all = new Set([...names, ...Object.keys(members)]);
  return Object.fromEntries([...all].flatMap((name) => (isEmpty(members[name]) ? [] : [[name, members[name]]])));
}

function isEmpty(value: Json | undefined): boolean {
  return value === undefined || value === '' || (Array.isArray(value) && value.length === 0);
}

/** Keys by their bytes; undefined for none. */
function sorted(annotations: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> | undefined {
  const entries = Object.entries(annotations);
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.toSorted(([one], [other]) => (fromText(one) < fromText(other) ? -1 : 1)));
}
