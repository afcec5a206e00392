/** `-v`, `--mount`, `--tmpfs`, `--volumes-from` of run and create, in the docker CLI's forms. */
import { resolve } from 'node:path';
import type { AskedMount, CreateRequest } from '#engine/container-requests.ts';
import { badValue, list, text, type ValuesOf } from '../option.ts';
import { readMount } from './mount-fields.ts';
import { checkLabels, checkPropagation, noDriver, readMode, tmpfsOptions } from './mount-modes.ts';

export const mountOptions = {
  mounts: list('mount', { value: 'mount', help: 'Mount "type=bind|volume|tmpfs|image,src=...,dst=...[,readonly]"' }),
  tmpfs: list('tmpfs', { value: 'tmpfs', help: 'Mount a tmpfs: "PATH[:OPTIONS]"' }),
  volumes: list('volume', { short: 'v', value: 'list', help: 'Bind a folder of the host, or mount a volume: "[SOURCE:]TARGET[:OPTIONS]"' }),
  volumeDriver: text('volume-driver', { help: 'Driver of the volumes: there is "local"' }),
  volumesFrom: list('volumes-from', { value: 'list', help: 'Mount the volumes of that container: "CONTAINER[:ro]"' }),
} as const;

type Given = ValuesOf<typeof mountOptions>;

/** Throws `cli/bad-value`, `cli/not-built`. */
export function readMounts(given: Given, currentFolder: string) {
  if (given.volumeDriver !== undefined && given.volumeDriver !== 'local') throw noDriver(given.volumeDriver);
  const tmpfs = given.tmpfs.map(readTmpfs);
  return {
    mounts: [
      ...given.volumes.map((word) => readVolume(word, currentFolder)),
      ...given.mounts.map((word) => readMount(word, currentFolder)),
      ...tmpfs.map(({ mount }) => mount),
    ],
    volumesFrom: given.volumesFrom.map(readVolumesFrom),
    kept: {
      binds: given.volumes.filter((word) => word.includes(':')).map((word) => absoluteBind(word, currentFolder)),
      tmpfs: Object.fromEntries(tmpfs.map(({ mount, options }) => [mount.target, options])),
      volumesFrom: [...given.volumesFrom],
    },
  };
}

function absoluteBind(word: string, currentFolder: string): string {
  const colon = word.indexOf(':');
  return word.startsWith('.') ? resolve(currentFolder, word.slice(0, colon)) + word.slice(colon) : word;
}

function readVolume(given: string, currentFolder: string): AskedMount {
  const refuse = (why: string): never => {
    throw badValue('volume', given, why);
  };
  const word = given.startsWith('.') && given.includes(':') ? absoluteBind(given, currentFolder) : given;
  const parts = word.split(':');
  if (parts.includes('') || word === '') refuse(word === '' ? 'invalid empty volume spec' : 'empty section between colons');
  if (parts.length > 3) refuse('too many colons');
  const [source, target, mode = ''] = parts.length === 1 ? [undefined, word] : parts;
  if (target === undefined) return refuse('it has no target');
  if (parts.length === 2 && readMode(target) !== undefined) refuse(`invalid volume specification: '${word}'`);
  const options = readMode(mode) ?? refuse(`invalid mode: ${mode}`);
  checkPropagation('volume', given, options.propagation);
  if (options.labels) checkLabels('volume', given);
  const { readOnly } = options;
  if (source?.startsWith('/') === true) {
    if (options.copies !== undefined) refuse(`invalid mode: ${mode} (it is for volumes)`);
    return { kind: 'bind', source, target, readOnly, mode, makesSource: true, isRecursive: true, isShallow: false };
  }
  return { kind: 'volume', name: source, target, readOnly, mode, fills: options.copies !== false, labels: {}, options: {} };
}

function readTmpfs(given: string): { readonly mount: Extract<AskedMount, { kind: 'tmpfs' }>; readonly options: string } {
  const colon = given.indexOf(':');
  const [target, options] = colon < 0 ? [given, ''] : [given.slice(0, colon), given.slice(colon + 1)];
  return { mount: { kind: 'tmpfs', target, ...tmpfsOptions('tmpfs', given, options) }, options };
}

function readVolumesFrom(given: string): CreateRequest['volumesFrom'][number] {
  const [container = '', mode = '', ...rest] = given.split(':');
  const options = readMode(mode);
  if (container === '') throw badValue('volumes-from', given, 'it names no container');
  if (options === undefined || rest.length > 0 || options.propagation !== undefined || options.copies !== undefined)
    throw badValue('volumes-from', given, `invalid mode: ${[mode, ...rest].join(':')}`);
  return { container, readOnly: options.readOnly };
}
