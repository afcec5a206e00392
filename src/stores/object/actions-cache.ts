/** The cache of GitHub Actions: bytes under keys that are written once, parted into scopes by what a job's token opens. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { sleep } from '#ground/base/retry.ts';
import { fillSink, type BlobSink } from '#stores/registry/download.ts';
import { createTransport, failureOf, type Answer, type TransportOptions } from '#stores/registry/transport.ts';
import { createCaller, type Caller } from './actions/caller.ts';
import { listKeys } from './actions/known-keys.ts';
import type { ActionsService, Entry } from './actions/service.ts';
import { readActionsToken, type ActionsScope } from './actions/token.ts';
import { createVersion1 } from './actions/version1.ts';
import { createVersion2 } from './actions/version2.ts';
import type { Content } from './content.ts';
import { badAnswer, missingObject, objectError } from './errors.ts';

export type { ActionsScope } from './actions/token.ts';

/** All functions throw `object/...`. */
export type ActionsCache = Disposable & {
  readonly host: string;
  /** What the token opens, the job's own branch first. */
  readonly scopes: readonly ActionsScope[];
  /** Is there an entry of exactly that key? */
  has(key: string, signal: AbortSignal): Promise<boolean>;
  /** Fills the sink with the bytes of exactly that key, from its offset on; they are still to be checked. Gives the host that they came from. */
  download(key: string, to: { readonly descriptor: Descriptor; readonly sink: BlobSink }, signal: AbortSignal): Promise<string>;
  /** `exists`: somebody has written the key before, or is at it. */
  write(key: string, content: Content, signal: AbortSignal): Promise<'written' | 'exists'>;
  /** What `replace` wrote last under `key`, at most `limit` bytes; undefined for nothing. */
  readLatest(key: string, limit: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Entries never change: what counts is the one with the highest number behind the key. */
  replace(key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /** By GitHub's API instead of the cache service: the keys of all scopes that begin with `prefix`. */
  listKeys(
    api: { readonly api: URL; readonly repository: string; readonly token: string },
    prefix: string,
    signal: AbortSignal,
  ): Promise<ReadonlySet<string>>;
};

export type ActionsCacheOptions = Pick<TransportOptions, 'environment' | 'userAgent' | 'onWait'> & {
  readonly timing?: TransportOptions['timing'];
  readonly url: URL;
  readonly version: 1 | 2;
  readonly token: string;
  /** How long one request may take with all its tries, in milliseconds. */
  readonly timeout: number;
  /** When there are too many requests: waits up to the timeout, or fails soon. */
  readonly isPatient: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How long another process may take to write the next number of an entry before it counts as dead, and between two looks, in milliseconds. */
  readonly rivals?: { readonly patience: number; readonly pause: number };
};

const usualRivals = { patience: 15_000, pause: 2000 };
const mostNumbers = 1000;

/** Nothing is asked yet. Throws `object/bad-token`. */
export function openActionsCache(options: ActionsCacheOptions): ActionsCache {
  const { userAgent, environment, onWait, timing, token } = options;
  const scopes = readActionsToken(token, options.now());
  const transport = createTransport({ userAgent, environment, onWait, ...(timing === undefined ? {} : { timing }) });
  const caller = createCaller({ ...options, transport });
  const service = options.version === 1 ? createVersion1(caller) : createVersion2(caller);
  const rivals = options.rivals ?? usualRivals;
  const explained = async <T>(task: () => Promise<T>, ...secrets: readonly string[]): Promise<T> => {
    try {
      return await task();
    } catch (error) {
      throw objectError(error, [token, ...secrets]);
    }
  };
  return {
    host: caller.host,
    scopes,
    has: async (key, signal) => await explained(async () => (await findExactly(service, key, signal)) !== undefined),
    download: async (key, { descriptor, sink }, signal) =>
      await explained(async () => {
        const source = openEntry(caller, service, key);
        const host = { host: caller.host, get: source.get };
        await transport.persist(async () => await fillSink(host, { descriptor, sink }, signal), signal);
        return source.host();
      }),
    write: async (key, content, signal) => await explained(async () => await writeOnce(service, key, content, signal)),
    readLatest: async (key, limit, signal) =>
      await explained(async () => {
        const entry = await service.find(`${key}#`, signal);
        if (entry === undefined || !entry.key.startsWith(`${key}#`)) return undefined;
        return await transport.persist(async () => {
          using answer = await caller.ask({ method: 'GET', url: entry.url }, signal);
          if (answer.status !== 200) throw await failureOf(answer, 'GET');
          return await answer.bytes(limit);
        }, signal);
      }),
    replace: async (key, bytes, signal) => await explained(async () => await writeNext({ service, caller, rivals }, key, bytes, signal)),
    listKeys: async (api, prefix, signal) =>
      await explained(async () => {
        const lists = scopes.map(async ({ name }) => await listKeys({ ...api, transport }, { prefix, scope: name }, signal));
        return new Set((await Promise.all(lists)).flat());
      }, api.token),
    [Symbol.dispose]: () => transport[Symbol.dispose](),
  };
}

/** Services also give what only begins like the key. */
async function findExactly(service: ActionsService, key: string, signal: AbortSignal): Promise<Entry | undefined> {
  const entry = await service.find(key, signal);
  return entry?.key === key ? entry : undefined;
}

/** Asks at the signed address, and for a new one when it is not good any more. */
function openEntry(caller: Caller, service: ActionsService, key: string) {
  let entry: Entry | undefined;
  const find = async (signal: AbortSignal): Promise<Entry> => {
    entry = await findExactly(service, key, signal);
    if (entry === undefined) throw missingObject(caller.host, key);
    return entry;
  };
  const get = async (headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Answer> => {
    const isNew = entry === undefined;
    const { url } = entry ?? (await find(signal));
    const answer = await caller.ask({ method: 'GET', url, headers }, signal);
    if (isNew || ![401, 403].includes(answer.status)) return answer;
    answer[Symbol.dispose]();
    return await caller.ask({ method: 'GET', url: (await find(signal)).url, headers }, signal);
  };
  return { get, host: (): string => entry?.url.host ?? caller.host };
}

async function writeOnce(service: ActionsService, key: string, content: Content, signal: AbortSignal): Promise<'written' | 'exists'> {
  const reservation = await service.reserve(key, signal);
  if (reservation === undefined) return 'exists';
  await reservation.upload(content, signal);
  await reservation.commit(content.size, signal);
  return 'written';
}

type Numbering = {
  readonly service: ActionsService;
  readonly caller: Caller;
  readonly rivals: { readonly patience: number; readonly pause: number };
};

/**
 * The next number is the right to write: who finds it taken waits for its owner to be done and takes the number behind that; an owner who
 * does not come to an end is passed over.
 */
async function writeNext({ service, caller, rivals }: Numbering, key: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  const content: Content = { size: bytes.length, open: () => [bytes] };
  let passed = 0;
  for (let waited = 0; passed < mostNumbers;) {
    const next = (await latestNumber(service, caller, key, signal)) + 1 + passed;
    if ((await writeOnce(service, `${key}#${next}`, content, signal)) === 'written') return;
    if (waited < rivals.patience) {
      await sleep(rivals.pause, signal);
      waited += rivals.pause;
    } else passed++;
  }
  throw badAnswer(caller.host, `every number of "${key}" is taken`);
}

async function latestNumber(service: ActionsService, { host }: Caller, key: string, signal: AbortSignal): Promise<number> {
  const entry = await service.find(`${key}#`, signal);
  if (entry === undefined || !entry.key.startsWith(`${key}#`)) return 0;
  const number = entry.key.slice(key.length + 1);
  if (!/^\d{1,9}$/u.test(number)) throw badAnswer(host, `"${entry.key.slice(0, 600)}" has no number`);
  return Number(number);
}
