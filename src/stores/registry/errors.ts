/** What goes wrong between us and a registry, in words: every message names the host and the reason. */
import { isCode, JettisonError, messageOf, systemCode, type ErrorDetails } from '#ground/base/errors.ts';

/** Most bytes of an error answer that are read. */
export const errorBodyLimit = 64 * 1024;
const shownReason = 400;
/** Longest pause that a server may ask for, in milliseconds. */
const longestPause = 60_000;

/** What to do about bytes that are not what their digest or size says. */
export const damagedHint =
  'The registry, or a proxy before it, has damaged content: have the image pushed again, or take it from elsewhere';

const tryLater = 'Try again later; if it stays so, ask whoever runs the server';
const notARegistry = 'Check the address: this may be no registry, or something in between (a proxy, a login page) answers instead';

/** What to do where nothing better is known. */
const usualHints: Readonly<Record<string, string>> = {
  'server-error': tryLater,
  'too-many-requests': 'Try again later, or log in: servers allow more to those they know',
  'connection-lost': 'Try again; if it stays so, look at the network and the proxies in between',
  timeout: 'Check the server and the network in between; a slow one gets more time by "network" in the configuration',
  unreachable: 'Check the address, the network, and what may stand in between (a proxy, a firewall)',
  'bad-answer': notARegistry,
  'bad-redirect': 'Ask whoever runs the server: nothing was sent to that address',
  'too-many-redirects': 'Check the address, or ask whoever runs the server',
  'bad-token': "Check the server that hands out tokens, and the credentials in docker's config.json",
  'bad-realm': 'Check the address of the registry; if it is right, ask whoever runs it where its tokens come from',
  'too-long': notARegistry,
  'wrong-digest': damagedHint,
  'wrong-size': damagedHint,
  'upload-unknown': tryLater,
  refused: 'Look up the reason that the server gives; if it gives none, ask whoever runs it',
};

const pauses = new WeakMap<JettisonError, number>();

/** Milliseconds that the server asked to wait before the next try. */
export function askedPause(error: JettisonError): number | undefined {
  return pauses.get(error);
}

export function registryError(code: string, message: string, details: ErrorDetails = {}): JettisonError {
  const hint = usualHints[code];
  return new JettisonError(`registry/${code}`, message, { fault: 'environment', ...(hint === undefined ? {} : { hint }), ...details });
}

/** The same error, but not to be tried again. */
export function asFinal(error: JettisonError): JettisonError {
  return copyOf(error, false);
}

const passing = new WeakSet<JettisonError>();

/** The same error, to be tried again as often as any other: the host was there a moment ago. */
export function asPassing(error: JettisonError): JettisonError {
  const again = copyOf(error, true);
  passing.add(again);
  return again;
}

function copyOf(error: JettisonError, retryable: boolean): JettisonError {
  const { fault, cause, notes, hint } = error;
  return new JettisonError(error.code, error.message, { fault, cause, notes, retryable, ...(hint === undefined ? {} : { hint }) });
}

export function isPassing(error: JettisonError): boolean {
  return passing.has(error);
}

/** A URL for messages: queries hold signatures and tokens. */
export function shownUrl(url: URL): string {
  return `${url.pathname}${url.search === '' ? '' : '?...'}`;
}

export type FailedAnswer = {
  readonly method: string;
  readonly url: URL;
  readonly status: number;
  readonly statusText: string;
  readonly retryAfter: string | undefined;
  readonly body: string;
};

/** An HTTP status that means no. */
export function answerError(answer: FailedAnswer, now: number): JettisonError {
  const { url, status } = answer;
  const reasons = reasonsOf(answer.body);
  const said = reasons.length === 0 ? '' : `: ${reasons.join('; ').slice(0, shownReason)}`;
  const message = `"${url.host}" answered ${`${status} ${answer.statusText}`.trim()} to ${answer.method} ${shownUrl(url)}${said}`;
  switch (status) {
    case 401:
      return registryError('unauthorized', message, { fault: 'user', hint: `Check the name, or log in to "${url.host}"` });
    case 403:
      return registryError('forbidden', message, { fault: 'user', hint: `Check that your account may do this at "${url.host}"` });
    case 404:
      return reasons.some((reason) => reason.startsWith('BLOB_UPLOAD_UNKNOWN'))
        ? registryError('upload-unknown', message, { retryable: true })
        : registryError('not-found', message, { fault: 'user', hint: 'Check the name and the tag of the image' });
    case 413:
      return registryError('too-large', message, { hint: 'The registry or a proxy before it limits the size of uploads' });
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return busyError(message, answer, now);
    default:
      return registryError('refused', message);
  }
}

/** Trouble that may pass; unless the server wants us to stay away for long. */
function busyError(message: string, answer: FailedAnswer, now: number): JettisonError {
  const pause = pauseOf(answer.retryAfter, now);
  const code = answer.status === 429 ? 'too-many-requests' : 'server-error';
  if (pause !== undefined && pause > longestPause) {
    return registryError(code, `${message}; it asks to wait ${Math.ceil(pause / 1000)} seconds`, {
      hint: `Try again after that time: only ${longestPause / 1000} seconds are waited for`,
    });
  }
  const error = registryError(code, message, { retryable: true });
  if (pause !== undefined) pauses.set(error, pause);
  return error;
}

/** Retry-After: seconds or a date (RFC 9110, 10.2.3). */
function pauseOf(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,12}$/u.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/** `CODE: message` of the distribution spec's error documents; of anything else the first line of plain text. */
function reasonsOf(body: string): readonly string[] {
  try {
    const json: unknown = JSON.parse(body);
    if (typeof json !== 'object' || json === null) return [];
    if ('errors' in json && Array.isArray(json.errors)) return json.errors.slice(0, 5).flatMap(reasonOf);
    for (const key of ['error_description', 'message', 'msg', 'details', 'error'] as const) {
      const text: unknown = Object.hasOwn(json, key) ? Reflect.get(json, key) : undefined;
      if (typeof text === 'string') return [text];
    }
    return [];
  } catch {
    const line = /^[^<\r\n]{1,300}/u.exec(body.trim())?.[0] ?? '';
    return line === '' ? [] : [line];
  }
}

function reasonOf(entry: unknown): readonly string[] {
  if (typeof entry !== 'object' || entry === null) return [];
  const code = 'code' in entry && typeof entry.code === 'string' ? entry.code : '';
  const message = 'message' in entry && typeof entry.message === 'string' ? entry.message : '';
  const text = [code, message].filter((part) => part !== '').join(': ');
  return text === '' ? [] : [text];
}

const brokeWhileSending = 'Try again; if it stays so: a server, or a proxy before it, that takes no long uploads may break off like this';

/** The system call that failed. */
function callOf(error: unknown): unknown {
  return error instanceof Error && 'syscall' in error ? error.syscall : undefined;
}

/** Who could not be connected to, where that was another port than the URL's: a proxy. */
function proxyOf(url: URL, error: unknown): string | undefined {
  if (callOf(error) !== 'connect' || !(error instanceof Error) || !('port' in error) || !('address' in error)) return undefined;
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  return error.port === port ? undefined : `${String(error.address)}:${String(error.port)}`;
}

const noWay: Readonly<Record<string, string>> = {
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'no route to it',
  ENETDOWN: 'the network is down',
  EADDRNOTAVAIL: 'this machine has no address to connect from',
  EINVAL: 'that is no address to connect to',
  EACCES: 'it is not allowed',
  EPERM: 'it is not allowed',
  ETIMEDOUT: 'it does not answer',
};

/** A connection that could not be made or broke. */
export function networkError(url: URL, error: unknown): JettisonError {
  if (error instanceof JettisonError) return error;
  const code = systemCode(error) ?? '';
  const host = `"${url.host}"`;
  const details = { cause: error };
  const proxy = proxyOf(url, error);
  if (proxy !== undefined && (code === 'ECONNREFUSED' || noWay[code] !== undefined))
    return registryError(
      'unreachable',
      `Cannot connect to "${proxy}", the proxy on the way to ${host}: ${noWay[code] ?? 'connection refused'}`,
      {
        ...details,
        hint: 'Check HTTP_PROXY and HTTPS_PROXY; hosts in NO_PROXY are asked without one',
      },
    );
  if (code === 'ECONNREFUSED')
    return registryError('unreachable', `Cannot connect to ${host}: connection refused`, {
      ...details,
      hint: 'Check the address, and that the registry runs',
    });
  const way = ['read', 'write'].includes(String(callOf(error))) ? undefined : noWay[code];
  if (way !== undefined) return registryError('unreachable', `Cannot connect to ${host}: ${way}`, details);
  if (code === 'ENOTFOUND')
    return registryError('unreachable', `Cannot find host ${host}`, { ...details, hint: 'Check the name and the network' });
  if (code === 'EAI_AGAIN')
    return registryError('unreachable', `Cannot look up host ${host}: the name server does not answer`, { ...details, retryable: true });
  if (code === 'HPE_HEADER_OVERFLOW') return registryError('bad-answer', `${host} sends more headers than are read (16 kB)`, details);
  if (code.startsWith('HPE_'))
    return registryError('bad-answer', `${host} does not answer in HTTP: ${messageOf(error).replace(/^Parse Error: /u, '')}`, details);
  if (code === 'EPROTO' || code === 'ERR_SSL_WRONG_VERSION_NUMBER') {
    return registryError('no-tls', `${host} does not speak TLS`, {
      ...details,
      hint: `If it is a plain HTTP registry, say so in the configuration: "registries": {"${url.host}": {"plainHttp": true}}`,
    });
  }
  if (isCertificateCode(code)) {
    return registryError(
      'untrusted',
      `The certificate of ${host} is not trusted: ${messageOf(error).replace(/; if the root CA .*$/u, '')}`,
      {
        ...details,
        hint: certificateHint(code, url.host),
      },
    );
  }
  if (/^ERR_SSL_.*(?:CERTIFICATE|_CERT_)/u.test(code) && /alert/iu.test(messageOf(error)))
    return registryError('wants-certificate', `${host} wants a certificate of yours, or takes another one than it was shown`, {
      ...details,
      hint: `Put it into /etc/docker/certs.d/${url.host}, or certs.d of ~/.config/docker, as "client.cert" with "client.key"`,
    });
  const what = messageOf(error) === 'aborted' ? 'it was closed before the answer was complete' : messageOf(error);
  const hint = callOf(error) === 'write' ? { hint: brokeWhileSending } : {};
  return registryError('connection-lost', `The connection to ${host} broke: ${what}`, { ...details, ...hint, retryable: true });
}

export function timeoutError(url: URL, what: string, milliseconds: number): JettisonError {
  return registryError('timeout', `"${url.host}" ${what} for ${milliseconds / 1000} seconds`, { retryable: true });
}

function certificateHint(code: string, host: string): string {
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return "Check this machine's clock; if it is right, the server needs a new certificate";
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'Check the address: the certificate was made for another name';
  return `Add its authority to those of this machine (update-ca-certificates), or put it into /etc/docker/certs.d/${host} as "ca.crt", or name a file by NODE_EXTRA_CA_CERTS`;
}

const unknownAuthority: ReadonlySet<string> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
]);

/** Is it a certificate of an authority that is not known, which somebody else may know? */
export function isUnknownAuthority(error: unknown): boolean {
  return isCode(error, 'registry/untrusted') && unknownAuthority.has(systemCode(error.cause) ?? '');
}

function isCertificateCode(code: string): boolean {
  return /^(?:CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_CERT|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/u.test(code);
}
