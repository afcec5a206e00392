/** `type=gha` of `--cache-from` and `--cache-to`: what is not said comes from the variables that buildx takes it from. */
import { parseDuration } from '#engine/space-filters.ts';
import type { ActionsCachePlace, ActionsCacheService, CacheTarget } from '#engine/cache-requests.ts';
import { parseBoolean } from '#ground/base/boolean-word.ts';
import { badValue } from '../option.ts';
import type { Fields } from './cache-fields.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export const actionsFields = ['scope', 'url', 'url_v2', 'token', 'version', 'timeout'];

/** GitHub keeps keys of at most 512 characters; ours add 30 to the scope. */
const longestScope = 480;
/** Where GitHub's own service of the second version is: what old runners give as `ACTIONS_CACHE_URL`. */
const hostOfVersion2 = 'results-receiver.actions.githubusercontent.com';

/** Throws `cli/bad-value`. */
export function readActionsPlace(fields: Fields, environment: Environment): ActionsCachePlace {
  const { long, given, values } = fields;
  const scope = values.get('scope') ?? 'buildkit';
  if (scope === '' || scope.includes(',') || scope.length > longestScope)
    throw badValue(long, given, `scope is a name without commas, of ${longestScope} characters at most`);
  return { kind: 'actions', scope, service: readService(fields, environment) };
}

/** `repository=OWNER/NAME` with `ghtoken=T`: GitHub's API is asked what is in the cache. Throws `cli/bad-value`. */
export function readActionsListing(
  { long, given, values }: Fields,
  environment: Environment,
): Extract<CacheTarget, { readonly kind: 'actions' }>['listing'] {
  const repository = values.get('repository') ?? '';
  const token = values.get('ghtoken') ?? '';
  if (repository === '' && token === '') return undefined;
  if (repository === '' || token === '') throw badValue(long, given, '"repository" and "ghtoken" go together');
  if (!/^(?!\.\.?\/)[\w.-]+\/(?!\.\.?$)[\w.-]+$/u.test(repository)) throw badValue(long, given, 'repository is "OWNER/NAME"');
  return { api: valueOf(environment, 'GITHUB_API_URL') ?? 'https://api.github.com', repository, token: () => token };
}

function readService(fields: Fields, environment: Environment): ActionsCacheService | undefined {
  const { values } = fields;
  const results = valueOf(environment, 'ACTIONS_RESULTS_URL');
  const version = readVersion(fields, environment);
  const token = values.get('token') ?? valueOf(environment, 'ACTIONS_RUNTIME_TOKEN') ?? '';
  const timeout = readTimeout(fields);
  const newer = version === 1 ? undefined : (values.get('url_v2') ?? (version === 2 ? results : undefined));
  const url = newer ?? values.get('url') ?? valueOf(environment, 'ACTIONS_CACHE_URL') ?? results ?? '';
  if (token === '' || url === '') return undefined;
  const isNewer = newer !== undefined || version === 2 || (version === undefined && url.includes(hostOfVersion2));
  return { url, version: isNewer ? 2 : 1, token: () => token, timeout };
}

/** undefined: it is to be told from the address. */
function readVersion({ long, given, values }: Fields, environment: Environment): 1 | 2 | undefined {
  const word = values.get('version');
  if (word === '1') return 1;
  if (word === '2') return 2;
  if (word !== undefined) throw badValue(long, given, 'version is "1" or "2"');
  return parseBoolean(environment['ACTIONS_CACHE_SERVICE_V2'] ?? '') === true ? 2 : undefined;
}

function readTimeout({ long, given, values }: Fields): number | undefined {
  const word = values.get('timeout');
  if (word === undefined) return undefined;
  const timeout = parseDuration(word) ?? 0;
  // Longer than a timer can be set for.
  if (timeout > 0 && timeout < 2 ** 31) return timeout;
  throw badValue(long, given, 'timeout is a duration such as "10m" or "90s"');
}

function valueOf(environment: Environment, name: string): string | undefined {
  const value = environment[name] ?? '';
  return value === '' ? undefined : value;
}
