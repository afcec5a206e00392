/** Images that are made of others: the same config over other layers. */
import * as v from 'valibot';
import type { ImageRecord } from '#stores/image/store.ts';

const configSchema = v.looseObject({ rootfs: v.looseObject({ diff_ids: v.array(v.string()) }) });

/** `layers`: one for each of the image's, bottom first. */
export function withLayers(image: Pick<ImageRecord, 'config'>, layers: ImageRecord['layers']): Pick<ImageRecord, 'config' | 'layers'> {
  const document = v.parse(configSchema, JSON.parse(new TextDecoder().decode(image.config)));
  const config = { ...document, rootfs: { ...document.rootfs, diff_ids: layers.map(({ diffId }) => diffId) } };
  return { config: new TextEncoder().encode(JSON.stringify(config)), layers };
}
