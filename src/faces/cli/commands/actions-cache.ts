/** `type=gha` of `--cache-from` and `--cache-to`: what is not said comes from the variables that buildx takes it from. */
import { parseDuration } from '#engine/space-filters.ts';
import { actionsService } from '#engine/cache-defaults.ts';
import type { ActionsCachePlace, ActionsCacheService, CacheTarget } from '#engine/cache-requests.ts';
import { badValue } from '../option.ts';
import type { Fields } from './cache-fields.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export const actionsFields = ['scope', 'url', 'url_v2', 'token', 'version', 'timeout'];

/** GitHub keeps keys of at most 512 characters; ours add 30 to the scope. */
const longestScope = 480;

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
  const wish = { url: values.get('url'), newerUrl: values.get('url_v2'), token: values.get('token') };
  return actionsService({ ...wish, version: readVersion(fields), timeout: readTimeout(fields) }, environment);
}

/** undefined: it is to be told from the address. */
function readVersion({ long, given, values }: Fields): 1 | 2 | undefined {
  const word = values.get('version');
  if (word === '1') return 1;
  if (word === '2') return 2;
  if (word !== undefined) throw badValue(long, given, 'version is "1" or "2"');
  return undefined;
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
