/**
 * Which files go into which layer, when nothing that a later layer hides is to be in one. What is seen in the end stays what it is: a file stays in the layer that has its content, as it looks
 * in the end; a folder stays where something in it does.
 */
import { readlinkSync } from 'node:fs';
import { fromText, nodePath, type ByteString } from '#ground/base/byte-string.ts';
import { unreachable } from '#ground/base/errors.ts';
import { sameAttributes, sameBytes } from '#ground/linux/same-file.ts';
import { describeEntry, kindOf } from '#ground/linux/tree-read.ts';
import type { Tree } from '#ground/linux/tree.ts';
import { isOpaque, openChainTree } from '../chain-tree.ts';
import { recordedOwners } from '../owners-file.ts';
import { inodesOf } from './inodes.ts';
import type { Found, Meeting, MetName } from './meet.ts';

/** What is other in a layer than it was. */
export type LayerPlan = {
  /** It has nothing left. */
  isEmpty: boolean;
  /** Paths that it loses, with all below them. */
  readonly dropped: Set<ByteString>;
  /** Files that look otherwise now: the one of another layer, with the same content. */
  readonly moved: Map<ByteString, Found>;
  /** Folders that look otherwise now: as in that layer. */
  readonly looks: Map<ByteString, Found>;
  /** Folders that have to hide what lies below. */
  readonly opaque: Set<ByteString>;
};

type Move = { readonly final: Found; readonly path: ByteString; readonly others: readonly Found[]; home: number };

type Planning = {
  readonly plans: readonly LayerPlan[];
  readonly base: Tree;
  /** Of the layers, the lowest first. */
  readonly folders: readonly string[];
  readonly moves: ReadonlyMap<ByteString, Move>;
};

/** `folders` of the layers, the lowest first; `base`: those below them, topmost first; `meeting`: of the layers. */
export function planLayers(folders: readonly string[], base: readonly string[], meeting: Meeting | undefined): readonly LayerPlan[] {
  const plans = folders.map((): LayerPlan => ({
    isEmpty: true,
    dropped: new Set(),
    moved: new Map(),
    looks: new Map(),
    opaque: new Set(),
  }));
  if (meeting === undefined) return plans;
  const moves = new Map<ByteString, Move>();
  collectMoves(meeting, moves);
  settleMoves(folders, moves);
  const planning: Planning = { plans, base: openChainTree(base), folders, moves };
  const kept = settleFolder(meeting, !meeting.isClosed, planning);
  const lowest = meeting.parts.at(-1);
  // A root that hides the base image is something that a layer has.
  const closes = meeting.isClosed && base.length > 0;
  if (closes && kept.size === 0 && lowest !== undefined) kept.add(lowest.layer);
  const closing = closes ? meeting.parts.findLast(({ layer }) => kept.has(layer)) : undefined;
  if (closing !== undefined && !isOpaque(closing.hostPath)) plans[closing.layer]?.opaque.add(meeting.path);
  for (const layer of kept) {
    const plan = plans[layer];
    if (plan !== undefined) plan.isEmpty = false;
  }
  return plans;
}

/** Is anything in it to be other than it is? */
export function isChanged({ isEmpty, dropped, moved, looks, opaque }: LayerPlan): boolean {
  return isEmpty || dropped.size + moved.size + looks.size + opaque.size > 0;
}

/** Files that a lower layer has, too: as far as its content is the same, they may go there. */
function collectMoves(meeting: Meeting, moves: Map<ByteString, Move>): void {
  for (const { path, found, meeting: inner } of meeting.names) {
    if (inner !== undefined) collectMoves(inner, moves);
    const [final, ...lower] = found;
    if (final?.kind !== 'other' || lower.length === 0) continue;
    const end = lower.findIndex((one) => !hasSameContent(final, one));
    const others = end < 0 ? lower : lower.slice(0, end);
    moves.set(path, { final, path, others, home: others.at(-1)?.layer ?? final.layer });
  }
}

function hasSameContent(one: Found, other: Found): boolean {
  if (other.kind !== 'other') return false;
  const kind = kindOf(one.stats);
  if (kind !== kindOf(other.stats) || kind === 'socket') return false;
  if (kind === 'file')
    return one.stats.size === other.stats.size && (one.stats.ino === other.stats.ino || sameBytes(one.hostPath, other.hostPath));
  if (kind === 'symlink') return readlinkSync(nodePath(one.hostPath), 'latin1') === readlinkSync(nodePath(other.hostPath), 'latin1');
  return one.stats.rdev === other.stats.rdev;
}

/** Names of one file stay names of one file: they go to the same layer, or nowhere. */
function settleMoves(folders: readonly string[], moves: ReadonlyMap<ByteString, Move>): void {
  const shared = [...moves.values()].filter(({ final }) => final.stats.nlink > 1n);
  const inodes = folders.map(inodesOf);
  const seen = openChainTree(folders.toReversed());
  for (const names of Map.groupBy(shared, ({ final }) => `${final.layer} ${final.stats.ino}`).values()) {
    const [first] = names;
    if (first === undefined || names.every(({ others }) => others.length === 0)) continue;
    const own = fromText(folders[first.final.layer] ?? '');
    const all = (inodes[first.final.layer]?.(first.final.stats.ino) ?? []).filter(
      (path) => seen.entry(path)?.hostPath === `${own}/${path}`,
    );
    const common = all.every((path) => moves.has(path)) ? commonLayers(names) : [];
    const home = Math.min(first.final.layer, ...common);
    for (const name of names) name.home = home;
  }
}

function commonLayers([first, ...others]: readonly Move[]): readonly number[] {
  const layers = first?.others.map(({ layer }) => layer) ?? [];
  return layers.filter((layer) => others.every((name) => name.others.some((one) => one.layer === layer)));
}

/** Gives the layers in which something of the folder's stays. `showsBase`: so does what lies below the layers. */
function settleFolder({ names }: Meeting, showsBase: boolean, on: Planning): Set<number> {
  const kept = new Set<number>();
  for (const name of names) {
    const stays = settleName(name, showsBase, on);
    for (const { layer } of name.found) {
      if (stays.has(layer)) kept.add(layer);
      // A lone deletion of nothing harms nobody where it is.
      else if (name.found.length > 1) on.plans[layer]?.dropped.add(name.path);
    }
  }
  return kept;
}

function settleName(name: MetName, showsBase: boolean, on: Planning): ReadonlySet<number> {
  const [top] = name.found;
  if (top === undefined) return new Set();
  switch (top.kind) {
    case 'whiteout': {
      const lowest = name.found.findLast(({ kind }) => kind === 'whiteout') ?? top;
      return new Set(showsBase && on.base.entry(name.path) !== undefined ? [lowest.layer] : []);
    }
    case 'other': {
      const home = on.moves.get(name.path)?.home ?? top.layer;
      if (home !== top.layer) on.plans[home]?.moved.set(name.path, top);
      return new Set([home]);
    }
    case 'folder':
      return name.found.length === 1 ? new Set([top.layer]) : settleMerged(name, showsBase, on);
    default:
      return unreachable(top.kind, 'kind');
  }
}

/** A folder that more than one layer has something to say of. */
function settleMerged({ path, folder, meeting, isClosed }: MetName, showsBase: boolean, on: Planning): ReadonlySet<number> {
  const [top] = folder;
  const lowest = folder.at(-1);
  if (top === undefined || lowest === undefined) return new Set();
  const shows = showsBase && !isClosed;
  const kept = meeting === undefined ? new Set([top.layer]) : settleFolder(meeting, shows, on);
  if (kept.size === 0) {
    if (shows && looksAsBase(path, top, on)) return kept;
    kept.add(lowest.layer);
  }
  const highest = Math.max(...kept);
  if (highest !== top.layer) on.plans[highest]?.looks.set(path, top);
  const closing =
    showsBase && !shows && on.base.entry(path)?.kind === 'folder' ? folder.findLast(({ layer }) => kept.has(layer)) : undefined;
  if (closing !== undefined && !isOpaque(closing.hostPath)) on.plans[closing.layer]?.opaque.add(path);
  return kept;
}

/** Is it the base image's own folder once more? */
function looksAsBase(path: ByteString, { hostPath, layer, stats }: Found, { base, folders }: Planning): boolean {
  const below = base.entry(path);
  if (below?.kind !== 'folder') return false;
  const entry = recordedOwners(folders[layer] ?? '')(describeEntry({ path, hostPath, layer, stats }));
  const isSame = entry.mode === below.mode && entry.uid === below.uid && entry.gid === below.gid && entry.mtime === below.mtime;
  return isSame && sameAttributes(hostPath, below.hostPath);
}
