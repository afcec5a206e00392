/** Removing cached results and whatever else may go: what is remembered of them first, so that a process that is killed half-way leaves nothing that points into the void. */
import { openFailedSteps } from '#execution/builds/failed-steps.ts';
import { chooseEvictions } from '#execution/cache/worth.ts';
import { parseSnapshotId } from '#execution/worker/contract.ts';
import type { Keeper } from '#execution/worker/keeper.ts';
import { isDigest } from '#ground/base/digest.ts';
import { removeDownload } from '#stores/context/kept-downloads.ts';
import type { Engine } from '../open.ts';
import { snapshotResult } from '../results.ts';
import { downloadsFolder, takeAccount, type OnDisk, type SpaceItem } from './account.ts';
import { forgetSnapshot, forgetStepsOn } from './forget.ts';

export type CachePrune = {
  /** Which things may go at all; what somebody holds never does. */
  readonly mayGo: (item: SpaceItem) => boolean;
  /** Gives how many bytes may stay, of the bytes that nobody holds; undefined: nothing that may go stays. */
  readonly keep: (unheld: number) => number | undefined;
  /** What the last build used stays, too. */
  readonly sparesLastBuild: boolean;
  /** Results in use by an image are forgotten, too: their steps run again. */
  readonly forgetsHeld: boolean;
  /** Why: what `why` will say. */
  readonly rule: string;
};

/** `bytes`: what is free for it on disk, which is less than the items' own where files of theirs live on in an image. */
export type Pruned = { readonly items: readonly SpaceItem[]; readonly bytes: number };

/** Prunes, and gives what is gone. Garbage goes in any case. */
export function pruneCache(engine: Engine, keeper: Keeper, prune: CachePrune): Pruned {
  const disk: OnDisk = { snapshots: keeper.snapshots(), cacheMounts: keeper.cacheMounts() };
  const decision = engine.database.transaction(() => {
    if (engine.leasedSince() === undefined) endFuture(engine, keeper);
    return decide(engine, disk, prune);
  });
  const snapshots = keeper.release(decision.snapshots, decision.usedBefore);
  const gone = new Set<string>([...decision.gone, ...snapshots.ids, ...keeper.removeCacheMounts(decision.cacheMounts)]);
  const items = decision.items.filter((item) => gone.has(item.id));
  const others = items.filter((item) => item.kind !== 'snapshot').reduce((sum, item) => sum + item.bytes, 0);
  return { items, bytes: others + snapshots.bytes };
}

/** Nobody is at work: times after now are of a clock that was set back since, and would protect what they stand at until they have come. */
function endFuture(engine: Engine, keeper: Keeper): void {
  engine.records.endFuture(engine.now());
  keeper.endFuture(engine.now());
}

/** While this runs nobody can write to the engine's database, and nobody who begins to work with the store goes on (see `hold`). */
function decide(engine: Engine, disk: OnDisk, prune: CachePrune) {
  const now = engine.now();
  const usedBefore = Math.min(now, engine.leasedSince() ?? now);
  const account = takeAccount(engine, disk);
  const items = choose(account, prune, now, engine.records.list());
  const eviction = { at: now, rule: prune.rule };
  const snapshots = items.filter((item) => item.kind === 'snapshot').map((item) => parseSnapshotId(item.id));
  forgetStepsOn(engine, new Set(snapshots));
  for (const snapshot of snapshots) forgetSnapshot(engine, snapshot, eviction);
  openFailedSteps(engine.database).forget(snapshots);
  if (prune.forgetsHeld) {
    for (const item of account) {
      if (item.kind === 'snapshot' && item.holder !== 'build' && item.holder !== undefined && prune.mayGo(item))
        engine.records.forget(snapshotResult(parseSnapshotId(item.id)).id, eviction);
    }
  }
  const cacheMounts = new Set(items.filter((item) => item.kind === 'cache-mount').map((item) => item.id));
  return { items, snapshots, cacheMounts, usedBefore, gone: removeFiles(engine, items) };
}

/** Removes downloads and blobs; gives their ids. */
function removeFiles(engine: Engine, items: readonly SpaceItem[]): readonly string[] {
  return items.flatMap(({ kind, id }) => {
    if (kind === 'download') removeDownload(downloadsFolder(engine), id);
    else if (kind === 'blob' && isDigest(id)) {
      engine.content.delete(id);
      engine.images.forgetBlob(id);
    } else return [];
    return [id];
  });
}

/** Children come before what they stand on. */
function choose(
  account: readonly SpaceItem[],
  prune: CachePrune,
  now: number,
  records: readonly { readonly resultId: string; readonly isLast: boolean }[],
): readonly SpaceItem[] {
  const spared = new Set(records.filter((record) => prune.sparesLastBuild && record.isLast).map((record) => record.resultId));
  const stays = (item: SpaceItem): boolean =>
    item.holder !== undefined ||
    (!item.garbage && (!prune.mayGo(item) || (item.kind === 'snapshot' && spared.has(snapshotResult(parseSnapshotId(item.id)).id))));
  const kept = account.map((item) => ({ ...item, held: stays(item) }));
  const garbage = account.filter((item) => item.garbage && item.holder === undefined).toReversed();
  const rest = kept.filter((item) => !item.garbage);
  const unheld = rest.filter((item) => item.holder === undefined).reduce((sum, item) => sum + item.bytes, 0);
  const limit = prune.keep(unheld);
  const chosen = limit === undefined ? withoutStayingChildren(rest) : chooseEvictions(rest, unheld - limit, now);
  const byId = new Map(account.map((item) => [item.id, item]));
  return [...garbage, ...chosen.flatMap((id) => byId.get(id) ?? [])];
}

/** All that may go and carries nothing that stays. */
function withoutStayingChildren(kept: readonly (SpaceItem & { readonly held: boolean })[]): readonly string[] {
  const carrying = new Set<string>();
  const chosen: string[] = [];
  for (const item of kept.toReversed()) {
    if (item.held || carrying.has(item.id)) {
      for (const under of [item.parent ?? '', ...item.also]) carrying.add(under);
    } else chosen.push(item.id);
  }
  return chosen;
}
