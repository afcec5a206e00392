/** One HTTP request and its answer, with a limit for each wait: connecting, the first byte, and bytes that do not come. */
import { joinBytes } from '#ground/base/bytes.ts';
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { cancelled, childSignal, orAborted } from '#ground/base/abort.ts';
import { damagedHint, networkError, registryError, timeoutError } from '../errors.ts';

/** Milliseconds, but for `leastBytes`. */
export type Timing = {
  readonly connect: number;
  readonly firstByte: number;
  /** As `firstByte`, for a server that has to move a blob before it answers; longer for a long blob. */
  readonly commit: number;
  /** Longest time in which fewer than `leastBytes` move. */
  readonly idle: number;
  readonly leastBytes: number;
  /** After so long a wait it is said that we wait, and once more after three times as long. */
  readonly notice: number;
};

/** Told, as a sentence, that somebody keeps us waiting. */
export type OnWait = (text: string) => void;

/** `size` in bytes; undefined: it is sent in chunks, and its end is known when it comes. */
export type Body = { readonly size: number | undefined; open(signal: AbortSignal): AsyncIterable<Uint8Array> | Iterable<Uint8Array> };

export type Outgoing = {
  readonly url: URL;
  readonly method: string;
  readonly body: Body | undefined;
  /** Milliseconds until the answer must begin, once the request is sent. */
  readonly patience: number;
  /** The server has to put away what it was sent: a long body gives it more time. */
  readonly isCommit: boolean;
  readonly onWait: OnWait;
};

/** Disposing gives the connection back, or ends it when the answer was not read to its end. */
export type Answer = Disposable & {
  readonly url: URL;
  readonly status: number;
  readonly statusText: string;
  readonly headers: IncomingHttpHeaders;
  /** The body, once. `size`: bytes after which nothing more is expected, so its end is not waited for. Throws `registry/timeout`, `registry/connection-lost`. */
  chunks(size?: number): AsyncGenerator<Uint8Array, void, void>;
  /** The whole body. Throws `registry/too-long` beyond `limit` bytes. */
  bytes(limit: number): Promise<Uint8Array>;
};

const piece = 256 * 1024;
/** Milliseconds that the end of an answer is waited for after its last byte. */
const linger = 1000;

/** Sends `request` (made, but not ended) with its body, and waits for the head of the answer. */
export async function exchange(request: ClientRequest, outgoing: Outgoing, timing: Timing, signal: AbortSignal): Promise<Answer> {
  const watch = watchdog(outgoing, request, timing.notice, signal);
  const stop = (): void => void request.destroy(signal.reason instanceof Error ? signal.reason : new Error('cancelled'));
  signal.addEventListener('abort', stop, { once: true });
  const release = (): void => {
    watch[Symbol.dispose]();
    signal.removeEventListener('abort', stop);
  };
  const answer = Promise.withResolvers<IncomingMessage>();
  answer.promise.catch(() => {}); // also read where nobody waits any more
  request.on('response', answer.resolve);
  request.on('error', (error) => {
    answer.reject(error);
    watch.blame(error);
  });
  request.on('close', () => answer.reject(new Error('it was closed before an answer came')));
  request.on('upgrade', (message, socket) => {
    socket.destroy();
    const status = `${message.statusCode ?? 0} ${message.statusMessage ?? ''}`.trim();
    answer.reject(registryError('bad-answer', `"${outgoing.url.host}" answered ${status}: it goes over to what was not asked for`));
  });
  request.on('socket', (socket) => {
    if (request.reusedSocket || !socket.connecting) return;
    watch.arm('could not be connected to', timing.connect);
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => watch.rest());
  });
  try {
    signal.throwIfAborted();
    const sending = sendBody(request, outgoing, watch, timing, answer.promise, signal);
    sending.catch(answer.reject);
    const message = await orAborted(answer.promise, watch.signal);
    watch.rest();
    return createAnswer(message, { request, outgoing, watch, timing, release, signal });
  } catch (error) {
    release();
    request.destroy();
    signal.throwIfAborted();
    throw networkError(outgoing.url, error);
  }
}

/** Writes the body as fast as the other side takes it; stops when an answer or an error comes before the end, and whatever makes the body with it: the next try asks for it again. */
async function sendBody(
  request: ClientRequest,
  outgoing: Outgoing,
  watch: Watchdog,
  timing: Timing,
  answer: Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  let answered = false;
  using own = childSignal(signal);
  const stop = (): void => {
    answered = true;
    own.abort(cancelled('The answer has come'));
  };
  const seen = answer.then(stop, stop);
  let sent = 0;
  for await (const block of outgoing.body?.open(own.signal) ?? []) {
    for (let start = 0; start < block.length && !answered; start += piece) {
      if (request.write(block.subarray(start, start + piece))) continue;
      const drained = Promise.withResolvers<void>();
      request.once('drain', drained.resolve);
      if (!request.socket?.connecting) watch.arm('took no bytes', timing.idle);
      await Promise.race([drained.promise, seen]);
      watch.rest();
    }
    if (answered) return;
    sent += block.length;
  }
  request.end(() => {
    if (!answered) watch.arm('did not answer', outgoing.patience + (outgoing.isCommit ? timeToMove(sent) : 0));
  });
}

/** Milliseconds that a server is given to move so many bytes from one place of its own to another. */
export function timeToMove(bytes: number): number {
  return bytes / 10_000;
}

type Kept = {
  readonly request: ClientRequest;
  readonly outgoing: Outgoing;
  readonly watch: Watchdog;
  readonly timing: Timing;
  readonly release: () => void;
  readonly signal: AbortSignal;
};

function createAnswer(message: IncomingMessage, kept: Kept): Answer {
  const { url } = kept.outgoing;
  const answer: Answer = {
    url,
    status: message.statusCode ?? 0,
    statusText: message.statusMessage ?? '',
    headers: message.headers,
    chunks: (size) => readBody(message, kept, size),
    async bytes(limit) {
      // A document is short: what trickles has no more time than what stalls, tried again.
      using _ = watchWhole(kept);
      const declared = Number(message.headers['content-length'] ?? 0);
      if (declared > limit && kept.outgoing.method !== 'HEAD') throw tooLong(url, limit);
      const chunks: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of answer.chunks()) {
        size += chunk.length;
        if (size > limit) throw tooLong(url, limit);
        chunks.push(chunk);
      }
      return joinBytes(chunks);
    },
    [Symbol.dispose]() {
      kept.release();
      if (!message.complete || !kept.request.writableFinished) kept.request.destroy();
      else message.resume();
    },
  };
  return answer;
}

/** Time counts only while we wait for the other side, not while the chunk is worked on; a trickle is as good as nothing. */
async function* readBody(message: IncomingMessage, kept: Kept, size = Infinity): AsyncGenerator<Uint8Array, void, void> {
  const { watch, timing, outgoing, signal } = kept;
  const iterator: AsyncIterator<Uint8Array> = message[Symbol.asyncIterator]();
  let waited = 0;
  let received = 0;
  let total = 0;
  for (;;) {
    const since = performance.now();
    if (total >= size) watch.arm('did not end its answer', linger);
    else watch.arm(received > 0 ? 'sent almost nothing' : 'sent nothing more', timing.idle, timing.idle - waited);
    const next = await orAborted(iterator.next(), watch.signal).catch((error: unknown) => {
      signal.throwIfAborted();
      if (total >= size) return { done: true } as const;
      throw networkError(outgoing.url, watch.reason ?? error);
    });
    watch.rest();
    if (next.done === true) return;
    total += next.value.length;
    received += next.value.length;
    waited += performance.now() - since;
    if (received >= timing.leastBytes) [waited, received] = [0, 0];
    yield next.value;
  }
}

/** Ends the request when its whole body has not come within twice the limit for silence. */
function watchWhole({ request, timing, watch }: Kept): Disposable {
  const longest = 2 * timing.idle;
  const timer = setTimeout(() => watch.end('did not come to the end of a short answer', longest), longest);
  request.once('close', () => clearTimeout(timer));
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

type Watchdog = Disposable & {
  readonly reason: Error | undefined;
  /** Aborts with the reason, or with its parent: ending a request that is half over tells nobody. */
  readonly signal: AbortSignal;
  /** What went wrong first is the reason. */
  blame(error: Error): void;
  /** Ends the request now. */
  end(what: string, limit: number): void;
  /** Ends the request after `left` milliseconds with a message that names `limit`. */
  arm(what: string, limit: number, left?: number): void;
  rest(): void;
};

function watchdog(
  { url, onWait }: Pick<Outgoing, 'url' | 'onWait'>,
  request: ClientRequest,
  notice: number,
  signal: AbortSignal,
): Watchdog {
  let timer: NodeJS.Timeout | undefined;
  let late: NodeJS.Immediate | undefined;
  let reason: Error | undefined;
  const own = childSignal(signal);
  /** What was said of this wait already: a trickle is one wait in many pieces. */
  let said = 0;
  const end = (what: string, limit: number): void => {
    reason ??= timeoutError(url, what, limit);
    request.destroy(reason);
    own.abort(reason);
  };
  const rest = (): void => {
    clearTimeout(timer);
    clearImmediate(late);
  };
  const wait = (what: string, limit: number, waited: number): void => {
    const next = [notice, 3 * notice].find((one) => one > said && one < limit) ?? limit;
    timer = setTimeout(
      () => {
        if (next === limit) {
          // What came while this process was busy with something else, or did not run at all, is seen before it is called missing.
          late = setImmediate(() => end(what, limit));
          return;
        }
        said = next;
        onWait(`Still waiting: "${url.host}" ${what} for ${next / 1000} of at most ${limit / 1000} seconds`);
        wait(what, limit, Math.max(next, waited));
      },
      Math.max(1, next - waited),
    );
  };
  return {
    get reason() {
      return reason;
    },
    signal: own.signal,
    blame: (error) => void (reason ??= error),
    end,
    arm(what, limit, left = limit) {
      rest();
      if (left === limit) said = 0;
      wait(what, limit, limit - left);
    },
    rest,
    [Symbol.dispose]: () => {
      rest();
      own[Symbol.dispose]();
    },
  };
}

function tooLong(url: URL, limit: number) {
  return registryError('too-long', `"${url.host}" sends more than ${limit} bytes where at most so many are read`, { hint: damagedHint });
}
