/** White space as Go's unicode.IsSpace has it: what trims and parts words in BuildKit. JavaScript's `trim` also takes byte order marks. */

/** Finds what `isSpace` tells. */
export const anySpace = /[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/u;

/** Is it one? Takes one UTF-16 unit. */
export function isSpace(character: string): boolean {
  const code = character.charCodeAt(0);
  if (code <= 0x20) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  if (code < 0x85) return false;
  return (
    code === 0x85 ||
    code === 0xa0 ||
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  );
}

/** Without white space at the ends, as Go's strings.TrimSpace. */
export function trimSpace(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isSpace(text[start] ?? '')) start++;
  while (end > start && isSpace(text[end - 1] ?? '')) end--;
  return text.slice(start, end);
}
