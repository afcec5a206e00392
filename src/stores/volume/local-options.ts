/** Options of Docker's local driver for volumes, as far as they can be had without mounting anything for others to see. */
import { JettisonError } from '#ground/base/errors.ts';

export type LocalVolume =
  /** A folder of the store. */
  | { readonly kind: 'folder' }
  /** A folder of the host. */
  | { readonly kind: 'bind'; readonly source: string; readonly readOnly: boolean }
  /** Memory: each container has its own. `options`: those of the file system, as one text. */
  | { readonly kind: 'tmpfs'; readonly options: string };

const known = ['type', 'device', 'o'];

/** Throws `volume/bad-options` in Docker's words, `volume/not-supported`. */
export function readLocalOptions(name: string, options: Readonly<Record<string, string>>): LocalVolume {
  const refuse = (why: string): never => {
    throw new JettisonError('volume/bad-options', `create ${name}: ${why}`);
  };
  const stranger = Object.keys(options).find((key) => !known.includes(key));
  if (stranger !== undefined) refuse(`invalid option: "${stranger}"`);
  if (Object.keys(options).length === 0) return { kind: 'folder' };
  const { type = '', device = '', o = '' } = options;
  const words = o.split(',').filter((word) => word !== '');
  if (device === '') refuse('missing required option: "device"');
  if (type === 'tmpfs') return { kind: 'tmpfs', options: o };
  const flags = words.filter((word) => !['bind', 'rbind', 'rw', 'ro'].includes(word));
  const isBind = (type === '' || type === 'none' || type === 'bind') && words.some((word) => word === 'bind' || word === 'rbind');
  if (isBind && flags.length === 0) {
    if (!device.startsWith('/')) refuse(`the device of a bind is an absolute path, and not "${device}"`);
    return { kind: 'bind', source: device, readOnly: words.includes('ro') };
  }
  throw new JettisonError('volume/not-supported', `create ${name}: volumes of type "${type}" with the options "${o}" are not supported`, {
    hint: 'There is type=tmpfs, and type=none with o=bind. Mount other file systems on the host, and name their folder',
  });
}
