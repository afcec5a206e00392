/** Paths inside images: text in, text out, always with `/`. */

/** Absolute and without `.`, `..` and double slashes; `..` stops at the root. */
export function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

/** `path` as seen from the folder `from`; absolute and clean. */
export function resolvePath(from: string, path: string): string {
  return cleanPath(path.startsWith('/') ? path : `${from}/${path}`);
}

/** The last part of a path, `/` for the root. */
export function baseName(path: string): string {
  const clean = cleanPath(path);
  return clean.slice(clean.lastIndexOf('/') + 1) || '/';
}
