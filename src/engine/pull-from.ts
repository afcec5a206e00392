/** `pull` from a file or a folder. */
import { join } from 'node:path';
import { familiarReference, parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { Report } from '#formats/progress/event.ts';
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import type { ArchivedImage, ImageArchive } from '#stores/image/archived-image.ts';
import type { LoadedImage } from './image-requests.ts';
import { forPlatform, loadImage } from './load.ts';
import type { Engine } from './open.ts';
import { nativeOrAsked } from './platform.ts';
import type { LocalTransport } from './transports.ts';

export type LocalPull = { readonly from: LocalTransport; readonly platform: string | undefined };

/** Enters the image that was named, with the names that it has there; without a name, all of an archive. Throws `image/...`, `oci/...`. */
export async function pullFrom(
  engine: Engine,
  { from, platform }: LocalPull,
  report: Report,
  signal: AbortSignal,
): Promise<readonly LoadedImage[]> {
  using archive = await open(engine, { from, platform }, signal);
  const wanted = from.kind === 'docker-archive' ? choose(archive.images, from) : archive.images;
  const asked = nativeOrAsked(platform);
  const images = platform === undefined ? wanted : wanted.map((image) => forPlatform(image, asked));
  const loaded: LoadedImage[] = [];
  for (const image of images) loaded.push(await loadImage(engine, image, report, signal));
  return loaded;
}

async function open(engine: Engine, { from, platform }: LocalPull, signal: AbortSignal): Promise<ImageArchive> {
  const asked = nativeOrAsked(platform);
  const source = { kind: 'file', path: from.path } as const;
  const temporaryFolder = join(engine.content.folder, 'ingest');
  switch (from.kind) {
    case 'docker-archive':
    case 'oci-archive': {
      const { openImageArchive } = await import('#stores/image/read-archive.ts');
      const layout = from.kind === 'docker-archive' ? undefined : { tag: from.name };
      return await openImageArchive({ source, temporaryFolder, platform: asked, layout }, signal);
    }
    case 'oci': {
      const { readLayoutImage } = await import('#stores/image/layout.ts');
      const image = readLayoutImage({ path: from.path, tag: from.name, digest: undefined }, asked);
      return { images: [image], [Symbol.dispose]: () => undefined };
    }
    case 'dir': {
      const { readDirectory } = await import('#stores/image/directory.ts');
      return { images: readDirectory(from.path, asked), [Symbol.dispose]: () => undefined };
    }
    default:
      return unreachable(from, 'transport');
  }
}

/** Only the name that was asked for goes with the image. */
function choose(
  images: readonly ArchivedImage[],
  { path, name, index }: Extract<LocalTransport, { readonly kind: 'docker-archive' }>,
): readonly ArchivedImage[] {
  if (index !== undefined) return [images[index] ?? missing(path, `image ${index}`, images)];
  if (name === undefined) return images;
  const full = printReference(withDefaultTag(parseReference(name)));
  const found = images.find(({ names }) => names.includes(full)) ?? missing(path, `image "${name}"`, images);
  return [{ ...found, names: [full] }];
}

function missing(path: string, what: string, images: readonly ArchivedImage[]): never {
  const names = images.flatMap((image) => image.names).slice(0, 10);
  throw new JettisonError('engine/not-in-archive', `"${path}" has no ${what}`, {
    hint:
      names.length === 0 ? 'Its images have no names' : `It has: ${names.map((one) => familiarReference(parseReference(one))).join(', ')}`,
  });
}
