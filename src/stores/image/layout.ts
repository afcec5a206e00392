/** Images in a folder that is an OCI image layout (OCI image spec, image-layout.md). */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Platform } from '#formats/oci/platform.ts';
import { JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import { fileChunks } from './archive.ts';
import { entryOf, readOciArchive } from './archive/oci.ts';
import type { ArchivedImage } from './archived-image.ts';
import { badArchive, type TarFile, type TarIndex } from './tar-index.ts';

export type LayoutImage = {
  /** Absolute path of the folder. */
  readonly path: string;
  /** Value of `org.opencontainers.image.ref.name`, or the tag at the end of a full name. */
  readonly tag: string | undefined;
  /** Digest of an entry of `index.json`. */
  readonly digest: string | undefined;
};

/**
 * The image that tag or digest names; with neither `latest`, else the only one. Its layers are read when they are asked for.
 * Throws `image/cannot-read`, `image/not-found`, `image/bad-archive`, and the errors of the documents.
 */
export function readLayoutImage(wanted: LayoutImage, platform: Platform): ArchivedImage {
  const { path, tag, digest } = wanted;
  const byTag = entryOf(tag);
  const folder = openFolder(path);
  if (folder.find('index.json') === undefined) {
    throw new JettisonError('image/cannot-read', `Cannot read the OCI layout "${path}": it has no index.json`, {
      hint: 'Name the folder that has "index.json", "oci-layout" and "blobs"',
    });
  }
  const entries = readOciArchive(folder, platform, (entry, all) => (digest === undefined ? byTag(entry, all) : entry.digest === digest));
  const [image, ...more] = entries;
  if (image !== undefined && more.length === 0) return image;
  const what = digest ?? `tag "${tag ?? 'latest'}"`;
  throw new JettisonError(
    'image/not-found',
    `The OCI layout "${path}" has ${image === undefined ? 'no' : 'more than one'} image for ${what}`,
    {
      hint: 'Name one: oci-layout://PATH:TAG or oci-layout://PATH@DIGEST',
    },
  );
}

/** The files of a folder by their names in it. Blobs are checked by whoever reads them. */
export function openFolder(path: string): TarIndex {
  return {
    find: (name) => describe(path, name),
    chunks: (file) => fileChunks(join(path, file.name)),
    read: (file, limit) => {
      if (file.size > limit) throw badArchive(`"${file.name}" has ${file.size} bytes; ${limit} are accepted`);
      return readFileSync(join(path, file.name));
    },
    [Symbol.dispose]: () => undefined,
  };
}

/** undefined when there is none. */
function describe(path: string, name: string): TarFile | undefined {
  let file: number | undefined;
  try {
    file = openSync(join(path, name), constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = fstatSync(file);
    return stats.isFile() ? { name, offset: 0, size: stats.size } : undefined;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') return undefined;
    throw new JettisonError('image/cannot-read', `Cannot read the OCI layout "${path}": ${messageOf(error)}`, { cause: error });
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
