/** `type=s3` of `--cache-from` and `--cache-to`: what is not said comes from the variables of AWS. */
import { s3Credentials } from '#engine/cache-defaults.ts';
import { parseDuration } from '#engine/space-filters.ts';
import type { S3CachePlace } from '#engine/cache-requests.ts';
import { badValue } from '../option.ts';
import { demand, readFlag, type Fields } from './cache-fields.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export const s3Fields = [
  'bucket',
  'region',
  'name',
  'prefix',
  'blobs_prefix',
  'manifests_prefix',
  'endpoint_url',
  'use_path_style',
  'access_key_id',
  'secret_access_key',
  'session_token',
];

const day = 24 * 60 * 60 * 1000;
const mostParallel = 32;

/** Throws `cli/bad-value`. */
export function readS3Place(fields: Fields, environment: Environment): S3CachePlace {
  const { values, long, given } = fields;
  const bucket = fieldOr(fields, 'bucket', environment['AWS_BUCKET']);
  const region = fieldOr(fields, 'region', environment['AWS_REGION']);
  if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}$/u.test(bucket)) throw badValue(long, given, 'bucket is no name of a bucket');
  if (!/^[a-zA-Z0-9-]{1,64}$/u.test(region)) throw badValue(long, given, 'region is no name of a region');
  const [name = '', ...others] = (values.get('name') ?? 'buildkit').split(';');
  if ([name, ...others].includes('')) throw badValue(long, given, 'a name is empty');
  return {
    kind: 's3',
    bucket,
    region,
    names: [name, ...others],
    prefix: values.get('prefix') ?? '',
    blobsPrefix: values.get('blobs_prefix') ?? 'blobs/',
    manifestsPrefix: values.get('manifests_prefix') ?? 'manifests/',
    endpoint: values.get('endpoint_url'),
    usePathStyle: readFlag(fields, 'use_path_style', false),
    credentials: readCredentials(fields, environment),
  };
}

function fieldOr(fields: Fields, name: string, variable = ''): string {
  return fields.values.get(name) ?? (variable === '' ? demand(fields, name) : variable);
}

/** What only `--cache-to` has. Throws `cli/bad-value`. */
export function readS3Writing({ values, long, given }: Fields): { readonly touchRefresh: number; readonly parallel: number } {
  const refresh = values.get('touch_refresh');
  const touchRefresh = refresh === undefined ? day : parseDuration(refresh);
  if (touchRefresh === undefined) throw badValue(long, given, 'touch_refresh is a duration such as "24h"');
  const parallel = Number(values.get('upload_parallelism') ?? 4);
  if (!Number.isSafeInteger(parallel) || parallel < 1 || parallel > mostParallel)
    throw badValue(long, given, `upload_parallelism is a number from 1 to ${mostParallel}`);
  return { touchRefresh, parallel };
}

function lacks(word = ''): boolean {
  return word === '';
}

function readCredentials({ values, long, given }: Fields, environment: Environment): S3CachePlace['credentials'] {
  const isGiven = values.has('access_key_id') || values.has('secret_access_key');
  const keys = {
    keyId: values.get('access_key_id'),
    secretKey: values.get('secret_access_key'),
    sessionToken: values.get('session_token'),
  };
  if (isGiven && lacks(keys.keyId) !== lacks(keys.secretKey))
    throw badValue(long, given, '"access_key_id" and "secret_access_key" go together');
  return s3Credentials(isGiven ? keys : undefined, environment);
}
