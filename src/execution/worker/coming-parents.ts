import type { ChainId } from '#formats/oci/layer-ids.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';

/** Callers that want the same layer share one unpacking: the first of their parents to come is its parent, and one that leaves takes nothing away from the others. */
export type ComingParents = {
  /** `parent` of the caller, which may stay away for ever; gives that of all callers. Disposing leaves. */
  join(chainId: ChainId, parent: Promise<SnapshotId>): Disposable & { readonly parent: Promise<SnapshotId> };
};

export function createComingParents(): ComingParents {
  const shared = new Map<ChainId, PromiseWithResolvers<SnapshotId> & { callers: number }>();
  return {
    join(chainId, parent) {
      const coming = shared.get(chainId) ?? { ...Promise.withResolvers<SnapshotId>(), callers: 0 };
      shared.set(chainId, coming);
      coming.callers++;
      parent.then(coming.resolve, () => undefined); // whose parent fails is cancelled
      return {
        parent: coming.promise,
        [Symbol.dispose]() {
          coming.callers--;
          if (coming.callers === 0) shared.delete(chainId);
        },
      };
    },
  };
}
