/** Who may use the registry: a file of names and hashed passwords as `htpasswd -B` writes it. Loaded only where one is given. */
import { hash, timingSafeEqual } from 'node:crypto';
import { compare } from 'bcryptjs';
import { fromBase64 } from '#ground/base/bytes.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { createLimit } from '#ground/base/limit.ts';

/** `busy`: so many passwords are waiting to be checked that this one was not. */
export type Standing = 'known' | 'unknown' | 'busy';

export type Users = {
  /** What an `Authorization` header says: one of them, with the password? Others are served while that is found out. Throws the signal's reason when that aborts. */
  standingOf(header: string | undefined, signal: AbortSignal): Promise<Standing>;
};

/** Each step more doubles the time that a password takes; 14 is more than a second. */
const highestCost = 14;
/** bcrypt reads no more. */
const longestPassword = 72;
/** Each takes up to a second, one after the other. */
const mostWaiting = 50;

/** Reads the file. Throws `distribution/bad-htpasswd` with the line: only bcrypt is taken, as in Docker's registry. */
export function readUsers(text: string, name: string): Users {
  const hashes = new Map(text.split('\n').flatMap((line, index) => readLine(line.trim(), `${name}:${index + 1}`)));
  /** Of those who were known: a password is hashed once, not at each request. */
  const seen = new Map<string, string>();
  // Those who are not known shall take as long.
  const [, anyHash = ''] = [...hashes][0] ?? [];
  const isSeen = (user: string, token: string): boolean => {
    const known = seen.get(user);
    return known !== undefined && timingSafeEqual(new TextEncoder().encode(known), new TextEncoder().encode(token));
  };
  // Several at once would each take a piece of a second between two turns of everybody else.
  const inTurn = createLimit(1);
  let waiting = 0;
  const check = async (user: string, password: string, token: string): Promise<boolean> => {
    // A client comes with several connections at once.
    if (isSeen(user, token)) return true;
    const stored = hashes.get(user);
    const isRight = (await compare(password, stored ?? anyHash)) && stored !== undefined;
    if (isRight) seen.set(user, token);
    return isRight;
  };
  return {
    async standingOf(header, signal) {
      const { user, password } = readBasic(header) ?? {};
      if (user === undefined || password === undefined || new TextEncoder().encode(password).length > longestPassword) return 'unknown';
      const token = hash('sha256', `${user}\0${password}`);
      if (isSeen(user, token)) return 'known';
      if (waiting >= mostWaiting) return 'busy';
      waiting++;
      try {
        return (await inTurn(async () => await check(user, password, token), signal)) ? 'known' : 'unknown';
      } finally {
        waiting--;
      }
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

/** The logarithm of how often a hash was stirred; undefined for what is no hash of bcrypt. */
function costOf(stored: string): number | undefined {
  const cost = Number(/^\$2[aby]\$(\d{2})\$[./A-Za-z0-9]{53}$/u.exec(stored)?.[1] ?? 0);
  return cost >= 4 && cost <= 31 ? cost : undefined;
}

function readBasic(header: string | undefined): { readonly user: string; readonly password: string } | undefined {
  const [, encoded] = /^basic +([A-Za-z0-9+/]+={0,2})$/iu.exec(header ?? '') ?? [];
  if (encoded === undefined || encoded.length > 1000 || encoded.length % 4 === 1) return undefined;
  const text = new TextDecoder().decode(fromBase64(encoded));
  const colon = text.indexOf(':');
  return colon === -1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
