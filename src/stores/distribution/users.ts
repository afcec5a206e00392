/** Who may use the registry: a file of names and hashed passwords as `htpasswd -B` writes it. */
import { hash, timingSafeEqual } from 'node:crypto';
import { fromBase64 } from '#ground/base/bytes.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { checkPassword, costOf } from './passwords/bcrypt.ts';

export type Users = {
  /** Does an `Authorization` header name one of them, with the password? */
  knows(header: string | undefined): boolean;
};

/** Each step more doubles the time that a password takes; 14 is more than a second. */
const highestCost = 14;
const mostRemembered = 100;
/** bcrypt reads no more. */
const longestPassword = 72;

/** Reads the file. Throws `distribution/bad-htpasswd` with the line: only bcrypt is taken, as in Docker's registry. */
export function readUsers(text: string, name: string): Users {
  const hashes = new Map(text.split('\n').flatMap((line, index) => readLine(line.trim(), `${name}:${index + 1}`)));
  /** Of those who were known: a password is hashed once, not at each request. */
  const seen = new Map<string, string>();
  // Those who are not known shall take as long.
  const [, anyHash = ''] = [...hashes][0] ?? [];
  return {
    knows(header) {
      const { user, password } = readBasic(header) ?? {};
      if (user === undefined || password === undefined || new TextEncoder().encode(password).length > longestPassword) return false;
      const token = hash('sha256', `${user}\0${password}`);
      const known = seen.get(user);
      if (known !== undefined && timingSafeEqual(new TextEncoder().encode(known), new TextEncoder().encode(token))) return true;
      const stored = hashes.get(user);
      const isRight = checkPassword(password, stored ?? anyHash) && stored !== undefined;
      if (isRight && seen.size < mostRemembered) seen.set(user, token);
      return isRight;
    },
  };
}

function readLine(line: string, place: string): readonly (readonly [string, string])[] {
  if (line === '' || line.startsWith('#')) return [];
  const colon = line.indexOf(':');
  const [user, stored] = [line.slice(0, colon), line.slice(colon + 1)];
  const cost = colon > 0 ? costOf(stored) : undefined;
  if (cost !== undefined && cost <= highestCost) return [[user, stored]];
  throw new JettisonError(
    'distribution/bad-htpasswd',
    `${place}: ${cost === undefined ? 'not a name and a bcrypt hash' : `the cost ${cost} takes too long (${highestCost} at most)`}`,
    { hint: 'Write it with "htpasswd -Bbn USER PASSWORD"' },
  );
}

function readBasic(header: string | undefined): { readonly user: string; readonly password: string } | undefined {
  const [, encoded] = /^basic +([A-Za-z0-9+/]+={0,2})$/iu.exec(header ?? '') ?? [];
  if (encoded === undefined || encoded.length > 1000 || encoded.length % 4 === 1) return undefined;
  const text = new TextDecoder().decode(fromBase64(encoded));
  const colon = text.indexOf(':');
  return colon === -1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
