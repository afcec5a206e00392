/** How a build was typed, as far as that may be written down: so that later commands can be about the same build. */
import { isSecretName } from '#languages/frontend/secret-names.ts';
import type { BuildRequest } from './build-requests.ts';

export type Asked = NonNullable<BuildRequest['asked']>;

/** undefined where nobody typed it, where a part of it came on standard input and is gone, and where a word holds a secret (`mask` changes it) or a variable named like one. */
export function rememberedWords({ asked, context, text }: BuildRequest, mask: (text: string) => string): Asked | undefined {
  if (asked === undefined || context.kind === 'stream' || text !== undefined) return undefined;
  return asked.words.some((word) => mask(word) !== word || setsSecret(word)) ? undefined : asked;
}

function setsSecret(word: string): boolean {
  const name = /^(?:--build-arg=)?([A-Za-z_]\w*)=/u.exec(word)?.[1];
  return name !== undefined && isSecretName(name);
}
