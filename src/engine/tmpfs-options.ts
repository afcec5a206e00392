/** Options of a tmpfs, as `--tmpfs` and volumes have them: mount(8), tmpfs(5). Only what is known goes through: no text of the user reaches mount(2) as it is. */
import { JettisonError } from '#ground/base/errors.ts';
import type { SpecMount } from '#execution/container/settings.ts';

export type TmpfsOptions = Omit<Extract<SpecMount, { kind: 'tmpfs' }>, 'kind' | 'target'>;

const initial: TmpfsOptions = { readOnly: false, size: null, permissions: 0o1777, noExecute: true, allowsSetuid: false, more: [] };

/** Between commas; Docker's defaults are noexec, nosuid and nodev. Throws `engine/bad-tmpfs-option`. */
export function readTmpfsOptions(text: string): TmpfsOptions {
  return text
    .split(',')
    .filter((word) => word !== '')
    .reduce((options, word) => ({ ...options, ...readOption(word, options) }), initial);
}

/** What changes nothing here. */
const asItIs = new Set(['nodev', 'private', 'rprivate', 'async', 'atime', 'relatime', 'strictatime', 'diratime', 'defaults']);

function readOption(word: string, { more }: TmpfsOptions): Partial<TmpfsOptions> {
  if (asItIs.has(word)) return {};
  switch (word) {
    case 'ro':
    case 'rw':
      return { readOnly: word === 'ro' };
    case 'exec':
    case 'noexec':
      return { noExecute: word === 'noexec' };
    case 'suid':
    case 'nosuid':
      return { allowsSetuid: word === 'suid' };
    default:
      return readValue(word, more);
  }
}

function readValue(word: string, more: readonly string[]): Partial<TmpfsOptions> {
  const [, name = '', value = ''] = /^([a-z_]+)=([0-9]+[kmg%]?)$/iu.exec(word) ?? [];
  const isNumber = /^\d{1,18}$/u.test(value);
  switch (name) {
    case 'size':
      return { size: isNumber ? Number(value) : value };
    case 'mode':
      if (!/^[0-7]{1,4}$/u.test(value)) throw bad(word);
      return { permissions: Number.parseInt(value, 8) };
    case 'uid':
    case 'gid':
      if (!isNumber || Number(value) >= 2 ** 31) throw bad(word);
      return { more: [...more, word] };
    case 'nr_inodes':
    case 'nr_blocks':
      if (value.endsWith('%')) throw bad(word);
      return { more: [...more, word] };
    default:
      throw bad(word);
  }
}

function bad(word: string): JettisonError {
  return new JettisonError('engine/bad-tmpfs-option', `invalid tmpfs option ["${word.slice(0, 60)}"]`, {
    hint: 'There is ro, rw, exec, noexec, suid, nosuid, nodev, size, mode, uid, gid, nr_inodes and nr_blocks',
  });
}
