/** `image mount` and `unmount`, in the form that podman gives them. */
import { listMounts, mountImage, unmountAll, unmountImage, type ImageMount } from '#engine/image-mounts.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { choice, flag } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { openTransferScreen } from '../output/transfers.ts';
import { forEachName } from './for-each-name.ts';

export const mountImageCommand = defineCommand({
  name: 'image mount',
  summary: 'Mount images for root, read-only, and print where; or list what is mounted',
  usage: '[OPTIONS] [IMAGE...]',
  options: { format: choice('format', { words: ['json'], initial: undefined, help: 'Print JSON: "json"' }) },
  notBuilt: 'a=all',
  arguments: [0, Infinity],
  async run({ options, arguments: names }, around, signal) {
    await using engine = await engineFor(around);
    const mounts: ImageMount[] = names.length === 0 ? [...listMounts(engine)] : [];
    const code = await (async () => {
      using screen = openTransferScreen(around.streams.stderr, around);
      return await forEachName(
        names,
        around.streams,
        async (name) => void mounts.push(await mountImage(engine, name, screen.report, signal)),
      );
    })();
    const [only] = mounts;
    if (options.format === 'json') around.streams.stdout.write(`${goJson(mounts.map(documentOf))}\n`);
    else if (names.length === 1 && only !== undefined) around.streams.stdout.write(`${only.path}\n`);
    else around.streams.stdout.write(mounts.map(({ id, names: [name = id], path }) => `${name}\t${path}\n`).join(''));
    return code;
  },
});

function documentOf({ id, names, path }: ImageMount) {
  return { id: id.slice('sha256:'.length), Repositories: [...names], mountpoint: path };
}

export const unmountImageCommand = defineCommand({
  name: 'image unmount',
  summary: 'Take mounts of images away, and print the ids of the images',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  options: {
    all: flag('all', { short: 'a', help: 'Take all of them away' }),
    force: flag('force', { short: 'f', help: 'Take it away, however often it was mounted' }),
  },
  arguments: [0, Infinity],
  async run({ options, arguments: names }, around) {
    if (options.all === names.length > 0)
      throw new JettisonError('cli/usage', options.all ? 'No image goes with "--all"' : 'Name an image, or say "--all"');
    await using engine = await engineFor(around);
    const print = ({ id }: ImageMount): void => void around.streams.stdout.write(`${id.slice('sha256:'.length)}\n`);
    if (options.all) unmountAll(engine).forEach(print);
    return await forEachName(names, around.streams, async (name) => {
      print(await Promise.resolve(unmountImage(engine, name, options.force)));
    });
  },
});
