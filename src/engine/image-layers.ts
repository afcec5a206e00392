/** `jettison image tree`: the layers of an image, and what else is made of them. */
import { familiarReference, parseReference } from '#formats/oci/reference.ts';
import { chainIds, type ChainId } from '#formats/oci/layer-ids.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { Digest } from '#ground/base/digest.ts';
import { findImage } from './images.ts';
import type { Engine } from './open.ts';

/** A layer over those below it: the same in every image that begins with them. */
export type LayerNode = {
  /** Of the layer and all below it. */
  readonly chainId: ChainId;
  /** Bytes of its files. */
  readonly size: number;
  /** Names of images of which it is the topmost layer. */
  readonly topOf: readonly string[];
  /** Layers that other images have over it, the oldest image's first. */
  readonly above: readonly LayerNode[];
};

export type ImageLayers = {
  readonly id: Digest;
  readonly names: readonly string[];
  readonly size: number;
  /** Bottom first. */
  readonly layers: readonly LayerNode[];
};

/** Throws `image/not-found`. */
export function layersOfImage(engine: Engine, name: string): ImageLayers {
  const image = findImage(engine, name);
  const nodes = nodesOf(engine.images.list().toReversed());
  const layers = chainIds(image.layers.map(({ diffId }) => diffId)).flatMap((id) => nodes.get(id) ?? []);
  return { id: image.imageId, names: namesOf(image), size: image.layers.reduce((sum, { size }) => sum + size, 0), layers };
}

type Growing = LayerNode & { readonly topOf: string[]; readonly above: LayerNode[] };

function nodesOf(images: readonly ImageRecord[]): ReadonlyMap<ChainId, LayerNode> {
  const nodes = new Map<ChainId, Growing>();
  for (const image of images) {
    let below: Growing | undefined;
    for (const [index, chainId] of chainIds(image.layers.map(({ diffId }) => diffId)).entries()) {
      const known = nodes.get(chainId);
      const node: Growing = known ?? { chainId, size: image.layers[index]?.size ?? 0, topOf: [], above: [] };
      if (known === undefined) {
        nodes.set(chainId, node);
        below?.above.push(node);
      }
      below = node;
    }
    below?.topOf.push(...namesOf(image));
  }
  return nodes;
}

function namesOf({ names }: ImageRecord): readonly string[] {
  return names.map((name) => familiarReference(parseReference(name)));
}
