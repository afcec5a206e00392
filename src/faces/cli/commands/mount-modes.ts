/** What the values of `-v`, `--mount` and `--tmpfs` have in common. */
import { existsSync } from 'node:fs';
import { readTmpfsOptions, type TmpfsOptions } from '#engine/tmpfs-options.ts';
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { badValue } from '../option.ts';

export type MountMode = {
  readonly readOnly: boolean;
  readonly labels: boolean;
  readonly propagation: string | undefined;
  readonly copies: boolean | undefined;
};

const kinds: Readonly<Record<string, readonly string[]>> = {
  access: ['ro', 'rw', 'rro'],
  label: ['z', 'Z'],
  propagation: ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'],
  copying: ['nocopy'],
  consistency: ['consistent', 'cached', 'delegated', 'default'],
};

/** undefined for what is none. One word of each kind, as docker has it. */
export function readMode(given: string): MountMode | undefined {
  const words = given === '' ? [] : given.split(',');
  const seen = words.map(kindOf);
  if (seen.includes(undefined) || new Set(seen).size < seen.length) return undefined;
  return {
    readOnly: words.includes('ro') || words.includes('rro'),
    labels: words.includes('z') || words.includes('Z'),
    propagation: words.find((word) => kindOf(word) === 'propagation'),
    copies: words.includes('nocopy') ? false : undefined,
  };
}

function kindOf(word: string): string | undefined {
  return Object.keys(kinds).find((kind) => kinds[kind]?.includes(word));
}

/** The worker's mounts are apart from the host's: nothing that is mounted later passes between them. */
export function checkPropagation(long: string, given: string, propagation: string | undefined): void {
  if (propagation === undefined || propagation === 'private' || propagation === 'rprivate') return;
  if (!(kinds['propagation'] ?? []).includes(propagation)) throw badValue(long, given, `invalid propagation mode: ${propagation}`);
  throw new JettisonError('cli/not-built', `"${propagation}" mounts are not supported ("--${long} ${given}")`, {
    hint: 'Mounts of the host that are made later are not seen in containers: mount first, and leave it out',
  });
}

/** Where there is no SELinux, docker does nothing either. */
export function checkLabels(long: string, given: string): void {
  if (!existsSync('/sys/fs/selinux/enforce')) return;
  throw new JettisonError('cli/not-built', `Labels of SELinux are not changed ("--${long} ${given}")`, {
    hint: 'Leave "z" out, and label the folder: chcon -Rt container_file_t FOLDER',
  });
}

export function noDriver(name: string): JettisonError {
  return new JettisonError('cli/not-built', `There is no volume driver "${name}"`, {
    hint: 'There is "local"; mount the file system on the host, and bind its folder',
  });
}

export function tmpfsOptions(long: string, given: string, options: string): TmpfsOptions {
  try {
    return readTmpfsOptions(options);
  } catch (error) {
    throw badValue(long, given, messageOf(error));
  }
}
