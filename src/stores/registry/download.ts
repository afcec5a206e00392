/** One blob from one host: never more bytes than it has, resumed where a connection broke. */
import { giveBack } from '#ground/base/give-back.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Endpoint } from './config.ts';
import { registryError, damagedHint } from './errors.ts';
import type { Speaker } from './http/speaker.ts';
import { expectStatus, refuseEncoding, type Answer } from './transport.ts';

export type BlobSink = {
  /** Bytes that are there already. */
  readonly offset: number;
  write(chunk: Uint8Array): void;
  /** Forgets what is there. */
  restart(): void;
};

export type Download = { readonly repository: string; readonly descriptor: Descriptor; readonly sink: BlobSink };

/** What gives the bytes of one blob. */
export type BlobHost = {
  /** For messages. */
  readonly host: string;
  /** Asks for it by GET with these headers. Throws `registry/...`. */
  get(headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Answer>;
};

/** Tries are counted anew after so many bytes: a long blob over a bad line is not given up. */
const goodProgress = 4 << 20;

/** Fills `sink` to exactly `descriptor.size` bytes, whose digest is still to be checked. */
export async function downloadBlob(speaker: Speaker, endpoint: Endpoint, download: Download, signal: AbortSignal): Promise<void> {
  const repository = endpoint.prefix === '' ? download.repository : `${endpoint.prefix}/${download.repository}`;
  const path = `/v2/${repository}/blobs/${download.descriptor.digest}`;
  const scopes = [`repository:${repository}:pull`];
  const host: BlobHost = {
    host: endpoint.host,
    get: async (headers, own) => await speaker.ask(endpoint, { method: 'GET', path, scopes, headers }, own),
  };
  await fillSink(host, download, signal);
}

/** The same from whatever gives the blob. Throws `registry/...`. */
export async function fillSink(host: BlobHost, blob: Pick<Download, 'descriptor' | 'sink'>, signal: AbortSignal): Promise<void> {
  const { descriptor, sink } = blob;
  for (;;) {
    const before = sink.offset;
    try {
      await fetchRest(host, blob, signal);
      return;
    } catch (error) {
      const mayGoOn = error instanceof JettisonError && error.retryable && !signal.aborted;
      if (!mayGoOn || sink.offset - before < goodProgress || sink.offset > descriptor.size) throw error;
    }
  }
}

async function fetchRest(from: BlobHost, { descriptor, sink }: Pick<Download, 'descriptor' | 'sink'>, signal: AbortSignal): Promise<void> {
  if (sink.offset >= descriptor.size && sink.offset > 0) sink.restart();
  using answer = await askForRest(from, { descriptor, sink }, signal);
  await expectStatus(answer, 'GET', [200, 206]);
  refuseEncoding(answer);
  if (sink.offset > 0 && !continuesAt(answer, sink.offset)) sink.restart();
  const declared = answer.headers['content-length'];
  const length = declared === undefined ? undefined : Number(declared);
  if (length !== undefined && length !== descriptor.size - sink.offset) throw wrongSize(from.host, descriptor, sink.offset + length);
  for await (const chunk of answer.chunks(descriptor.size - sink.offset)) {
    if (sink.offset + chunk.length > descriptor.size) throw wrongSize(from.host, descriptor, undefined);
    sink.write(chunk);
    giveBack(chunk);
  }
  if (sink.offset === descriptor.size) return;
  // Without a length the end of the connection may be a break; chunked bodies tell their end.
  if (answer.headers['transfer-encoding'] !== undefined) throw wrongSize(from.host, descriptor, sink.offset);
  throw registryError(
    'connection-lost',
    `"${from.host}" stopped after ${sink.offset} of ${descriptor.size} bytes of ${descriptor.digest}`,
    {
      retryable: true,
    },
  );
}

/** A server that does not give the rest is asked for the whole. */
async function askForRest(
  from: BlobHost,
  { descriptor, sink }: Pick<Download, 'descriptor' | 'sink'>,
  signal: AbortSignal,
): Promise<Answer> {
  if (sink.offset === 0) return await from.get({}, signal);
  const answer = await from.get({ range: `bytes=${sink.offset}-${descriptor.size - 1}` }, signal);
  if (answer.status !== 416) return answer;
  answer[Symbol.dispose]();
  sink.restart();
  return await from.get({}, signal);
}

/** Does the answer begin with byte `offset`? A server without ranges sends the whole. */
function continuesAt(answer: Answer, offset: number): boolean {
  const range = /^bytes (\d+)-\d+\/(?:\d+|\*)$/u.exec(answer.headers['content-range'] ?? '');
  return answer.status === 206 && Number(range?.[1]) === offset;
}

function wrongSize(host: string, descriptor: Descriptor, actual: number | undefined): JettisonError {
  const got = actual === undefined ? 'more' : `${actual}`;
  return registryError('wrong-size', `"${host}" sends ${got} bytes for ${descriptor.digest}, which has ${descriptor.size}`, {
    hint: damagedHint,
  });
}
