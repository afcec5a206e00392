/** Times and ids as the docker CLI writes them. */
import { formatAge } from '#ground/base/human.ts';

/** `2 months ago`; `N/A` for an image that does not say when it was made. Both in milliseconds since the epoch. */
export function since(created: number, now: number): string {
  return created <= 0 ? 'N/A' : `${formatAge(now - created)} ago`;
}

/** `2023-05-18 22:34:17 +0000 UTC`. */
export function createdAt(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
}

/** `2023-05-18T22:34:17Z`. */
export function isoSeconds(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}

/** The first 12 hexadecimal digits; what is no digest stays as it is. */
export function shortId(id: string): string {
  return /^(?:sha256:|sha512:)?[0-9a-f]{13,}$/u.test(id) ? id.slice(id.indexOf(':') + 1).slice(0, 12) : id;
}
