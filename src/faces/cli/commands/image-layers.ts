/** `image tree`, in the form that podman gives it. */
import { layersOfImage, type ImageLayers, type LayerNode } from '#engine/image-layers.ts';
import { formatSize } from '#ground/base/human.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { flag } from '../option.ts';
import { shortId } from '../output/stamp.ts';

export const imageTreeCommand = defineCommand({
  name: 'image tree',
  summary: 'Show the layers of an image',
  usage: '[OPTIONS] IMAGE',
  options: { above: flag('whatrequires', { help: 'Show what stands on the image: the layers of all images that begin with its own' }) },
  arguments: [1, 1],
  async run({ options, arguments: [name = ''] }, around) {
    await using engine = await engineFor(around);
    around.streams.stdout.write(formatLayers(layersOfImage(engine, name), options.above));
    return 0;
  },
});

type Item = { readonly text: string; readonly items: Item[] };

function formatLayers({ id, names, size, layers }: ImageLayers, above: boolean): string {
  return [
    `Image ID: ${shortId(id)}`,
    `Tags:     [${names.join(' ')}]`,
    `Size:     ${formatSize(size, 4)}`,
    layers.length === 0 ? 'No Image Layers' : 'Image Layers',
    ...drawTree(itemsOf(above ? layers.slice(-1) : layers, above)),
    '',
  ].join('\n');
}

/** What stands on one layer alone stands beside it, as podman has it: else every layer would be a step to the right. */
function itemsOf(layers: readonly LayerNode[], above: boolean): readonly Item[] {
  const items: Item[] = [];
  const grow = (layer: LayerNode, into: Item[], isAlone: boolean): void => {
    const item: Item = { text: describe(layer), items: [] };
    into.push(item);
    if (above) for (const next of layer.above) grow(next, isAlone ? into : item.items, layer.above.length === 1);
  };
  for (const layer of layers) grow(layer, items, true);
  return items;
}

function drawTree(items: readonly Item[], indent = ''): readonly string[] {
  return items.flatMap(({ text, items: inner }, index) => {
    const isLast = index === items.length - 1;
    return [`${indent}${isLast ? '└── ' : '├── '}${text}`, ...drawTree(inner, `${indent}${isLast ? '    ' : '│   '}`)];
  });
}

function describe({ chainId, size, topOf }: LayerNode): string {
  const top = topOf.length === 0 ? '' : ` Top Layer of: [${topOf.join(' ')}]`;
  return `ID: ${shortId(chainId)} Size: ${formatSize(size, 4).padStart(7)}${top}`;
}
