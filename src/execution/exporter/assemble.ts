/** Puts the documents of an image together: config and manifest from what the frontend drafted and the layers that exist. */
import type { HistoryEntry, ImageConfig } from '#formats/oci/image-config.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import type { ManifestForm } from '#stores/image/store.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';

/** A layer as an image config names it. */
export type AssembledLayer = {
  readonly diffId: Digest;
  /** When it was made, milliseconds since the epoch; undefined for a base image's layer, whose history already says. */
  readonly createdAt: number | undefined;
};

/** A time in milliseconds since the epoch, and how many entries of history are the base image's. */
export type Epoch = { readonly time: number; readonly inherited: number };

export type Document = { readonly bytes: Uint8Array; readonly digest: Digest };

const dockerTypes: ReadonlyMap<string, string> = new Map([
  [mediaTypes.layer, mediaTypes.dockerLayer],
  [mediaTypes.layerGzip, mediaTypes.dockerLayerGzip],
]);

/**
 * The image config (OCI image spec, config.md) with DiffIDs, history times and `created` filled in. The same draft and layers give the same bytes:
 * times are those of the layers, never of the clock, so a build in which nothing ran gives the image ID of the build before.
 * With an `epoch` all that is not the base image's says that time instead.
 */
export function assembleConfig(
  draft: ImageConfig,
  layers: readonly AssembledLayer[],
  epoch?: Epoch,
): Document & { readonly config: ImageConfig } {
  const history = draft.history ?? [];
  const promised = history.filter((entry) => entry.empty_layer !== true).length;
  if (history.length > 0 && promised > layers.length) {
    throw new JettisonError('exporter/history-mismatch', `The image's history names ${promised} layers, ${layers.length} exist`, {
      fault: 'bug',
    });
  }
  const own = dateHistory(history, layers);
  const fixed = epoch && new Date(epoch.time).toISOString().replace('.000Z', 'Z');
  const dated =
    epoch === undefined || fixed === undefined
      ? own
      : own.map((entry, at) => (at < epoch.inherited ? entry : { ...entry, created: fixed }));
  const created = fixed ?? dated.findLast((entry) => entry.created !== undefined)?.created;
  const config: ImageConfig = {
    ...draft,
    ...(created === undefined ? {} : { created }),
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.diffId) },
    history: dated,
  };
  return { config, ...documentOf(config) };
}

/** A manifest over blobs that exist, `layers` in OCI's types. Docker's form (schema 2) has neither annotations nor zstd: throws `exporter/not-in-docker-form`. */
export function assembleManifest(
  config: Document,
  layers: readonly Descriptor[],
  form: ManifestForm,
): Document & { readonly mediaType: string } {
  const isDocker = form.format === 'docker';
  const mediaType = isDocker ? mediaTypes.dockerManifest : mediaTypes.manifest;
  const hasAnnotations = Object.keys(form.annotations).length > 0;
  if (isDocker && hasAnnotations) throw notInDockerForm('annotations', 'Build it with "--format oci"');
  if (isDocker && layers.some((layer) => layer.annotations !== undefined))
    throw notInDockerForm('eStargz layers, whose table of contents an annotation vouches for', 'Use gzip, or build it with "--format oci"');
  const document = documentOf({
    schemaVersion: 2,
    mediaType,
    config: { mediaType: isDocker ? mediaTypes.dockerConfig : mediaTypes.config, digest: config.digest, size: config.bytes.length },
    layers: isDocker ? layers.map((layer) => ({ ...layer, mediaType: dockerTypeOf(layer) })) : layers,
    ...(hasAnnotations ? { annotations: form.annotations } : {}),
  });
  return { ...document, mediaType };
}

function dockerTypeOf({ mediaType }: Descriptor): string {
  const type = dockerTypes.get(mediaType);
  if (type !== undefined) return type;
  throw notInDockerForm(`layers of type "${mediaType}"`, 'Use gzip, or build it with "--format oci"');
}

function notInDockerForm(what: string, hint: string): JettisonError {
  return new JettisonError('exporter/not-in-docker-form', `A manifest in Docker's form has no place for ${what}`, { hint });
}

/** A value as JSON, with its digest. */
export function documentOf(value: object): Document {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return { bytes, digest: digestOf(bytes) };
}

/**
 * History entries that made a layer take the layer's time. The others take the time of the layer before them; those before the first new
 * layer take that layer's time, so that a line of metadata never looks as old as its base image when something new follows.
 */
function dateHistory(history: readonly HistoryEntry[], layers: readonly AssembledLayer[]): readonly HistoryEntry[] {
  let index = layers.length - history.filter((entry) => entry.empty_layer !== true).length;
  const withLayers = history.map((entry) => {
    if (entry.empty_layer === true) return entry;
    const at = layers[index++]?.createdAt;
    return at === undefined || entry.created !== undefined ? entry : { ...entry, created: new Date(at).toISOString() };
  });
  const firstOpen = withLayers.findIndex((entry) => entry.created === undefined);
  const firstNew = firstOpen < 0 ? undefined : withLayers.slice(firstOpen).find((entry) => entry.created !== undefined);
  let last = firstNew?.created ?? withLayers.findLast((entry) => entry.created !== undefined)?.created;
  return withLayers.map((entry, at) => {
    if (entry.created !== undefined) {
      if (at > firstOpen) last = entry.created;
      return entry;
    }
    return last === undefined ? entry : { ...entry, created: last };
  });
}
