/** What `inspect` shows of an image: the shape of the Docker Engine API's ImageInspect. */
import { unreachable } from '#ground/base/errors.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { decodeImageConfig, type ImageConfig } from '#formats/oci/image-config.ts';
import { attestedBy } from '#formats/oci/image-index.ts';
import { familiarName, familiarReference, parseReference } from '#formats/oci/reference.ts';
import type { IndexMember, IndexRecord } from './indexes.ts';
import type { ImageRecord, ImageStore } from './store.ts';

export type Members = Readonly<Record<string, Json>>;

/** Members of Config that are always there, so that templates may name them. */
const emptyConfig: Members = {
  User: '',
  ExposedPorts: null,
  Env: null,
  Cmd: null,
  Healthcheck: null,
  Volumes: null,
  WorkingDir: '',
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
  StopSignal: '',
  Shell: null,
};

/** The names of what has names of its own in order, as Go writes maps. */
function inspectConfig(config: ImageConfig['config']): Members {
  const members: Members = { ...emptyConfig, ...plainMembers(config) };
  const sorted = ['Labels', 'ExposedPorts', 'Volumes'].map((name) => [name, inOrder(members[name] ?? null)] as const);
  return { ...members, ...Object.fromEntries(sorted) };
}

function inOrder(map: Json): Json {
  if (map === null || typeof map !== 'object' || Array.isArray(map)) return map;
  return Object.fromEntries(Object.entries(map).toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

export function inspectImage(store: ImageStore, image: ImageRecord): Members {
  const config = decodeImageConfig(image.config, image.imageId);
  const newest = config.history?.at(-1);
  return {
    Id: image.imageId,
    RepoTags: image.names.map((name) => familiarReference(parseReference(name))),
    RepoDigests: repositoryDigests(store, image),
    Parent: '',
    Comment: newest?.comment ?? '',
    Created: config.created ?? '',
    DockerVersion: '',
    Author: config.author ?? '',
    Config: inspectConfig(config.config),
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    ...(config['os.version'] === undefined ? {} : { OsVersion: config['os.version'] }),
    Size: image.layers.reduce((sum, layer) => sum + layer.size, 0),
    GraphDriver: { Data: null, Name: 'overlay' },
    RootFS: { Type: 'layers', Layers: image.layers.map((layer) => layer.diffId) },
    // When it last came here: names keep no times of their own.
    Metadata: { LastTagTime: new Date(image.stored).toISOString() },
    ...manifestMember(store, image),
  };
}

/**
 * What an index holds, in the shape of the API's ManifestSummary. `ID` of an image that was built here is the image's, as it has no manifest before it is written
 * somewhere.
 */
export function inspectIndex(index: IndexRecord): Members {
  const { document, indexId } = index;
  const descriptor = document && { mediaType: document.mediaType, digest: indexId, size: document.bytes.length };
  return { ...(descriptor === undefined ? {} : { Descriptor: descriptor }), Manifests: index.members.map(inspectMember) };
}

function inspectMember(member: IndexMember): Json {
  switch (member.kind) {
    case 'image':
      return {
        ID: member.descriptor?.digest ?? member.imageId,
        Descriptor: plainMembers(member.descriptor ?? undefined),
        Available: true,
        Kind: 'image',
        ImageData: { Platform: plainMembers(member.platform), Image: member.imageId },
      };
    case 'attestation':
      return {
        ID: member.descriptor.digest,
        Descriptor: plainMembers(member.descriptor),
        Available: true,
        Kind: 'attestation',
        AttestationData: { For: attestedBy(member.descriptor) ?? '' },
      };
    case 'predicates':
      return {
        ID: '',
        Descriptor: {},
        Available: true,
        Kind: 'attestation',
        AttestationData: { For: member.imageId, Predicates: member.predicates.map(({ predicateType }) => predicateType) },
      };
    default:
      return unreachable(member, 'member');
  }
}

/** What a registry has for it, if it came from there or went there. */
function manifestMember(store: ImageStore, image: ImageRecord): Members {
  const [known] = store.manifestsOf(image.imageId);
  if (known === undefined) return {};
  return { Descriptor: { mediaType: known.mediaType, digest: known.manifest, size: known.bytes.length } };
}

/** `busybox@sha256:...`, each once. */
export function repositoryDigests(store: ImageStore, image: ImageRecord): readonly string[] {
  const names = store.manifestsOf(image.imageId).map((known) => `${familiarName(parseReference(known.repository))}@${known.digest}`);
  return [...new Set(names)];
}

/** A decoded document as the JSON it was. */
function plainMembers(document: object | undefined): Members {
  return JSON.parse(JSON.stringify(document ?? {}));
}
