/** Things that take up space, as the faces are told of them. */
import type { CacheUse } from '../space-requests.ts';
import type { SpaceItem } from './account.ts';
import { isShared } from '../space-filters.ts';

export function describeUse(item: SpaceItem): CacheUse {
  const { id, type, description, parent, bytes, createdAt, lastUsedAt, uses, holder } = item;
  const isMutable = item.kind === 'cache-mount';
  return {
    id,
    type,
    description,
    parent,
    bytes,
    createdAt,
    lastUsedAt,
    uses,
    isMutable,
    isShared: isShared(item),
    inUse: holder !== undefined,
  };
}
