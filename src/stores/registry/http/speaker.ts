/** Requests to an endpoint with authorization: asks, learns what the endpoint wants to see, asks again. */
import type { Auth, Scopes } from '../auth.ts';
import type { Endpoint } from '../config.ts';
import { failureOf, type Answer, type Body, type Request, type Transport } from '../transport.ts';

export type EndpointRequest = {
  readonly method: Request['method'];
  /** From `/v2/` on, or the whole address that an earlier answer gave. */
  readonly path: string | URL;
  readonly scopes: Scopes;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body;
  readonly isCommit?: boolean;
  readonly moves?: number;
};

export type Speaker = {
  readonly transport: Transport;
  /** One request. Any status but 401 is an answer; throws `registry/unauthorized` when nothing we have is taken. */
  ask(endpoint: Endpoint, request: EndpointRequest, signal: AbortSignal): Promise<Answer>;
};

/** A first token may be missing, a known one may have run out, and one that others share may be used up before us: more refusals mean no. */
const mostRenewals = 3;

export function createSpeaker(transport: Transport, auth: Auth): Speaker {
  /** Hosts guessed to speak plain HTTP that turned out to want TLS. */
  const secure = new Set<string>();

  const once = async (endpoint: Endpoint, request: EndpointRequest, signal: AbortSignal): Promise<Answer> => {
    const { path, scopes, ...kept } = request;
    const { method } = kept;
    const url = typeof path === 'string' ? new URL(path, endpoint.origin) : path;
    const isHome = url.origin === endpoint.origin;
    let authorization = isHome ? await auth.authorization(endpoint, scopes, signal) : undefined;
    for (let renewals = 0; ; renewals++) {
      const answer = await transport.send({ ...kept, url, authorization, isSent: !isHome }, signal);
      // Only the endpoint itself may ask who we are: not a host that it redirected us to.
      if (answer.status !== 401 || !isHome || answer.url.origin !== endpoint.origin) return answer;
      using _ = answer;
      const header = answer.headers['www-authenticate'] ?? '';
      const renewed = renewals < mostRenewals ? await auth.renew(endpoint, scopes, { header, refused: authorization }, signal) : undefined;
      if (renewed === undefined) throw await failureOf(answer, method);
      authorization = renewed;
    }
  };

  return {
    transport,
    async ask(endpoint, request, signal) {
      const current = secure.has(endpoint.host) ? inTls(endpoint) : endpoint;
      const answer = await once(current, request, signal);
      if (!current.guessed || answer.status !== 400) return answer;
      if (request.method === 'HEAD') {
        // Such an answer does not say why.
        using told = await once(current, { method: 'GET', path: '/v2/', scopes: [] }, signal);
        if (told.status !== 400 || !isForTls(await failureOf(told, 'GET'))) return answer;
        answer[Symbol.dispose]();
      } else {
        using refusal = answer;
        const failure = await failureOf(refusal, request.method);
        if (!isForTls(failure)) throw failure;
      }
      secure.add(endpoint.host);
      return await once(inTls(endpoint), request, signal);
    },
  };
}

/** What net/http and nginx say when plain HTTP reaches a TLS port. */
function isForTls(failure: Error): boolean {
  return /https/iu.test(failure.message);
}

function inTls(endpoint: Endpoint): Endpoint {
  return { ...endpoint, origin: `https://${endpoint.host}`, guessed: false };
}
