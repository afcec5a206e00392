/** What `inspect` shows of an image: the shape of the Docker Engine API's ImageInspect. */
import type { Json } from '#ground/base/canonical-json.ts';
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import { familiarName, familiarReference, parseReference } from '#formats/oci/reference.ts';
import type { ImageRecord, ImageStore } from './store.ts';

type Members = Readonly<Record<string, Json>>;

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

export function inspectImage(store: ImageStore, image: ImageRecord): Json {
  const config = decodeImageConfig(image.config, image.imageId);
  const newest = config.history?.at(-1);
  return {
    Id: image.imageId,
    RepoTags: image.names.map((name) => familiarReference(parseReference(name))),
    RepoDigests: repositoryDigests(store, image),
    Comment: newest?.comment ?? '',
    Created: config.created ?? '',
    Author: config.author ?? '',
    Config: { ...emptyConfig, ...plainMembers(config.config) },
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    ...(config['os.version'] === undefined ? {} : { OsVersion: config['os.version'] }),
    Size: image.layers.reduce((sum, layer) => sum + layer.size, 0),
    RootFS: { Type: 'layers', Layers: image.layers.map((layer) => layer.diffId) },
  };
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
