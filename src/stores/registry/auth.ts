/** Who we are to a registry: basic and bearer tokens, as in the distribution project's "Token Authentication" documents. */
import * as v from 'valibot';
import { checkShape, parseJson, type Document } from '#ground/base/decode.ts';
import { isCode } from '#ground/base/errors.ts';
import { createSingleFlight } from '#ground/base/single-flight.ts';
import type { Endpoint } from './config.ts';
import type { Credential, FindCredential } from './credentials.ts';
import { registryError } from './errors.ts';
import { parseChallenges, type Challenge } from './http/challenge.ts';
import { isLinkLocal } from './http/link-local.ts';
import { expectStatus, type Body, type Transport } from './transport.ts';

/** What a request needs to be allowed: `repository:library/busybox:pull`. */
export type Scopes = readonly string[];

export type Auth = {
  /** What to send before anything was refused: what was learnt from this endpoint before; undefined: nothing. */
  authorization(endpoint: Endpoint, scopes: Scopes, signal: AbortSignal): Promise<string | undefined>;
  /** What to send after an answer 401 with `header` to a request sent with `refused`; undefined: nothing better is known. */
  renew(
    endpoint: Endpoint,
    scopes: Scopes,
    challenge: { readonly header: string; readonly refused: string | undefined },
    signal: AbortSignal,
  ): Promise<string | undefined>;
};

type Token = { readonly header: string; readonly expiresAt: number };
type Realm = { readonly url: URL; readonly isOwnHost: boolean; readonly service: string | undefined; readonly extraScopes: Scopes };

const answerLimit = 1 << 20;
/** A token that lives no longer than this any more is not used for a new request. */
const leeway = 5_000;

const tokenText = v.pipe(v.string(), v.regex(/^[\u0021-\u007e]+$/u), v.maxLength(64 * 1024));
const tokenSchema = v.looseObject({
  token: v.exactOptional(tokenText),
  access_token: v.exactOptional(tokenText),
  expires_in: v.exactOptional(v.number()),
});

export function createAuth(transport: Transport, findCredential: FindCredential): Auth {
  const learnt = new Map<string, Challenge>();
  const tokens = new Map<string, Token>();
  const flight = createSingleFlight<string, string>();

  const tokenFor = async (endpoint: Endpoint, challenge: Challenge, scopes: Scopes, signal: AbortSignal): Promise<string> => {
    const key = [endpoint.origin, ...scopes].join(' ');
    const known = tokens.get(key);
    if (known && known.expiresAt > Date.now() + leeway) return known.header;
    const fetchIt = async (own: AbortSignal): Promise<string> => {
      const credential = await findCredential(endpoint.host, own);
      const realm = realmOf(endpoint, challenge, credential);
      const token = await transport.persist(async () => await fetchToken(transport, realm, scopes, credential, own), own);
      tokens.set(key, token);
      return token.header;
    };
    return await flight(key, fetchIt, signal);
  };

  const headerFor = async (endpoint: Endpoint, challenge: Challenge, scopes: Scopes, signal: AbortSignal): Promise<string | undefined> => {
    const credential = await findCredential(endpoint.host, signal);
    if (credential?.kind === 'registry-token') return `Bearer ${credential.token}`;
    if (challenge.scheme === 'bearer') return await tokenFor(endpoint, challenge, scopes, signal);
    return credential?.kind === 'password' ? basic(credential) : undefined;
  };

  return {
    async authorization(endpoint, scopes, signal) {
      const challenge = learnt.get(endpoint.origin);
      return challenge && (await headerFor(endpoint, challenge, scopes, signal));
    },
    async renew(endpoint, scopes, { header, refused }, signal) {
      const challenges = parseChallenges(header);
      const challenge = challenges.find(({ scheme }) => scheme === 'bearer') ?? challenges.find(({ scheme }) => scheme === 'basic');
      if (!challenge) return undefined;
      const key = [endpoint.origin, ...scopes].join(' ');
      if (refused !== undefined && tokens.get(key)?.header === refused) tokens.delete(key);
      const renewed = await headerFor(endpoint, challenge, scopes, signal);
      if (renewed === undefined || renewed === refused) return undefined;
      learnt.set(endpoint.origin, challenge);
      return renewed;
    },
  };
}

/**
 * Where tokens are made. A realm is another host by design (auth.docker.io), so it gets the credentials only where they stay private:
 * by TLS, or at a plain HTTP registry's own host.
 */
function realmOf(endpoint: Endpoint, challenge: Challenge, credential: Credential | undefined): Realm {
  const text = challenge.parameters.get('realm') ?? '';
  const url = URL.parse(text);
  const refuse = (why: string) =>
    registryError('bad-realm', `"${endpoint.host}" asks for a token of "${url?.host || text.slice(0, 100)}", ${why}`);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) throw refuse('which is no web address');
  const isOwnHost = url.hostname === new URL(endpoint.origin).hostname;
  if (url.protocol === 'http:' && endpoint.origin.startsWith('https:')) throw refuse('which is plain HTTP while the registry is not');
  if (url.protocol === 'http:' && credential && !isOwnHost)
    throw refuse('another host, by plain HTTP: your credentials are not sent there');
  // Where clouds tell a machine its secrets: taken for our token, one of them would go to the registry.
  if (isLinkLocal(url.hostname) && !isOwnHost) throw refuse('an address of this network link only');
  url.username = '';
  url.password = '';
  const scope = challenge.parameters.get('scope') ?? '';
  return {
    url,
    isOwnHost,
    service: challenge.parameters.get('service'),
    extraScopes: scope.split(' ').filter((one) => /^repository:\S+:\S+$/u.test(one)),
  };
}

async function fetchToken(
  transport: Transport,
  realm: Realm,
  scopes: Scopes,
  credential: Credential | undefined,
  signal: AbortSignal,
): Promise<Token> {
  const started = Date.now();
  const wanted = [...new Set([...scopes, ...realm.extraScopes])];
  const isRefresh = credential?.kind === 'identity-token';
  const method = isRefresh ? 'POST' : 'GET';
  const url = new URL(realm.url);
  if (!isRefresh) {
    for (const scope of wanted) url.searchParams.append('scope', scope);
    if (realm.service !== undefined) url.searchParams.set('service', realm.service);
    if (credential?.kind === 'password') url.searchParams.set('account', credential.username);
  }
  using answer = await transport.send(
    {
      method,
      url,
      headers: { accept: 'application/json', ...(isRefresh ? { 'content-type': 'application/x-www-form-urlencoded' } : {}) },
      authorization: credential?.kind === 'password' ? basic(credential) : undefined,
      // A refresh token is for this server alone, whoever it redirects to.
      stay: isRefresh,
      isSent: !realm.isOwnHost,
      body: isRefresh ? refreshForm(credential.token, realm, wanted) : undefined,
    },
    signal,
  );
  await expectStatus(answer, method, [200]);
  return readToken(await answer.bytes(answerLimit), url, started);
}

function readToken(bytes: Uint8Array, url: URL, started: number): Token {
  const decoded = decodeToken(bytes, url);
  const token = decoded.token || decoded.access_token;
  if (!token) throw registryError('bad-token', `Cannot read the token of "${url.host}": there is none in the answer`);
  const seconds = decoded.expires_in !== undefined && decoded.expires_in > 0 ? decoded.expires_in : 60;
  return { header: `Bearer ${token}`, expiresAt: started + seconds * 1000 };
}

/** What is wrong with the answer is not quoted: a token may be in it. */
function decodeToken(bytes: Uint8Array, url: URL): v.InferOutput<typeof tokenSchema> {
  const document: Document = { what: `the token of "${url.host}"`, code: 'registry/bad-token', limit: answerLimit };
  try {
    return checkShape(withoutNullMembers(parseJson(bytes, document)), tokenSchema, document);
  } catch (error) {
    if (!isCode(error, 'registry/bad-token')) throw error;
    throw registryError('bad-token', `Cannot read the token of "${url.host}": its answer is not the JSON that it should be`);
  }
}

function withoutNullMembers(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null));
}

function refreshForm(token: string, realm: Realm, scopes: Scopes): Body {
  const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'jettison', refresh_token: token, scope: scopes.join(' ') });
  if (realm.service !== undefined) form.set('service', realm.service);
  const bytes = new TextEncoder().encode(form.toString());
  return { size: bytes.length, open: () => [bytes] };
}

function basic(credential: { readonly username: string; readonly password: string }): string {
  const bytes = new TextEncoder().encode(`${credential.username}:${credential.password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
}
