/** What a cache elsewhere is where nobody says: out of the variables that buildx takes it from. */
import { parseBoolean } from '#ground/base/boolean-word.ts';
import type { ActionsCacheService, S3CachePlace } from './cache-requests.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where GitHub's own service of the second version is: what old runners give as `ACTIONS_CACHE_URL`. */
const hostOfVersion2 = 'results-receiver.actions.githubusercontent.com';

export type ActionsWish = {
  readonly url: string | undefined;
  /** Counts for the second version alone. */
  readonly newerUrl: string | undefined;
  /** undefined: it is told from the variables, else from the address. */
  readonly version: 1 | 2 | undefined;
  readonly token: string | undefined;
  /** Milliseconds. */
  readonly timeout: number | undefined;
};

/** undefined where there is neither an address nor a token: this is no job of GitHub Actions. */
export function actionsService(wish: ActionsWish, environment: Environment): ActionsCacheService | undefined {
  const of = (name: string): string | undefined => environment[name] || undefined;
  const results = of('ACTIONS_RESULTS_URL');
  const isSecond = parseBoolean(environment['ACTIONS_CACHE_SERVICE_V2'] ?? '') === true;
  const version = wish.version ?? (isSecond ? 2 : undefined);
  const token = wish.token ?? of('ACTIONS_RUNTIME_TOKEN') ?? '';
  const newer = version === 1 ? undefined : (wish.newerUrl ?? (version === 2 ? results : undefined));
  const url = newer ?? wish.url ?? of('ACTIONS_CACHE_URL') ?? results ?? '';
  if (token === '' || url === '') return undefined;
  const isNewer = newer !== undefined || version === 2 || (version === undefined && url.includes(hostOfVersion2));
  return { url, version: isNewer ? 2 : 1, token: () => token, timeout: wish.timeout };
}

export type S3Keys = {
  readonly keyId: string | undefined;
  readonly secretKey: string | undefined;
  readonly sessionToken: string | undefined;
};

/** All from one source: a session token of the environment belongs to the key that stands there. undefined: nobody gave any. */
export function s3Credentials(given: S3Keys | undefined, environment: Environment): S3CachePlace['credentials'] {
  const keys = given ?? {
    keyId: environment['AWS_ACCESS_KEY_ID'],
    secretKey: environment['AWS_SECRET_ACCESS_KEY'],
    sessionToken: environment['AWS_SESSION_TOKEN'],
  };
  const { keyId = '', secretKey = '', sessionToken = '' } = keys;
  if (keyId === '' || secretKey === '') return undefined;
  return { keyId, secretKey: () => secretKey, sessionToken: () => (sessionToken === '' ? undefined : sessionToken) };
}
