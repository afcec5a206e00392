/** How a build was typed, as far as that may be written down: so that later commands can be about the same build. */
import { hasPassword, isSecretName } from '#languages/frontend/secret-names.ts';
import type { BuildRequest } from './build-requests.ts';

export type Asked = NonNullable<BuildRequest['asked']>;

/** undefined where nobody typed it, where a part of it came on standard input and is gone, and where a word holds a secret: `mask` changes it, an address has a password, or what it sets is named like one. */
export function rememberedWords(
  { asked, context, text }: Pick<BuildRequest, 'asked' | 'context' | 'text'>,
  mask: (text: string) => string,
): Asked | undefined {
  if (asked === undefined || context.kind === 'stream' || text !== undefined) return undefined;
  return asked.words.some((word) => mask(word) !== word || hasPassword(word) || setsSecret(word)) ? undefined : asked;
}

/** `NAME=value` of a build argument, or the fields of a cache (`type=s3,secret_access_key=...`, `type=gha,ghtoken=...`). */
function setsSecret(word: string): boolean {
  return word
    .replace(/^--[a-z-]+=/u, '')
    .split(',')
    .some((field) => {
      const name = /^\s*"?([A-Za-z_]\w*)=/u.exec(field)?.[1];
      return name !== undefined && (isSecretName(name) || name.endsWith('token'));
    });
}
