/** A step that failed, for people. */

/** What a person would type to run these words in a shell. */
export function shownWords(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/u.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`)).join(' ');
}

/** The last line of a build that failed: what can be done with what it left. */
export function lookInside(wrote: boolean): string {
  return wrote
    ? 'Look inside: jettison debug (a shell there), jettison diff @fail, jettison cp @fail:PATH DEST; go on: jettison resume'
    : 'Look inside: jettison debug (a shell there); go on: jettison resume';
}
