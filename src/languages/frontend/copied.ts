/** The place in a drafted history where the digest of what a COPY copies will stand: it is known when that was read. */
import { isDigest, parseDigest, type Digest } from '#ground/base/digest-form.ts';

/** Stands for what the vertex copies. No text of a Dockerfile holds a NUL. */
export function copiedBy(vertex: Digest): string {
  return `\0${vertex}\0`;
}

/** The text with `nameOf(vertex)` in each such place. */
export function nameCopied(text: string, nameOf: (vertex: Digest) => string): string {
  if (!text.includes('\0')) return text;
  return text
    .split('\0')
    .map((part, index) => (index % 2 === 1 && isDigest(part) ? nameOf(parseDigest(part)) : part))
    .join('');
}

/** The vertices that a text waits for. */
export function copiesIn(text: string): readonly Digest[] {
  const found: Digest[] = [];
  nameCopied(text, (vertex) => {
    found.push(vertex);
    return '';
  });
  return found;
}
