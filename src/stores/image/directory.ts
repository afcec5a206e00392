/**
 * Folders of skopeo's `dir:` transport (containers-transports(5)): `manifest.json`, the blobs by the hexadecimal part of their digests, manifests of an index as
 * `HEX.manifest.json`, and `version`.
 */
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf, hexOf } from '#ground/base/digest.ts';
import { makeFolders } from '#ground/base/make-folders.ts';
import { JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import { decodeImageDocument, manifestLimit } from '#formats/oci/manifest.ts';
import type { Platform } from '#formats/oci/platform.ts';
import { bytesPiece, ociArchive, type SavedImage, type SavedIndex } from './archive.ts';
import { readOciArchive } from './archive/oci.ts';
import type { ArchivedImage } from './archived-image.ts';
import { openFolder } from './layout.ts';
import type { TarIndex } from './tar-index.ts';
import { explainWriting, writePiece } from './write-layout.ts';

const versionText = 'Directory Transport Version: 1.1\n';
const ours = /^(?:version|manifest\.json|[0-9a-f]{64,128}(?:\.manifest\.json)?|signature-\d+)$/u;

/** The image, or the one for `platform` of several; no names are kept in such folders. Throws `image/cannot-read`, `image/bad-archive`, and the errors of the documents. */
export function readDirectory(path: string, platform: Platform): readonly ArchivedImage[] {
  return readOciArchive(asLayout(path), platform);
}

/** The folder with the names of files of an OCI layout: one kind of reader is enough. */
function asLayout(path: string): TarIndex {
  const folder = openFolder(path);
  const bytes = readManifest(path);
  const digest = digestOf(bytes);
  const { mediaType } = decodeImageDocument(bytes, [], path);
  const manifests = [{ mediaType, digest, size: bytes.length }];
  const index = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, manifests }));
  return {
    ...folder,
    find(name) {
      if (name === 'index.json') return { name, offset: 0, size: index.length };
      const hex = name.slice(name.lastIndexOf('/') + 1);
      return hex === hexOf(digest) ? folder.find('manifest.json') : (folder.find(hex) ?? folder.find(`${hex}.manifest.json`));
    },
    read: (file, limit) => (file.name === 'index.json' ? index : folder.read(file, limit)),
  };
}

function readManifest(path: string): Uint8Array {
  try {
    const file = join(path, 'manifest.json');
    const { size } = statSync(file);
    if (size > manifestLimit) throw new Error(`its manifest.json has ${size} bytes`);
    return readFileSync(file);
  } catch (error) {
    const why = systemCode(error) === 'ENOENT' ? 'it has no manifest.json' : messageOf(error);
    throw new JettisonError('image/cannot-read', `Cannot read the folder "${path}": ${why}`, { cause: error });
  }
}

/**
 * An image is written into a new or empty folder, or takes the place of the one in such a folder: the manifest goes first and comes last. Throws `image/bad-directory`
 * for a folder that holds something else, `image/no-space`, `image/cannot-write`.
 */
export async function writeDirectory(saved: SavedImage | SavedIndex, folder: string, signal: AbortSignal): Promise<void> {
  const top = 'kind' in saved ? saved.index : saved.manifest;
  const document = decodeImageDocument(top.bytes, [], folder);
  const inner = new Set(document.kind === 'index' ? document.index.manifests.map(({ digest }) => hexOf(digest)) : []);
  try {
    clear(folder);
    for (const piece of ociArchive([saved])) {
      const hex = piece.name.startsWith('blobs/') ? piece.name.slice(piece.name.lastIndexOf('/') + 1) : undefined;
      if (hex === undefined || hex === hexOf(top.digest)) continue;
      await writePiece(join(folder, inner.has(hex) ? `${hex}.manifest.json` : hex), piece, signal);
    }
    await writePiece(join(folder, 'version'), bytesPiece('version', new TextEncoder().encode(versionText)), signal);
    await writePiece(join(folder, 'manifest.json'), bytesPiece('manifest.json', top.bytes), signal);
  } catch (error) {
    throw explainWriting(error, folder);
  }
}

function clear(folder: string): void {
  makeFolders(folder);
  const names = readdirSync(folder);
  const other = names.find((name) => !ours.test(name));
  if (other !== undefined || (names.length > 0 && !names.includes('version'))) {
    throw new JettisonError('image/bad-directory', `"${folder}" holds something else than an image: "${other ?? names[0] ?? ''}"`, {
      hint: 'Name another folder, or empty this one',
    });
  }
  rmSync(join(folder, 'manifest.json'), { force: true });
  for (const name of names) rmSync(join(folder, name), { force: true });
}
