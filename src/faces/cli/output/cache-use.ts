/** Things of the build cache as buildx prints them. */
import type { CacheUse } from '#engine/space-requests.ts';
import { formatSize } from '#ground/base/human.ts';
import type { Fields } from './rows.ts';
import { createdAt, since } from './stamp.ts';
import { formatTable } from './table.ts';
import { harmless } from './text.ts';

/** Rows of the plain table, its titles first: `*` behind an id means that it can change, behind a size that an image has it, too. */
export function cacheRows(uses: readonly CacheUse[], now: number): readonly (readonly string[])[] {
  return [['ID', 'RECLAIMABLE', 'SIZE', 'LAST ACCESSED'], ...uses.map((use) => rowOf(use, now))];
}

function rowOf(use: CacheUse, now: number): readonly string[] {
  const size = formatSize(use.bytes, 4);
  return [use.isMutable ? `${use.id}*` : use.id, String(!use.inUse), use.isShared ? `${size}*` : size, since(use.lastUsedAt, now)];
}

export function verboseCache(uses: readonly CacheUse[], now: number): string {
  return uses.map((use) => `${formatTable(linesOf(use, now))}\n`).join('');
}

function linesOf(use: CacheUse, now: number): readonly (readonly string[])[] {
  return [
    ['ID:', use.id],
    ...(use.parent === undefined ? [] : [['Parent:', use.parent]]),
    ['Created at:', new Date(use.createdAt).toISOString()],
    ['Mutable:', String(use.isMutable)],
    ['Reclaimable:', String(!use.inUse)],
    ['Shared:', String(use.isShared)],
    ['Size:', formatSize(use.bytes, 4)],
    ['Description:', harmless(use.description, false)],
    ['Usage count:', String(use.uses)],
    ['Last used:', since(use.lastUsedAt, now)],
    ['Type:', use.type],
  ];
}

/** What templates may name. */
export function cacheFields(use: CacheUse, now: number): Fields {
  return {
    CreatedAt: createdAt(use.createdAt),
    CreatedSince: since(use.createdAt, now),
    Description: harmless(use.description, false),
    ID: use.id,
    LastUsedAt: createdAt(use.lastUsedAt),
    LastUsedSince: since(use.lastUsedAt, now),
    Mutable: String(use.isMutable),
    Parents: use.parent ?? '',
    Reclaimable: String(!use.inUse),
    Shared: String(use.isShared),
    Size: formatSize(use.bytes, 4),
    Type: use.type,
    UsageCount: String(use.uses),
  };
}
