/** WWW-Authenticate: RFC 9110, 11.6.1. */
export type Challenge = { readonly scheme: string; readonly parameters: ReadonlyMap<string, string> };

const longest = 16 * 1024;
const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/uy;
const quoted = /"((?:[^"\\]|\\.)*)"/uy;
const separators = /[\s,]*/uy;

/** The challenges of a header in which several may follow each other; what does not fit the grammar ends the reading. Names come in lower case. */
export function parseChallenges(header: string): readonly Challenge[] {
  const text = header.slice(0, longest);
  const challenges: { readonly scheme: string; readonly parameters: Map<string, string> }[] = [];
  let position = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position;
    const match = pattern.exec(text);
    if (match) position += match[0].length;
    return match;
  };
  for (;;) {
    take(separators);
    const word = take(token)?.[0].toLowerCase();
    if (word === undefined) return challenges;
    if (text[position] !== '=') {
      challenges.push({ scheme: word, parameters: new Map() });
      continue;
    }
    position++;
    const value = take(quoted)?.[1]?.replaceAll(/\\(.)/gu, '$1') ?? take(token)?.[0];
    if (value === undefined) return challenges;
    challenges.at(-1)?.parameters.set(word, value);
  }
}
