/** `jettison commit`: what a container wrote as one more layer over its image. */
import { rmSync } from 'node:fs';
import { decodeImageConfig, diffIdsOf, type ContainerConfig, type ImageConfig } from '#formats/oci/image-config.ts';
import { chainIds } from '#formats/oci/layer-ids.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import type { Report } from '#formats/progress/event.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { documentOf } from '#execution/exporter/assemble.ts';
import type { Container } from '#execution/container/store.ts';
import type { ContainerSpec } from '#execution/container/spec.ts';
import { parseSnapshotId, type SnapshotId } from '#execution/worker/contract.ts';
import { checkConfig, type ImageRecord } from '#stores/image/store.ts';
import { pauseContainer, unpauseContainer } from './container-life.ts';
import { changeConfig } from './config-changes.ts';
import { findContainer, ownFilesOf } from './container-files.ts';
import { unpackImage } from './fetch-image.ts';
import { newImageName } from './images.ts';
import { withoutLostSnapshots } from './lost-snapshots.ts';
import { inspectHealthCheck } from './container-health.ts';
import { noteContainer, noteTags } from './note-events.ts';
import { keepCommitOrigins } from './record-origins.ts';
import type { Engine } from './open.ts';

export type CommitRequest = {
  readonly container: string;
  /** `REPOSITORY[:TAG]`; undefined for none. */
  readonly name: string | undefined;
  readonly author: string;
  readonly message: string;
  readonly changes: readonly string[];
  /** Its processes stand still meanwhile, so that no file is half written. */
  readonly pauses: boolean;
};

/** Gives the new image's id. Throws `engine/no-such-container`, `engine/bad-change`, and what pausing throws. */
export async function commitContainer(engine: Engine, request: CommitRequest, report: Report, signal: AbortSignal): Promise<Digest> {
  const name = request.name === undefined ? [] : [newImageName(request.name)];
  const container = findContainer(engine, request.container);
  engine.hold();
  await using _ = container.state.kind === 'running' && request.pauses ? await standStill(engine, container, signal) : undefined;
  const commit = async () => await commitOnce(engine, { request, container, name }, report, signal);
  const id = await withoutLostSnapshots(engine, commit, report, signal);
  noteContainer(engine, container, 'commit', { comment: request.message, imageID: id, imageRef: request.name ?? '' });
  noteTags(engine, id, name);
  return id;
}

/** Until it is disposed. It may have ended by then. */
async function standStill(engine: Engine, container: Container, signal: AbortSignal): Promise<AsyncDisposable> {
  await pauseContainer(engine, container, signal);
  return {
    [Symbol.asyncDispose]: async () => {
      const now = engine.containers.find(container.id);
      if (now?.state.kind === 'paused') await unpauseContainer(engine, now, new AbortController().signal);
    },
  };
}

async function commitOnce(
  engine: Engine,
  { request, container, name }: { readonly request: CommitRequest; readonly container: Container; readonly name: readonly string[] },
  report: Report,
  signal: AbortSignal,
): Promise<Digest> {
  const base = engine.images.get(container.spec.imageId);
  if (base === undefined)
    throw new JettisonError('engine/image-gone', `The image of container ${container.name} is gone: ${container.spec.imageId}`, {
      fault: 'environment',
    });
  checkConfig(base);
  const image = decodeImageConfig(base.config, base.imageId);
  const config = await changeConfig({ ...image, config: configOf(container.spec, image.config ?? {}) }, request.changes, signal);
  const layer = await makeLayer(engine, { container, base }, report, signal);
  const created = new Date(engine.now()).toISOString();
  const entry = {
    created,
    ...(request.author === '' ? {} : { author: request.author }),
    created_by: (container.spec.command ?? container.spec.arguments).join(' '),
    ...(request.message === '' ? {} : { comment: request.message }),
    ...(layer === undefined ? { empty_layer: true } : {}),
  };
  const { author: _author, ...kept } = config;
  const document = documentOf({
    ...kept,
    created,
    ...(request.author === '' ? {} : { author: request.author }),
    rootfs: { type: 'layers', diff_ids: [...diffIdsOf(image), ...(layer === undefined ? [] : [layer.diffId])] },
    history: [...(image.history ?? []), entry],
  } satisfies ImageConfig);
  return engine.database.transaction(() => {
    const record = engine.images.save({
      config: document.bytes,
      layers: [...base.layers, ...(layer === undefined ? [] : [{ diffId: layer.diffId, size: layer.size }])],
      now: engine.now(),
    });
    if (layer !== undefined) keepCommitOrigins(engine, record, { container, base, layer });
    engine.images.tag(record.imageId, name);
    return record.imageId;
  });
}

/** The config that the container ran with, as docker commits it. Its own PATH need not stand there twice. */
function configOf(spec: ContainerSpec, image: ContainerConfig): ContainerConfig {
  return {
    ...image,
    Env: spec.environment,
    Entrypoint: spec.entrypoint,
    Cmd: spec.command,
    WorkingDir: spec.workingDirectory,
    ...(spec.user === '' ? {} : { User: spec.user }),
    ...(Object.keys(spec.labels).length === 0 ? {} : { Labels: spec.labels }),
    ...(spec.exposedPorts.length === 0 ? {} : { ExposedPorts: Object.fromEntries(spec.exposedPorts.map((port) => [port, {}])) }),
    ...(spec.stopSignal === '' ? {} : { StopSignal: spec.stopSignal }),
    ...inspectHealthCheck(spec),
  };
}

type NewLayer = { readonly diffId: Digest; readonly size: number; readonly snapshot: SnapshotId };

/** A snapshot of its own, with copies of the files: the container goes on writing to its own. Undefined when it wrote nothing. */
async function makeLayer(
  engine: Engine,
  { container, base }: { readonly container: Container; readonly base: ImageRecord },
  report: Report,
  signal: AbortSignal,
): Promise<NewLayer | undefined> {
  const worker = await engine.worker(signal);
  const { snapshot } = ownFilesOf(container, worker.rung);
  if (snapshot === undefined || (await worker.listChanges({ kind: 'container', snapshot }, signal)).length === 0) return undefined;
  const parent = await unpackImage(engine, base, report, signal);
  const file = engine.content.temporaryPath();
  try {
    const { diffId, size } = await worker.writeLayer({ snapshot, format: 'tar', file }, report, signal);
    const chainId = chainIds([...base.layers.map((layer) => layer.diffId), diffId]).at(-1);
    if (chainId === undefined) return undefined;
    const top = await worker.unpackLayer({ parent, chainId, diffId, file, size, mediaType: mediaTypes.layer }, report, signal);
    engine.images.setSnapshot(chainId, top);
    return { diffId, size: await layerSize(engine, top, signal), snapshot: top };
  } finally {
    rmSync(file, { force: true });
  }
}

/** Bytes of the files in a layer. */
export async function layerSize(engine: Engine, top: SnapshotId, signal: AbortSignal): Promise<number> {
  const worker = await engine.worker(signal);
  return (await worker.layerIdentities(parseSnapshotId(top), signal)).at(-1)?.size ?? 0;
}
