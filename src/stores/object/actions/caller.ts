/** Requests to the service itself, with the token, and to the signed addresses that it hands out, without. */
import type * as v from 'valibot';
import { withinTime } from '#ground/base/abort.ts';
import { checkShape, parseJson } from '#ground/base/decode.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { sleep } from '#ground/base/retry.ts';
import { failureOf, type Answer, type Body, type Request, type Transport } from '#stores/registry/transport.ts';
import { badAnswer } from '../errors.ts';

export type Caller = {
  readonly host: string;
  /** Gives what it answers. Throws `registry/...`; `object/timeout` when that took too long. */
  call(request: ServiceRequest, signal: AbortSignal): Promise<Reply>;
  /** One request to a signed address: no token. Any status is an answer. */
  ask(request: Omit<Request, 'authorization'>, signal: AbortSignal): Promise<Answer>;
  /** `ask` that must succeed, tried again as the transport does. */
  send(request: Omit<Request, 'authorization'>, signal: AbortSignal): Promise<void>;
  /** An address that the service handed out. Throws `object/bad-answer`. */
  signed(address: string): URL;
};

export type ServiceRequest = {
  readonly method: 'GET' | 'POST' | 'PATCH';
  /** Under the service's own address. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: object;
  readonly body?: Body;
  /** Statuses beside 2xx that are no failure. */
  readonly allowed?: readonly number[];
};

/** `decode` throws `object/bad-answer`. */
export type Reply = { readonly status: number; decode<const S extends v.GenericSchema>(schema: S): v.InferInput<S> };

export type CallerOptions = {
  readonly url: URL;
  readonly token: string;
  readonly transport: Transport;
  /** How long one request may take with all its tries, in milliseconds. */
  readonly timeout: number;
  /** Waits as long as that when there are too many requests; else a few tries must do. */
  readonly isPatient: boolean;
};

const answerLimit = 64 * 1024;
/** Pauses while there are too many requests, in milliseconds: the first, and the longest. */
const pauses = [5000, 60_000] as const;

export function createCaller({ url, token, transport, timeout, isPatient }: CallerOptions): Caller {
  const { host } = url;
  const once = async (request: ServiceRequest, signal: AbortSignal): Promise<Reply> => {
    const { method, headers, json, allowed } = request;
    using answer = await transport.send(
      {
        method,
        url: under(url, request.path),
        headers: { ...headers, ...(json === undefined ? {} : { 'content-type': 'application/json' }) },
        authorization: `Bearer ${token}`,
        body: json === undefined ? request.body : bodyOf(new TextEncoder().encode(JSON.stringify(json))),
        isCommit: true,
      },
      signal,
    );
    if (!isGood(answer.status) && allowed?.includes(answer.status) !== true) throw await failureOf(answer, method);
    const bytes = await answer.bytes(answerLimit);
    const document = { what: `the answer of "${host}"`, code: 'object/bad-answer', limit: answerLimit };
    return { status: answer.status, decode: (schema) => checkShape(parseJson(bytes, document), schema, document) };
  };
  const persistent = async (request: ServiceRequest, signal: AbortSignal): Promise<Reply> => {
    for (let pause: number = pauses[0]; ; pause = Math.min(2 * pause, pauses[1])) {
      try {
        return await transport.persist(async () => await once(request, signal), signal);
      } catch (error) {
        if (!isPatient || !isCode(error, 'registry/too-many-requests')) throw error;
        await sleep(pause, signal);
      }
    }
  };
  const caller: Caller = {
    host,
    call: async (request, signal) =>
      await withinTime(timeout, tooLate(host, timeout), async (own) => await persistent(request, own), signal),
    ask: async (request, signal) => await transport.send(request, signal),
    send: async (request, signal) =>
      await transport.persist(async () => {
        using answer = await caller.ask(request, signal);
        if (!isGood(answer.status)) throw await failureOf(answer, request.method);
      }, signal),
    signed: (address) => {
      const target = URL.parse(address);
      if (target === null || !['https:', 'http:'].includes(target.protocol)) throw badAnswer(host, 'it gives no address');
      if (url.protocol === 'https:' && target.protocol === 'http:') throw badAnswer(host, 'it gives an address without TLS');
      return target;
    },
  };
  return caller;
}

/** A body that lies in memory. */
export function bodyOf(bytes: Uint8Array): Body {
  return { size: bytes.length, open: () => [bytes] };
}

function isGood(status: number): boolean {
  return status >= 200 && status < 300;
}

function under(base: URL, path: string): URL {
  return new URL(path, base.href.endsWith('/') ? base : `${base.href}/`);
}

function tooLate(host: string, timeout: number): JettisonError {
  return new JettisonError('object/timeout', `"${host}" did not do what it was asked to within ${timeout / 1000} seconds`, {
    fault: 'environment',
    hint: 'It limits how often it may be asked; "timeout=20m" waits longer',
  });
}
