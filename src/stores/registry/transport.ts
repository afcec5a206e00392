/** HTTP as registries need it: redirects that never take credentials along, kept connections, limits on every wait, tries. */
import { request as httpRequest, type ClientRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { JettisonError, isCode, systemCode } from '#ground/base/errors.ts';
import { formatDuration } from '#ground/base/human.ts';
import { retry } from '#ground/base/retry.ts';
import { answerError, asFinal, asPassing, askedPause, errorBodyLimit, isPassing, isUnknownAuthority, registryError } from './errors.ts';
import { createAgents, type Agents } from './http/agents.ts';
import { exchange, timeToMove, type Answer, type Body, type OnWait, type Timing } from './http/exchange.ts';
import { isLinkLocal, publicLookup } from './http/link-local.ts';

export type { Answer, Body, OnWait } from './http/exchange.ts';

export type TransportTiming = Timing & {
  readonly tries: number;
  /** Milliseconds before the second try; doubles each time. */
  readonly firstPause: number;
};

export const defaultTiming: TransportTiming = {
  connect: 10_000,
  firstByte: 30_000,
  commit: 60_000,
  idle: 60_000,
  leastBytes: 60 * 1024,
  notice: 10_000,
  tries: 5,
  firstPause: 1000,
};

export type Request = {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent to this URL's own origin only. */
  readonly authorization?: string | undefined;
  readonly body?: Body | undefined;
  /** A redirect is an answer: its headers are for this host only. */
  readonly stay?: boolean;
  /** The server may have to move a blob before it answers: this body, or so many bytes that it was sent before. */
  readonly isCommit?: boolean;
  readonly moves?: number;
  /** A server told us to go there: not to a name that leads to an address of this network link only. */
  readonly isSent?: boolean;
};

export type Transport = Disposable & {
  readonly timing: TransportTiming;
  /** One request, redirects followed; any status is an answer. Throws `registry/...` for what is no answer at all. */
  send(request: Request, signal: AbortSignal): Promise<Answer>;
  /** Tries again what may pass; what takes the whole of a time limit, or is a host that cannot be found, only once more. */
  persist<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T>;
};

export type TransportOptions = {
  readonly timing?: Partial<TransportTiming>;
  readonly userAgent: string;
  /** Variables that name proxies (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), and where certificates are looked for (HOME); loopback hosts are never asked through a proxy. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Told of every wait that a person would wonder about, and of every new try. */
  readonly onWait?: OnWait | undefined;
};

const mostRedirects = 5;
/** Of what takes the whole of a time limit. */
const slowTries = 2;
/** Bytes. */
const longBody = 1 << 20;

export function createTransport(options: TransportOptions): Transport {
  const timing = timingOf(options.timing ?? {});
  const agents = createAgents(options.environment);
  const onWait = options.onWait ?? ((): void => undefined);
  /** Origins that have answered: one that cannot be reached afterwards may be starting anew. */
  const answered = new Set<string>();
  const once = async (request: Request, signal: AbortSignal): Promise<Answer> => {
    const { url, method, body, isCommit = false, moves = 0 } = request;
    const patience = isCommit ? timing.commit + timeToMove(moves) : timing.firstByte;
    const outgoing = { url, method, body, patience, isCommit, onWait };
    for (let round = 0; ; round++) {
      const trustedMachine = agents.trustsMachine();
      const started = start(request, agents, options.userAgent);
      try {
        const answer = await exchange(started, outgoing, timing, signal);
        answered.add(url.origin);
        return answer;
      } catch (error) {
        if (round === 0 && !isLong(body) && wasStale(started, error)) continue;
        if (!trustedMachine && !isLong(body) && isUnknownAuthority(error)) {
          agents.trustMachine();
          continue;
        }
        throw isCode(error, 'registry/unreachable') && answered.has(url.origin) ? asPassing(error) : error;
      }
    }
  };
  return {
    timing,
    send: async (request, signal) => await follow(once, request, signal),
    persist: async (task, signal) => await persist(task, { timing, onWait }, signal),
    [Symbol.dispose]: () => agents[Symbol.dispose](),
  };
}

/** With other limits for silence the slowest pace stays the same: 1 kB a second. */
function timingOf(given: Partial<TransportTiming>): TransportTiming {
  const timing = { ...defaultTiming, ...given };
  return { ...timing, leastBytes: given.leastBytes ?? Math.ceil((defaultTiming.leastBytes * timing.idle) / defaultTiming.idle) };
}

/** Throws what `answer` says, unless its status is one of `wanted`. */
export async function expectStatus(answer: Answer, method: string, wanted: readonly number[]): Promise<void> {
  if (wanted.includes(answer.status)) return;
  throw await failureOf(answer, method);
}

/** Bytes are asked for as they are: whoever packs them all the same breaks digests and sizes. Throws `registry/bad-answer`. */
export function refuseEncoding({ url, headers }: Answer): void {
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity' || encoding === '') return;
  const text = `"${url.host}" sends its answer compressed (${encoding.slice(0, 60)}), which was not asked for`;
  throw registryError('bad-answer', text, {
    hint: 'A proxy before the server may do that: have it leave the answers of registries as they are',
  });
}

/** The error that an answer means, its body read as far as sensible. */
export async function failureOf(answer: Answer, method: string): Promise<JettisonError> {
  const bytes = await answer.bytes(errorBodyLimit).catch((error: unknown) => {
    if (error instanceof JettisonError) return new Uint8Array();
    throw error;
  });
  const { url, status, statusText } = answer;
  const retryAfter = answer.headers['retry-after'];
  return answerError({ method, url, status, statusText, retryAfter, body: new TextDecoder().decode(bytes) }, Date.now());
}

type Persistence = { readonly timing: TransportTiming; readonly onWait: OnWait };

async function persist<T>(task: () => Promise<T>, { timing, onWait }: Persistence, signal: AbortSignal): Promise<T> {
  const { tries, firstPause } = timing;
  let slow = 0;
  const careful = async (): Promise<T> => {
    try {
      return await task();
    } catch (error) {
      if (isSlow(error) && ++slow >= slowTries) throw asFinal(error);
      throw error;
    }
  };
  const onPause = (error: JettisonError, { pause, attempt }: { readonly pause: number; readonly attempt: number }): void =>
    onWait(`${error.message}. Trying again in ${formatDuration(pause)} (try ${attempt} of ${isSlow(error) ? attempt : tries})`);
  return await retry(careful, { tries, firstPause, askedPause, onPause }, signal);
}

/** What took the whole of a time limit, or is a host that cannot be found. */
function isSlow(error: unknown): error is JettisonError {
  return error instanceof JettisonError && ['registry/timeout', 'registry/unreachable'].includes(error.code) && !isPassing(error);
}

/** Part of a long body may have arrived: whoever sends it must ask how much before it is sent again. */
function isLong(body: Body | undefined): boolean {
  return body !== undefined && (body.size ?? Infinity) > longBody;
}

/** The server closed a kept connection just when we used it again. */
function wasStale(request: ClientRequest, error: unknown): boolean {
  if (!request.reusedSocket || !isCode(error, 'registry/connection-lost')) return false;
  return ['ECONNRESET', 'EPIPE'].includes(systemCode(error.cause) ?? '');
}

async function follow(once: Transport['send'], first: Request, signal: AbortSignal): Promise<Answer> {
  let request = first;
  for (let hops = 0; ; hops++) {
    const answer = await once(request, signal);
    const next = request.stay === true ? undefined : redirectOf(request, answer);
    if (next === undefined) return answer;
    answer[Symbol.dispose]();
    if (hops >= mostRedirects) {
      throw registryError('too-many-redirects', `"${first.url.host}" redirects more than ${mostRedirects} times (last to "${next.host}")`);
    }
    const isSame = next.origin === request.url.origin;
    request = {
      ...request,
      url: next,
      authorization: isSame ? request.authorization : undefined,
      isSent: !isSame || request.isSent === true,
    };
  }
}

/** Where an answer sends us, if anywhere. Reading may be sent to any web address but from TLS to plain HTTP; writing only by 307 and 308. */
function redirectOf(request: Request, answer: Answer): URL | undefined {
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (!(isRead ? [301, 302, 303, 307, 308] : [307, 308]).includes(answer.status)) return undefined;
  return targetOf(answer, answer.headers.location ?? '');
}

/** A Location header as a URL that we are willing to speak to. Throws `registry/bad-redirect`. */
export function targetOf(answer: Answer, location: string): URL {
  const target = URL.parse(location, answer.url.href);
  const refuse = (why: string): JettisonError => registryError('bad-redirect', `"${answer.url.host}" redirects to ${why}`);
  if (location === '')
    throw registryError('bad-answer', `"${answer.url.host}" answered ${answer.status} without "Location", the address to go on at`);
  if (target === null) throw refuse('no address');
  if (target.protocol !== 'https:' && target.protocol !== 'http:') throw refuse(`"${target.protocol}", which is not the web`);
  if (answer.url.protocol === 'https:' && target.protocol === 'http:') throw refuse(`plain HTTP at "${target.host}"`);
  // Where clouds tell a machine its secrets. Who is there itself may send us on.
  if (isLinkLocal(target.hostname) && !isLinkLocal(answer.url.hostname))
    throw refuse(`"${target.host}", an address of this network link only`);
  target.username = '';
  target.password = '';
  return target;
}

function start(request: Request, agents: Agents, userAgent: string): ClientRequest {
  const { url, method, body } = request;
  const headers = {
    'user-agent': userAgent,
    'accept-encoding': 'identity',
    ...request.headers,
    ...(request.authorization === undefined ? {} : { authorization: request.authorization }),
    ...lengthHeader(method, body),
  };
  const isSecure = url.protocol === 'https:';
  const agent = agents.agentFor(url);
  const lookup = request.isSent === true ? { lookup: publicLookup } : {};
  return (isSecure ? httpsRequest : httpRequest)(url, { method, headers, agent, ...lookup });
}

function lengthHeader(method: Request['method'], body: Body | undefined): Readonly<Record<string, string>> {
  if (body === undefined) return method === 'GET' || method === 'HEAD' ? {} : { 'content-length': '0' };
  return body.size === undefined ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(body.size) };
}
