/**
 * What a build has found is in use until it ends. Looking up writes nothing: only before the first step runs (and never, in a build in which nothing does) is
 * all that was found so far marked as used, and from then on each find. What was pruned in between is noticed there, or when the image is named.
 */
import type { CacheKey } from '#execution/cache/key.ts';
import type { CacheRecords } from '#execution/cache/records.ts';
import type { CacheLookup, Solved } from '#execution/solver/contract.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Engine } from './open.ts';

export type BuildUses = {
  /** The engine's records, watched. */
  readonly cache: CacheLookup;
  /** Call it before a step runs: nothing that this build has found, or will find, is pruned from now on. Throws `engine/result-removed`. */
  protect(): void;
};

/** For one attempt to build. */
export function followUses(engine: Engine): BuildUses {
  const found = new Set<string>();
  const shapes = new Set<CacheKey>();
  let isProtected = false;
  const note = (resultId: string): void => {
    if (found.has(resultId)) return;
    found.add(resultId);
    if (isProtected) engine.records.touch([resultId], engine.now());
  };
  return {
    cache: {
      find(key: CacheKey) {
        const record = engine.records.find(key);
        if (record !== undefined) note(record.resultId);
        return record;
      },
      save: (key, record) => engine.records.save(key, record),
      replace: (key, record) => engine.records.replace(key, record),
      knowsShape(shape) {
        const isKnown = shapes.has(shape) || engine.records.knowsShape(shape);
        if (isKnown) shapes.add(shape);
        return isKnown;
      },
      keepShape(shape) {
        if (shapes.has(shape)) return;
        if (!engine.records.knowsShape(shape)) engine.records.keepShape(shape);
        shapes.add(shape);
      },
    },
    protect() {
      if (isProtected) return;
      engine.hold();
      engine.database.transaction(() => {
        demandAll(engine.records, found);
        engine.records.touch(found, engine.now());
      });
      isProtected = true;
    },
  };
}

/** Everything that a build used or made was of use to it: it is the last build now. Call it in the transaction that names the image. */
export function confirmUses(engine: Engine, solved: Solved | undefined): void {
  if (solved === undefined) return;
  demandAll(
    engine.records,
    solved.results.flatMap(({ id }) => (id === 'empty' ? [] : [id])),
  );
  const used = [...solved.vertices.values()].flatMap(({ state, record }) => (record === undefined ? [] : [{ state, id: record.resultId }]));
  const ids = new Set(used.map(({ id }) => id));
  engine.records.touch(ids, engine.now());
  engine.records.endTurn(ids);
  engine.records.countUse(new Set(used.flatMap(({ state, id }) => (state === 'cached' ? [id] : []))));
}

function demandAll(records: CacheRecords, resultIds: Iterable<string>): void {
  for (const resultId of resultIds) if (!records.has(resultId)) throw resultRemoved();
}

/** `engine/result-removed`: somebody pruned what was just found. The work is done once more (see lost-snapshots.ts). */
export function resultRemoved(): JettisonError {
  return new JettisonError('engine/result-removed', 'Something that was to be used was removed from the store meanwhile', {
    fault: 'environment',
    hint: 'Another process pruned the store: run the command again',
    retryable: true,
  });
}
