/** The `manifest.json` of docker archives: Docker's image spec v1.2, "Combined Image JSON + Filesystem Changeset Format", and Docker 25's form of it. */
import * as v from 'valibot';
import { checkShape, parseJson } from '#ground/base/decode.ts';
import { digestOf, hexOf } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { configLimit, decodeImageConfig, diffIdsOf } from '#formats/oci/image-config.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { ArchivedImage, ArchivedLayer } from '../archived-image.ts';
import { badArchive, type TarFile, type TarIndex } from '../tar-index.ts';

const manifestLimit = 4 * 1024 * 1024;
const mostImages = 1000;

const name = v.pipe(v.string(), v.nonEmpty(), v.maxLength(4096));
const manifestSchema = v.pipe(
  v.array(
    v.looseObject({
      Config: name,
      RepoTags: v.optional(v.nullable(v.array(name))),
      Layers: v.optional(v.nullable(v.pipe(v.array(name), v.maxLength(1000)))),
    }),
  ),
  v.maxLength(mostImages),
);

export function readDockerArchive(index: TarIndex, manifest: TarFile): readonly ArchivedImage[] {
  const document = { what: 'manifest.json of the image archive', code: 'image/bad-archive', limit: manifestLimit };
  const entries = checkShape(parseJson(index.read(manifest, manifestLimit), document), manifestSchema, document);
  if (entries.length === 0) throw badArchive('its manifest.json names no image');
  return entries.map((entry) => {
    const config = readConfig(index, entry.Config);
    const diffIds = diffIdsOf(decodeImageConfig(config, entry.Config));
    const files = entry.Layers ?? [];
    if (files.length !== diffIds.length)
      throw badArchive(`"${entry.Config}" has ${diffIds.length} layers, manifest.json names ${files.length}`);
    return {
      names: (entry.RepoTags ?? []).map(readName),
      config,
      layers: files.map((path, at) => readLayer(index, path, diffIds[at] ?? digestOf(''))),
      manifest: undefined,
    };
  });
}

function readName(tag: string): string {
  try {
    const reference = withDefaultTag(parseReference(tag));
    // It would stand before the image that has this id.
    if (/^(?:library\/)?sha(?:256|512)$/u.test(reference.repository)) throw badArchive(`"${tag.slice(0, 100)}" is an id, not a name`);
    return printReference(reference);
  } catch (error) {
    if (!(error instanceof JettisonError)) throw error;
    throw error.with({ hint: 'The manifest.json of the archive names its image so: have it made again with another name' });
  }
}

/** A config named after its digest must have it. */
function readConfig(index: TarIndex, path: string): Uint8Array {
  const bytes = index.read(fileOf(index, path), configLimit);
  const hex = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/u.exec(path)?.[1];
  if (hex !== undefined && hexOf(digestOf(bytes)) !== hex) throw badArchive(`"${path}" does not have the digest that it is named after`);
  return bytes;
}

/** Layers are plain or packed tars; the first bytes say. */
function readLayer(index: TarIndex, path: string, diffId: ArchivedLayer['diffId']): ArchivedLayer {
  const file = fileOf(index, path);
  const mediaType = layerType(index.read({ ...file, size: Math.min(4, file.size) }, 4));
  return {
    diffId,
    digest: mediaType === mediaTypes.layer ? diffId : undefined,
    mediaType,
    size: file.size,
    chunks: () => index.chunks(file),
  };
}

function layerType(start: Uint8Array): string {
  const begins = (...bytes: readonly number[]): boolean => bytes.every((byte, at) => start[at] === byte);
  if (begins(0x1f, 0x8b)) return mediaTypes.layerGzip;
  return begins(0x28, 0xb5, 0x2f, 0xfd) ? mediaTypes.layerZstd : mediaTypes.layer;
}

function fileOf(index: TarIndex, path: string): TarFile {
  const file = index.find(path);
  if (file) return file;
  const why = `manifest.json names "${path}", which is not in the archive`;
  // Docker with containerd's image store names what its store lacks: layers and configuration of an image that was pulled while their files lay unpacked already.
  if (index.find('oci-layout') === undefined) throw badArchive(why);
  throw badArchive(why, {
    hint: 'If "docker save" made it: the engine does not have the image whole. Remove it there, prune, pull it anew, and save it',
  });
}
