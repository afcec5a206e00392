/** Names of containers. */
import { JettisonError } from '#ground/base/errors.ts';

/** Throws `container/bad-name`. */
export function assertName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/u.test(name)) return;
  throw new JettisonError('container/bad-name', `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`, {
    hint: 'Two to 255 letters, digits, "_", "." and "-", beginning with a letter or digit',
  });
}

const firstWords = [
  'amber',
  'brisk',
  'calm',
  'daring',
  'eager',
  'fleet',
  'gentle',
  'humble',
  'keen',
  'lucid',
  'merry',
  'nimble',
  'proud',
  'quiet',
  'swift',
  'vivid',
];
const secondWords = [
  'apollo',
  'ariane',
  'atlas',
  'castor',
  'delta',
  'electron',
  'energia',
  'europa',
  'falcon',
  'juno',
  'proton',
  'saturn',
  'soyuz',
  'thor',
  'titan',
  'vega',
];

/** A name people can say, made of the id; a number follows when it is taken. */
export function makeName(id: string, isTaken: (name: string) => boolean): string {
  const name = `${firstWords[parseInt(id.slice(0, 1), 16)] ?? 'plain'}_${secondWords[parseInt(id.slice(1, 2), 16)] ?? 'rocket'}`;
  if (!isTaken(name)) return name;
  let number = 2;
  while (isTaken(`${name}${number}`)) number++;
  return `${name}${number}`;
}
