/**
 * A failed step in a file, for another machine: a docker archive packed with zstd, with an image for each tree (the files that the step left, those before it, those it had mounted), of which the
 * first has the step's record as a label. What was never kept is not in it: values of secrets, agents.
 */
import { createReadStream, createWriteStream, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { decodeImageConfig, type ImageConfig } from '#formats/oci/image-config.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { copyAs } from '#formats/graph/copy.ts';
import type { Report } from '#formats/progress/event.ts';
import { digestOf } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { readFailedStep, type FailedInput, type FailedStep } from '#execution/builds/failed-step.ts';
import { documentOf } from '#execution/exporter/assemble.ts';
import { parseSnapshotId, type SnapshotId, type Worker } from '#execution/worker/contract.ts';
import { dockerArchive, writeArchive, writeDraft, type SavedImage } from '#stores/image/archive.ts';
import { openImageArchive } from '#stores/image/read-archive.ts';
import { unpackArchived } from './load.ts';
import { makeManifest } from './make-manifest.ts';
import type { Engine } from './open.ts';
import { nativeOrAsked } from './platform.ts';
import { checkThere } from './debug-step.ts';
import { placeOfFailed, toSource, type KeptFailedStep } from './step-place.ts';

const [stepLabel, treeLabel] = ['jettison.failed-step', 'jettison.tree'] as const;
const stateTree = 'state';
/** The level of zstd at which it is as fast as a disk. */
const level = 3;

/** Writes the file; it is complete or not there. Throws `engine/place-gone`, `image/cannot-write` and the like. */
export async function writeBundle(engine: Engine, kept: KeptFailedStep, path: string, report: Report, signal: AbortSignal): Promise<void> {
  engine.hold();
  const worker = await engine.worker(signal);
  await checkThere(worker, placeOfFailed(kept), signal);
  await using left = new AsyncDisposableStack();
  const { step } = kept;
  const { source: _, ...told } = step;
  const trees = await treesOf(worker, step, { left, report, signal });
  const label = JSON.stringify({ ...told, state: step.state === null ? null : stateTree, inputs: trees.inputs, request: null, log: null });
  const images: SavedImage[] = [];
  for (const [name, snapshot] of trees.snapshots) {
    const labels = { [treeLabel]: name, ...(name === stateTree ? { [stepLabel]: label } : {}) };
    images.push(await imageOf(engine, { worker, snapshot, labels, left }, report, signal));
  }
  await writeDraft(path, async (draft) => {
    const tar = Readable.from(chunksOf(async (write) => await writeArchive(dockerArchive(images), { kind: 'stream', write }, signal)));
    await pipeline(
      tar,
      createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: level } }),
      createWriteStream(draft, { mode: 0o600 }),
      { signal },
    );
  });
}

type Around = { readonly left: AsyncDisposableStack; readonly report: Report; readonly signal: AbortSignal };
type Trees = { readonly snapshots: ReadonlyMap<string, SnapshotId | undefined>; readonly inputs: readonly FailedInput[] };

/** By name; the inputs name them. Of the client's folders only what was mounted comes along. */
async function treesOf(worker: Worker, step: FailedStep, { left, report, signal }: Around): Promise<Trees> {
  const snapshots = new Map<string, SnapshotId | undefined>([[stateTree, step.state === null ? undefined : parseSnapshotId(step.state)]]);
  const inputs: FailedInput[] = [];
  for (const [index, input] of step.inputs.entries()) {
    if (input.kind === 'empty') {
      inputs.push(input);
      continue;
    }
    const name = `input${index}`;
    inputs.push({ kind: 'snapshot', snapshot: name });
    if (input.kind === 'snapshot') snapshots.set(name, parseSnapshotId(input.snapshot));
    else {
      const copied = await copyMounted(worker, step, index, report, signal);
      left.defer(async () => await worker.release([copied], new AbortController().signal));
      snapshots.set(name, copied);
    }
  }
  return { snapshots, inputs };
}

async function copyMounted(
  worker: Worker,
  { op, inputs, text }: FailedStep,
  index: number,
  report: Report,
  signal: AbortSignal,
): Promise<SnapshotId> {
  const input = inputs[index];
  const sources = op.mounts.flatMap((mount) => (mount.kind === 'bind' && mount.input === index ? [mount.source] : []));
  const actions = sources.map((source) => copyAs(source, source));
  const request = { op: { kind: 'file', base: null, actions } as const, inputs: [input === undefined ? undefined : toSource(input)] };
  const nothing = { quietEnvironment: [], secrets: new Map(), agents: new Map() };
  return await worker.run({ vertex: digestOf(`${text} ${index}`), ...request, ...nothing }, report, signal);
}

type Tree = {
  readonly worker: Worker;
  readonly snapshot: SnapshotId | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly left: AsyncDisposableStack;
};

async function imageOf(engine: Engine, { worker, snapshot, labels, left }: Tree, report: Report, signal: AbortSignal): Promise<SavedImage> {
  const layers: SavedImage['layers'][number][] = [];
  for (const layer of snapshot === undefined ? [] : await worker.layerIdentities(snapshot, signal)) {
    const file = engine.content.temporaryPath();
    left.defer(async () => await Promise.resolve(rmSync(file, { force: true })));
    const { diffId, digest, size } = await worker.writeLayer({ snapshot: layer.snapshot, format: 'tar', file }, report, signal);
    layers.push({ mediaType: mediaTypes.layer, digest, size, diffId, open: () => createReadStream(file) });
  }
  const platform = nativeOrAsked(undefined);
  const config = documentOf({
    architecture: platform.architecture,
    os: platform.os,
    config: { Labels: labels },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(() => ({ created_by: 'jettison debug --bundle' })),
  } satisfies ImageConfig);
  const record = { config: config.bytes, imageId: config.digest };
  const { manifest } = makeManifest({ record, form: { format: 'oci', annotations: {} }, layers });
  return { config, manifest, layers, names: [] };
}

/** What is written, as chunks that are taken one by one. */
async function* chunksOf(produce: (write: (chunk: Uint8Array) => Promise<void>) => Promise<void>): AsyncGenerator<Uint8Array> {
  let next = Promise.withResolvers<Uint8Array | undefined>();
  let taken = Promise.withResolvers<void>();
  const done = produce(async (chunk) => {
    next.resolve(chunk);
    await taken.promise;
    taken = Promise.withResolvers();
  }).then(
    () => next.resolve(undefined),
    (error: unknown) => next.reject(error),
  );
  for (;;) {
    const chunk = await next.promise;
    if (chunk === undefined) break;
    next = Promise.withResolvers();
    yield chunk;
    taken.resolve();
  }
  await done;
}

/** Makes the step of such a file the failed step of this store. Throws `engine/bad-bundle`, and what loading an archive throws. */
export async function openBundle(engine: Engine, path: string, report: Report, signal: AbortSignal): Promise<FailedStep> {
  engine.hold();
  const source = { kind: 'file', path } as const;
  const temporaryFolder = join(engine.content.folder, 'ingest');
  using archive = await openImageArchive({ source, temporaryFolder, platform: nativeOrAsked(undefined) }, signal);
  const trees = new Map<string, SnapshotId | undefined>();
  let text: string | undefined;
  for (const image of archive.images) {
    const labels = decodeImageConfig(image.config, path).config?.Labels ?? {};
    const name = labels[treeLabel];
    if (name === undefined) throw badBundle(path);
    text ??= labels[stepLabel];
    trees.set(name, (await unpackArchived(engine, image, report, signal)).top);
  }
  if (text === undefined) throw badBundle(path);
  const step = readFailedStep(text);
  const find = (name: string): string | null => {
    if (!trees.has(name)) throw badBundle(path);
    return trees.get(name) ?? null;
  };
  const inputs = step.inputs.map((input): FailedInput => {
    if (input.kind !== 'snapshot') return { kind: 'empty' };
    const snapshot = find(input.snapshot);
    return snapshot === null ? { kind: 'empty' } : { kind: 'snapshot', snapshot };
  });
  const { source: _, ...told } = step;
  const opened: FailedStep = {
    ...told,
    op: withoutRights(step),
    state: step.state === null ? null : find(stateTree),
    inputs,
    request: null,
    log: null,
  };
  if (step.op.security === 'insecure')
    report({ kind: 'note', text: 'It ran with "--security=insecure"; out of a bundle it runs in a sandbox' });
  (await engine.failedSteps()).keep({ project: `${path} (bundle)`, build: undefined, failedAt: engine.now(), step: opened });
  return opened;
}

/** A file from elsewhere gets nothing that a build has to be allowed (`--allow security.insecure`), and no cgroup of another machine. */
function withoutRights({ op: given }: FailedStep): FailedStep['op'] {
  const { cgroupParent: _, ...op } = given;
  return { ...op, security: 'sandbox' };
}

function badBundle(path: string): JettisonError {
  return new JettisonError('engine/bad-bundle', `"${path}" holds no failed step`, { hint: 'Make one: jettison debug --bundle FILE' });
}
