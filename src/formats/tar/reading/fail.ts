import { JettisonError } from '#ground/base/errors.ts';

/** Where in an archive something is wrong: byte offset and, once known, the entry's name. */
export type Place = { readonly offset: number; readonly name: string };

/** The error for a bad archive; `code` without its room. */
export function badArchive(code: string, what: string, place: Place): JettisonError {
  const entry = place.name === '' ? '' : `entry "${place.name.slice(0, 200)}" `;
  return new JettisonError(`tar/${code}`, `Bad tar archive: ${entry}at byte ${place.offset}: ${what}`, {
    hint: 'The archive is damaged, was cut short, or is not what it says; get it again from where it was made',
  });
}
