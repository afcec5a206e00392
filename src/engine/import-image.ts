/** `jettison import`: a tar of a whole file system as an image of one layer. */
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { resolve, join } from 'node:path';
import type { ImageConfig } from '#formats/oci/image-config.ts';
import { chainIds } from '#formats/oci/layer-ids.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import type { Report } from '#formats/progress/event.ts';
import { parseDigest, type Digest } from '#ground/base/digest.ts';
import { JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import { documentOf } from '#execution/exporter/assemble.ts';
import { changeConfig } from './config-changes.ts';
import { layerSize } from './commit-container.ts';
import { newImageName } from './images.ts';
import { noteImage } from './note-events.ts';
import type { Engine } from './open.ts';
import { nativeOrAsked } from './platform.ts';
import { version } from './version.ts';

export type ImportRequest = {
  /** A path or an address as it was typed, or a stream. */
  readonly source: string | AsyncIterable<Uint8Array>;
  readonly currentFolder: string;
  readonly name: string | undefined;
  readonly changes: readonly string[];
  readonly message: string;
  readonly platform: string | undefined;
};

/** Gives the image's id. Throws `engine/no-such-file`, `engine/bad-change`, `context/bad-archive`, and what unpacking a layer throws. */
export async function importImage(engine: Engine, request: ImportRequest, report: Report, signal: AbortSignal): Promise<Digest> {
  const names = request.name === undefined ? [] : [newImageName(request.name)];
  const { os, architecture, variant } = nativeOrAsked(request.platform);
  const empty: ImageConfig = {
    architecture,
    os,
    ...(variant === undefined ? {} : { variant }),
    config: {},
    rootfs: { type: 'layers', diff_ids: [] },
  };
  const config = await changeConfig(empty, request.changes, signal);
  engine.hold();
  const layer = await keepLayer(engine, request, report, signal);
  const created = new Date(engine.now()).toISOString();
  const comment = request.message || `Imported from ${typeof request.source === 'string' ? request.source : '-'}`;
  const document = documentOf({
    ...config,
    created,
    rootfs: { type: 'layers', diff_ids: [layer.diffId] },
    history: [{ created, comment }],
  } satisfies ImageConfig);
  const id = engine.database.transaction(() => {
    const record = engine.images.save({ config: document.bytes, layers: [layer], now: engine.now() });
    engine.images.noteBlob({ ...layer.blob, diffId: layer.diffId, mediaType: mediaTypes.layer, madeHere: false });
    engine.images.tag(record.imageId, names);
    return record.imageId;
  });
  noteImage(engine, 'import', id, names[0]);
  return id;
}

/** The tar, unpacked from its compression, as a blob: its digest is the layer's DiffID. */
async function keepLayer(engine: Engine, request: ImportRequest, report: Report, signal: AbortSignal) {
  const blob = await keepTar(engine, request, report, signal);
  const diffId = blob.digest;
  const [chainId] = chainIds([diffId]);
  if (chainId === undefined) throw new JettisonError('engine/no-chain', 'A chain of one layer has no id', { fault: 'bug' });
  const worker = await engine.worker(signal);
  const file = engine.content.path(blob.digest);
  const top = await worker.unpackLayer({ parent: undefined, chainId, diffId, file, mediaType: mediaTypes.layer }, report, signal);
  engine.images.setSnapshot(chainId, top);
  return { diffId, blob, size: await layerSize(engine, top, signal) };
}

async function keepTar(engine: Engine, request: ImportRequest, report: Report, signal: AbortSignal) {
  const { readPacked } = await import('#stores/context/tarball.ts');
  const path = engine.content.temporaryPath();
  const hash = createHash('sha256');
  let size = 0;
  const file = openSync(path, 'wx', 0o600);
  try {
    const take = (bytes: Uint8Array): void => {
      hash.update(bytes);
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
      size += bytes.length;
    };
    await readPacked({ chunks: await openSource(engine, request, report, signal), spool: `${path}.packed` }, take, signal);
    const blob = { digest: parseDigest(`sha256:${hash.digest('hex')}`), size };
    await engine.content.adopt(path, blob, signal);
    return blob;
  } finally {
    closeSync(file);
    rmSync(path, { force: true });
  }
}

async function openSource(
  engine: Engine,
  { source, currentFolder }: ImportRequest,
  report: Report,
  signal: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  if (typeof source !== 'string') return source;
  if (/^https?:\/\//u.test(source)) return createReadStream(await download(engine, source, report, signal));
  const path = resolve(currentFolder, source);
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
    throw new JettisonError('engine/no-such-file', `read ${source}: is a directory`, {
      hint: `Pack it first: tar -C ${source} -c . | jettison import -`,
    });
  const file = createReadStream(path);
  const { promise, resolve: opened, reject } = Promise.withResolvers<void>();
  file.once('open', () => opened()).once('error', reject);
  try {
    await promise;
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    const why = systemCode(error) === 'ENOENT' ? 'no such file or directory' : messageOf(error);
    throw new JettisonError('engine/no-such-file', `open ${source}: ${why}`, {
      cause: error,
      hint: 'A file, an address, or "-" for stdin',
    });
  }
  return file;
}

async function download(engine: Engine, url: string, report: Report, signal: AbortSignal): Promise<string> {
  const { openDownloads } = await import('#stores/context/http.ts');
  using _ = engine.waits.toldTo(report);
  using web = openDownloads({
    folder: join(engine.paths.store, 'downloads'),
    userAgent: `jettison/${version}`,
    environment: engine.environment,
    timing: engine.network,
    onWait: engine.waits.tell,
    now: engine.now,
    secret: () => undefined,
  });
  const name = 'archive';
  return join(await web.fetch({ url, name, checksum: undefined }, signal), name);
}
