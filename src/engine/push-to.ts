/** `push` to a place that is not the one in the image's name: a registry, a file, a folder. */
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { Report } from '#formats/progress/event.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { NewIndex } from '#stores/image/indexes.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { findForPlatform, findImage } from './images.ts';
import type { PushedImage, PushRequest } from './image-requests.ts';
import { estargzAsIs, type BlobForm } from './layer-blobs.ts';
import { askedForm, pushAs } from './push.ts';
import type { Engine } from './open.ts';
import { writeImages, type ArchiveRequest } from './save.ts';
import type { LocalTransport, Transport } from './transports.ts';

/** `request.reference`: the image, by any name or id. Throws `image/not-found`, `registry/...`; a file or folder is complete or as it was. */
export async function pushTo(
  engine: Engine,
  { to, request }: { readonly to: Transport; readonly request: PushRequest },
  report: Report,
  signal: AbortSignal,
): Promise<PushedImage> {
  const { reference: name, platform } = request;
  const main = platform === undefined ? findImage(engine, name) : findForPlatform(engine, name, platform);
  const index = platform === undefined ? engine.indexes.find(name) : undefined;
  const form = askedForm(request);
  engine.hold();
  if (to.kind === 'docker')
    return await pushAs(
      engine,
      { main, index, reference: withDefaultTag(parseReference(to.reference)), form, origins: request.origins },
      report,
      signal,
    );
  const write = async (record: ImageRecord, beside: NewIndex | undefined, layers?: BlobForm): Promise<PushedImage> => {
    const image = { record, index: beside, ...namedIn(to) };
    return only(
      await writeImages(engine, { images: [image], ...placeOf(to), ...(layers === undefined ? {} : { layers }) }, report, signal),
    );
  };
  if (!form.isAsked) return await write(main, index);
  if (form.format !== 'estargz') return await write(main, index, { ...form, isForced: true });
  const { withEstargz } = await import('./estargz-images.ts');
  const images = { main, index, form: { ...form, isForced: true } };
  return await withEstargz(engine, images, async (made) => await write(made.main, made.index, estargzAsIs), { report, signal });
}

/** An archive of docker has names of images; a layout has any word. */
function namedIn(to: LocalTransport): Pick<ArchiveRequest['images'][number], 'names' | 'annotations'> {
  if (to.kind === 'dir' || to.name === undefined) return { names: [] };
  if (to.kind === 'docker-archive') return { names: [printReference(withDefaultTag(parseReference(to.name)))] };
  return { names: [], annotations: { 'org.opencontainers.image.ref.name': to.name } };
}

function placeOf(to: LocalTransport): Pick<ArchiveRequest, 'format' | 'destination'> {
  const { kind, path } = to;
  if (kind === 'docker-archive' && to.index !== undefined)
    throw new JettisonError('engine/bad-transport', 'A number names an image in an archive that is read, not one that is written');
  if (kind === 'docker-archive') return { format: 'docker', destination: { kind: 'file', path } };
  if (kind === 'oci-archive') return { format: 'oci', destination: { kind: 'file', path } };
  return { format: 'oci', destination: { kind: kind === 'oci' ? 'folder' : 'directory', path } };
}

function only([descriptor]: readonly Descriptor[]): PushedImage {
  if (descriptor === undefined) throw new JettisonError('engine/nothing-written', 'Nothing was written', { fault: 'bug' });
  return { digest: descriptor.digest, size: descriptor.size };
}
