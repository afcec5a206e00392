/** The files of a container's log in its folder. */

/** The one that is written to. */
export const logName = 'log.json';

/** The file that is older by `age` files. */
export function olderName(path: string, age: number): string {
  return age === 0 ? path : `${path}.${age}`;
}
