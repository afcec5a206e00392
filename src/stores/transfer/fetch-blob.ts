/** Blobs from elsewhere into the content store: each once, however many ask, in this process and in others. */
import type { Digest } from '#ground/base/digest.ts';
import { childSignal } from '#ground/base/abort.ts';
import { isCode, type JettisonError } from '#ground/base/errors.ts';
import { createLimit, type Limit } from '#ground/base/limit.ts';
import { createSingleFlight, type SingleFlight } from '#ground/base/single-flight.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { nameOf, type Reference } from '#formats/oci/reference.ts';
import type { Report, TransferProgress } from '#formats/progress/event.ts';
import type { Ingest } from '#stores/content/ingest.ts';
import type { ContentStore } from '#stores/content/store.ts';
import type { RegistryClient } from '#stores/registry/client.ts';
import type { BlobSink } from '#stores/registry/download.ts';
import { damagedHint, registryError } from '#stores/registry/errors.ts';
import { createMeter } from './blobs/meter.ts';

export type BlobSource = { readonly reference: Reference; readonly client: RegistryClient; readonly content: ContentStore };

/** A place that has blobs, and the store that they go to. */
export type BlobPlace = {
  /** What tells it from others. */
  readonly name: string;
  readonly content: ContentStore;
  /** Fills the sink from its offset on, unchecked. `avoid`: hosts that gave wrong bytes before. Gives the host that served it. */
  download(
    descriptor: Descriptor,
    to: { readonly sink: BlobSink; readonly avoid: readonly string[] },
    signal: AbortSignal,
  ): Promise<string>;
};

/** A blob that is on its way. */
export type BlobPart = {
  /** The file that it is written to; at the end it is renamed to `completePath`. */
  readonly path: string;
  readonly completePath: string;
  /** Aborts when what came there is thrown away. */
  readonly signal: AbortSignal;
};

/** What all transfers into one store share. */
type Traffic = {
  /** By repository and digest: another repository may have what this one lacks. */
  readonly flight: SingleFlight<string, void>;
  readonly limit: Limit;
  /** Whoever waits for a blob sees its bytes come. */
  readonly watchers: Map<Digest, Set<Report>>;
};

const atOnce = 4;
const traffics = new WeakMap<ContentStore, Traffic>();

/** Makes sure that the blob is in the store. `onPart` is told where it is written to, if it is this call that fetches it; again when wrong bytes came. Throws `registry/...`, `content/no-space`. */
export async function fetchBlob(
  source: BlobSource & Pick<Fetching, 'onPart'>,
  descriptor: Descriptor,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const { reference, client, content, onPart } = source;
  const place: Fetching = {
    name: nameOf(reference),
    content,
    onPart,
    download: async (blob, to, own) => await client.fetchBlob(reference, blob, to, own),
  };
  await fetchBlobFrom(place, descriptor, report, signal);
}

type Fetching = BlobPlace & { readonly onPart?: ((part: BlobPart) => void) | undefined };

/** The same from any place that has blobs; throws what its `download` throws, `registry/wrong-digest`, `content/no-space`. */
export async function fetchBlobFrom(source: Fetching, descriptor: Descriptor, report: Report, signal: AbortSignal): Promise<void> {
  const { digest, size } = descriptor;
  if (source.content.has(digest, size)) return report(progress(descriptor, size, 'exists'));
  report(progress(descriptor, 0, 'waiting'));
  const traffic = trafficOf(source.content);
  const watchers = traffic.watchers.get(digest) ?? new Set();
  traffic.watchers.set(digest, watchers.add(report));
  const tell: Report = (event) => watchers.forEach((watcher) => watcher(event));
  try {
    const download = async (own: AbortSignal): Promise<void> =>
      await traffic.limit(async () => await fetchChecked(source, descriptor, tell, own), own);
    await traffic.flight(`${source.name}@${digest}`, download, signal);
    report(progress(descriptor, size, 'done'));
  } finally {
    watchers.delete(report);
    if (watchers.size === 0) traffic.watchers.delete(digest);
  }
}

/** Wrong bytes are thrown away and asked for once more, if possible of another host. */
async function fetchChecked(source: Fetching, descriptor: Descriptor, tell: Report, signal: AbortSignal): Promise<void> {
  const avoid: string[] = [];
  for (;;) {
    using claim = await source.content.claim({ digest: descriptor.digest, size: descriptor.size, durability: 'rebuildable' }, signal);
    if (!claim) return;
    using part = childSignal(signal);
    source.onPart?.({ path: claim.path, completePath: source.content.pathOnceThere(descriptor.digest), signal: part.signal });
    let host = '';
    try {
      host = await source.download(descriptor, { sink: metered(claim, descriptor, tell), avoid }, signal);
      await claim.commit(signal);
      return;
    } catch (error) {
      part.abort(error instanceof Error ? error : new Error(String(error)));
      if (!isCode(error, 'content/wrong-digest')) throw error;
      if (avoid.length > 0) throw wrongBytes(host, descriptor, error);
      avoid.push(host);
    }
  }
}

function metered(claim: Ingest, descriptor: Descriptor, tell: Report) {
  const meter = createMeter((current) => tell(progress(descriptor, current, 'running')));
  return {
    get offset() {
      return claim.offset;
    },
    write(chunk: Uint8Array) {
      claim.write(chunk);
      meter(claim.offset);
    },
    restart: () => claim.restart(),
  };
}

function progress(descriptor: Descriptor, current: number, state: TransferProgress['state']): TransferProgress {
  return { kind: 'transfer', direction: 'pull', item: descriptor.digest, current, total: descriptor.size, state };
}

function trafficOf(content: ContentStore): Traffic {
  const known = traffics.get(content);
  if (known) return known;
  const traffic: Traffic = { flight: createSingleFlight(), limit: createLimit(atOnce), watchers: new Map() };
  traffics.set(content, traffic);
  return traffic;
}

function wrongBytes(host: string, descriptor: Descriptor, cause: JettisonError): JettisonError {
  return registryError('wrong-digest', `"${host}" sent wrong bytes for ${descriptor.digest}, twice: their digest is another`, {
    cause,
    hint: damagedHint,
  });
}
