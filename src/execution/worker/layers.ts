/** Snapshots as layers and layers as snapshots, inside the worker. What a layer's tar digests to is remembered as a fact of its snapshot. */
import { parseDigest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { childSignal, orAborted, type ChildSignal } from '#ground/base/abort.ts';
import { createSingleFlight } from '#ground/base/single-flight.ts';
import { chainAbove, type ChainId } from '#formats/oci/layer-ids.ts';
import type { Report } from '#formats/progress/event.ts';
import { applyLayer } from '#stores/layer/apply.ts';
import { exportTree, type Exported } from '#stores/layer/export.ts';
import { layerIdentity, recompressLayer, writeLayer } from '#stores/layer/create.ts';
import { snapshotNotFound, type Snapshot, type SnapshotId, type SnapshotStore } from '#stores/snapshot/contract.ts';
import { epochOf, noteEpoch } from '#execution/ops/epoch.ts';
import { knownFileBytes, noteFileBytes } from '#execution/ops/file-bytes.ts';
import { madeAtOf, noteMadeAt } from '#execution/ops/made-at.ts';
import { createComingParents } from './coming-parents.ts';
import type { LayerBlob, LayerIdentity, LayerRequest, TreeRequest, UnpackRequest } from './contract.ts';
import { isMissing } from './missing.ts';

const facts = { diffId: 'diff-id', chainId: 'chain-id' } as const;

export type Layers = {
  /** The identity of a snapshot's layer, known by other means than reading its folder. */
  remember(id: SnapshotId, layer: Layer): void;
  /** The snapshot was written on: what is known of it is wrong. */
  forget(id: SnapshotId): void;
  identities(top: SnapshotId, signal: AbortSignal): Promise<readonly LayerIdentity[]>;
  write(request: LayerRequest, report: Report, signal: AbortSignal): Promise<LayerBlob>;
  exportTree(request: TreeRequest, report: Report, signal: AbortSignal): Promise<Exported>;
  unpack(request: UnpackRequest, report: Report, signal: AbortSignal): Promise<SnapshotId>;
};

type Layer = Pick<LayerIdentity, 'diffId' | 'size'>;

export function createLayers(snapshots: SnapshotStore): Layers {
  const identifying = createSingleFlight<SnapshotId, Layer>();
  const unpacking = createSingleFlight<ChainId, SnapshotId>();
  // A chain is asked for after each of its steps, and a snapshot's layer never changes: without this, 100 steps read 10,000 facts.
  const identified = new Map<SnapshotId, Layer>();
  const times = new Map<SnapshotId, Pick<LayerIdentity, 'createdAt' | 'epoch'>>();
  const parents = createComingParents();

  const identify = async (id: SnapshotId, signal: AbortSignal): Promise<Layer> => {
    const known = snapshots.getFact(id, facts.diffId);
    const size = knownFileBytes(snapshots, id);
    if (known !== undefined && size !== undefined) return { diffId: parseDigest(known), size };
    const { folder, parent } = found(snapshots, id);
    const made = await layerIdentity({ folder, below: foldersOf(snapshots, parent) }, signal);
    // A layer that came from elsewhere keeps the DiffID it came with: its own tar was another one.
    const layer = { diffId: known === undefined ? made.diffId : parseDigest(known), size: made.size };
    remember(snapshots, id, layer);
    return layer;
  };

  return {
    remember: (id, layer) => remember(snapshots, id, layer),
    forget(id) {
      identified.delete(id);
      times.delete(id);
    },
    identities: async (top, signal) =>
      await Promise.all(
        snapshots.chain(top).map(async ({ id, content, createdAt }) => {
          // What was stacked over another chain is the same layer as where it was made.
          const layer = identified.get(content) ?? (await identifying(content, async (own) => await identify(content, own), signal));
          identified.set(content, layer);
          const known = times.get(id) ?? {
            createdAt: madeAtOf(snapshots, { id, createdAt }),
            epoch: Number(epochOf(snapshots, id)) * 1000,
          };
          times.set(id, known);
          return { snapshot: id, ...layer, ...known };
        }),
      ),
    write: async (request, report, signal) => {
      const item = 'blob' in request ? request.blob : (snapshots.getFact(request.snapshot, facts.diffId) ?? request.snapshot);
      const onProgress = (current: number): void =>
        report({ kind: 'transfer', direction: 'compress', item, current, total: 0, state: 'running' });
      if ('blob' in request) return await recompressLayer(request, onProgress, signal);
      const { snapshot, ...to } = request;
      return await writeLayer({ ...sourceOf(snapshots, snapshot), ...to }, onProgress, signal);
    },
    exportTree: async ({ trees, ...what }, report, signal) => {
      const onProgress = (current: number): void =>
        report({ kind: 'transfer', direction: 'write', item: whereTo(what.to), current, total: 0, state: 'running' });
      const parts = trees.map(({ snapshot, ...under }) => ({ folders: foldersOf(snapshots, snapshot), ...under }));
      return await exportTree({ parts, ...what }, onProgress, signal);
    },
    unpack: async (request, report, signal) => {
      const { chainId } = request;
      const unpack = async (parent: SnapshotId | undefined | Promise<SnapshotId>): Promise<SnapshotId> =>
        await unpacking(
          chainId,
          async (own) =>
            findUnpacked(snapshots, chainId, parent !== undefined) ??
            (await unpackNew(snapshots, { ...request, parent }, { report, signal: own })),
          signal,
        );
      const { parent } = request;
      if (parent === undefined) return await unpack(parent);
      // One whose parent is here tells it to those who share the work as well: they may have begun it for somebody who has left.
      using coming = parents.join(chainId, Promise.resolve(parent));
      return await unpack(parent instanceof Promise ? coming.parent : parent);
    },
  };
}

/** Of one that is being written, by a container, what it has now. */
function sourceOf(snapshots: SnapshotStore, id: SnapshotId): { readonly folder: string; readonly below: readonly string[] } {
  const known = snapshots.get(id);
  if (known !== undefined) {
    const { folder, parent } = found(snapshots, known.content);
    return { folder, below: foldersOf(snapshots, parent) };
  }
  const [folder, ...below] = snapshots.foldersOf(id);
  if (folder === undefined) throw snapshotNotFound(id);
  return { folder, below };
}

async function unpackNew(
  snapshots: SnapshotStore,
  request: UnpackRequest,
  { report, signal }: { readonly report: Report; readonly signal: AbortSignal },
): Promise<SnapshotId> {
  const { parent, chainId, madeAt, ...blob } = request;
  const isComing = parent instanceof Promise;
  if (!isComing) checkChain(snapshots, parent, request);
  await using active = await snapshots.prepare(isComing ? undefined : parent, signal);
  const tell = (current: number, state: 'running' | 'done'): void =>
    report({ kind: 'transfer', direction: 'unpack', item: request.diffId, current, total: 0, state });
  const onProgress = (current: number): void => tell(current, 'running');
  using own = childSignal(signal);
  const below = isComing ? foldersOfComing(snapshots, parent, own) : foldersOf(snapshots, parent);
  const { size, ownRoot, newest } = await applyLayer({ ...blob, folder: active.folder, below }, onProgress, own.signal);
  if (isComing) {
    const over = await orAborted(parent, signal);
    checkChain(snapshots, over, request);
    active.moveOver(over, !ownRoot);
  }
  const committed = await active.commit(signal);
  const { id } = committed;
  noteEpoch(snapshots, committed, newest);
  remember(snapshots, id, { diffId: blob.diffId, size });
  snapshots.setFact(id, facts.chainId, chainId);
  if (madeAt !== undefined) noteMadeAt(snapshots, id, madeAt);
  tell(size, 'done');
  return id;
}

/** What a layer is found by later must be what it is. */
function checkChain(snapshots: SnapshotStore, parent: SnapshotId | undefined, { chainId, diffId }: UnpackRequest): void {
  if (chainAbove(chainIdOf(snapshots, parent), diffId) !== chainId)
    throw new JettisonError('worker/wrong-chain', `Layer ${diffId} over ${parent ?? 'nothing'} is not ${chainId}`, { fault: 'bug' });
}

/** Settles only with the folders: whoever waits for them is aborted where they cannot be had. */
async function foldersOfComing(snapshots: SnapshotStore, parent: Promise<SnapshotId>, waiting: ChildSignal): Promise<readonly string[]> {
  try {
    return foldersOf(snapshots, await parent);
  } catch (error) {
    waiting.abort(error instanceof Error ? error : new Error(String(error)));
    return await new Promise<never>(() => undefined);
  }
}

/** Folders of a snapshot and all below it, topmost first. */
function foldersOf(snapshots: SnapshotStore, top: SnapshotId | undefined): readonly string[] {
  if (top === undefined) return [];
  return snapshots
    .chain(top)
    .map((snapshot) => snapshot.folder)
    .toReversed();
}

function remember(snapshots: SnapshotStore, id: SnapshotId, layer: Layer): void {
  snapshots.setFact(id, facts.diffId, layer.diffId);
  noteFileBytes(snapshots, id, layer.size);
}

/** The same layer over the same files, whoever unpacked it and under whichever name the parent is known here; nobody takes it away from now on. */
function findUnpacked(snapshots: SnapshotStore, chainId: ChainId, hasParent: boolean): SnapshotId | undefined {
  const known = snapshots
    .findByFact(facts.chainId, chainId)
    .find((id) => (!hasParent || snapshots.get(id)?.parent !== undefined) && !isMissing(snapshots, id));
  // Perhaps nothing refers to it any more: a prune beside us must see that it is wanted again.
  return known !== undefined && snapshots.touch(known) ? known : undefined;
}

function chainIdOf(snapshots: SnapshotStore, id: SnapshotId | undefined): ChainId | undefined {
  if (id === undefined) return undefined;
  let chainId: ChainId | undefined;
  for (const snapshot of snapshots.chain(id)) {
    const diffId = snapshots.getFact(snapshot.content, facts.diffId);
    if (diffId === undefined)
      throw new JettisonError('worker/unknown-layer', `Snapshot ${snapshot.id} has no known layer`, { fault: 'bug' });
    chainId = chainAbove(chainId, parseDigest(diffId));
  }
  return chainId;
}

function found(snapshots: SnapshotStore, id: SnapshotId): Snapshot {
  const snapshot = snapshots.get(id);
  if (snapshot === undefined) throw snapshotNotFound(id);
  return snapshot;
}

function whereTo(to: TreeRequest['to']): string {
  return to.kind === 'folder' ? to.path : to.file;
}
