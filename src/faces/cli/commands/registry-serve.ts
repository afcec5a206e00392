import { keepRegistry } from '#engine/serve-registry.ts';
import { defineCommand } from '../command.ts';
import { parsed, text } from '../option.ts';
import { harmless } from '../output/text.ts';

export const serveRegistryCommand = defineCommand({
  name: 'registry serve',
  summary: 'Keep images on this machine, for pushes and pulls',
  usage: '[OPTIONS]',
  options: {
    dir: text('dir', { value: 'folder', help: 'Where the images are kept (default: "registry" in the store)' }),
    htpasswd: text('htpasswd', { value: 'file', help: 'Only for the users of this file, as "htpasswd -B" writes it' }),
    listen: parsed(
      'listen',
      { value: 'address', initial: '127.0.0.1:5000', help: 'IP address and port; port 0 is any that is free (default "127.0.0.1:5000")' },
      (value) => value,
    ),
    tlsCert: text('tls-cert', { value: 'file', help: 'Certificate (PEM): needed on addresses that others reach' }),
    tlsKey: text('tls-key', { value: 'file', help: 'Its key (PEM)' }),
  },
  arguments: [0, 0],
  async run({ options }, around, signal) {
    const { dir, ...rest } = options;
    const { stdout, stderr } = around.streams;
    const ready = ({ url, host, folder, notes }: Parameters<Parameters<typeof keepRegistry>[2]>[0]): void => {
      for (const note of notes) stderr.write(`WARNING: ${harmless(note, false)}\n`);
      stdout.write(`Listening on ${url}, keeping images in ${harmless(folder, false)}\n`);
      stdout.write(`Push with "jettison push ${host}/NAME:TAG"; Ctrl-C ends it\n`);
    };
    await keepRegistry({ ...rest, folder: dir }, around, ready, signal);
    return 0;
  },
});
