/** `jettison push` */
import { nameOf, parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { Report } from '#formats/progress/event.ts';
import { checkConfig } from '#stores/image/store.ts';
import { findImage } from './images.ts';
import { makeManifest } from './make-manifest.ts';
import type { Engine } from './open.ts';
import type { PushedImage, PushRequest } from './image-requests.ts';

/** Uploads what the registry lacks, then the manifest. Throws `image/not-found`, `registry/...`; nothing is tagged there then. */
export async function push(engine: Engine, request: PushRequest, report: Report, signal: AbortSignal): Promise<PushedImage> {
  const reference = withDefaultTag(parseReference(request.reference));
  engine.hold();
  using _ = engine.waits.toldTo(report);
  const record = findImage(engine, printReference(reference));
  checkConfig(record);
  const known = engine.images.manifestsOf(record.imageId);
  const mountFrom = known
    .map((one) => parseReference(one.repository))
    .flatMap((one) => (one.registry === reference.registry ? [one.repository] : []));
  const form = { format: request.compression ?? 'gzip', ...(request.level === undefined ? {} : { level: request.level }) };
  const { pushLayers } = await import('./push-layers.ts');
  const layers = await pushLayers(engine, { record, form, reference, mountFrom }, report, signal);
  await engine.content.put(record.config, signal);
  const { manifest } = makeManifest({ record, form: engine.images.formOf(record.imageId), layers });
  const { pushImage } = await import('#stores/transfer/push.ts');
  await pushImage(
    {
      reference,
      client: await engine.registry(),
      manifest: { bytes: manifest.bytes, mediaType: manifest.mediaType },
      openBlob: (digest, offset, own) => engine.content.openStream(digest, offset, own),
      mountFrom,
      present: new Set(layers.map((layer) => layer.digest)),
    },
    report,
    signal,
  );
  engine.images.noteManifest(record.imageId, {
    repository: nameOf(reference),
    digest: manifest.digest,
    manifest: manifest.digest,
    mediaType: manifest.mediaType,
    bytes: manifest.bytes,
  });
  return { digest: manifest.digest, size: manifest.bytes.length };
}
