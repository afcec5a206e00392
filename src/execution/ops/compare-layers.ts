/** What is different in two layers that were made of the same input: entry by entry, down to the first byte. Reads the folders where they lie. */
import { readdirSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { asByteString, fromText, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { lookAt } from '#ground/linux/tree-read.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { isOpaque, openChainTree } from '#stores/snapshot/chain-tree.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import { causeOfAttribute, causeOfContent, causeOfNames, type LikelyCause, type Period } from './compare/cause.ts';
import { compareContent, ofBoth, type ContentDifference } from './compare/content.ts';

export type { LikelyCause } from './compare/cause.ts';

export type CompareRequest = {
  /** Topmost layers of two chains that are the same below these. */
  readonly first: SnapshotId;
  readonly second: SnapshotId;
  /** When they were made: a time that a file holds is known by that. */
  readonly period: Period;
};

export type LayerDifference = {
  /** Absolute, as text. */
  readonly path: string;
  readonly what: 'only-first' | 'only-second' | 'content' | Attribute;
  /** In words; of `content` the bytes around the first difference. */
  readonly first: string;
  readonly second: string;
  /** Of `content`: where the first byte differs, in what was packed where `isPacked`. */
  readonly offset?: number;
  readonly sizes?: readonly [number, number];
  readonly isPacked?: boolean;
  readonly cause: LikelyCause;
};

type Attribute = Parameters<typeof causeOfAttribute>[0];

export type LayersCompared = {
  /** The first ones, in the order of their paths. */
  readonly differences: readonly LayerDifference[];
  readonly total: number;
};

const mostTold = 20;

/** Throws `snapshot/not-found`. */
export async function compareLayers(request: CompareRequest, snapshots: SnapshotStore, signal: AbortSignal): Promise<LayersCompared> {
  const [one, other] = [sideOf(request.first, snapshots), sideOf(request.second, snapshots)];
  const differences: LayerDifference[] = [];
  let total = 0;
  const waiting: ByteString[] = [asByteString('')];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    signal.throwIfAborted();
    const onlyFirst: string[] = [];
    const onlySecond: string[] = [];
    for (const path of pathsIn(folder, one, other)) {
      const [a, b] = [one.tree.entry(path), other.tree.entry(path)];
      if (a === undefined && b === undefined) continue;
      if (a === undefined || b === undefined) {
        total++;
        (b === undefined ? onlyFirst : onlySecond).push(toText(path));
        continue;
      }
      const found = compareEntries(a, b, { one, other, period: request.period });
      if (found !== undefined && ++total && differences.length < mostTold) differences.push(found);
      if (a.kind === 'folder' && b.kind === 'folder') waiting.push(path);
    }
    const room = mostTold - differences.length;
    differences.push(...onlyInOne(onlyFirst, onlySecond).slice(0, Math.max(0, room)));
    // Whoever wants to end this is heard.
    await turn();
  }
  return { differences: differences.toSorted((a, b) => rank(a) - rank(b) || (a.path < b.path ? -1 : 1)), total };
}

/** What a file holds says more than when it was written. */
function rank({ what }: LayerDifference): number {
  return what === 'content' ? 0 : what === 'time' ? 2 : 1;
}

type Side = { readonly tree: Tree; readonly upper: string };

function sideOf(id: SnapshotId, snapshots: SnapshotStore): Side {
  const folders = snapshots
    .chain(id)
    .map(({ folder }) => folder)
    .toReversed();
  return { tree: openChainTree(folders), upper: folders[0] ?? '' };
}

/** Names that the layer of one of them has, deletions included; all names where one of them hides what is below. */
function pathsIn(folder: ByteString, one: Side, other: Side): readonly ByteString[] {
  const prefix = folder === '' ? '' : `${folder}/`;
  const names = new Set<string>();
  const isHiding = [one, other].map(({ upper }) => {
    const place = asByteString(`${fromText(upper)}/${folder}`);
    if (lookAt(place)?.isDirectory() !== true) return false;
    for (const name of readdirSync(nodePath(place), 'latin1')) names.add(name);
    return folder !== '' && isOpaque(place);
  });
  if (isHiding[0] !== isHiding[1])
    for (const { tree } of [one, other]) for (const { path } of tree.list(folder)) names.add(path.slice(prefix.length));
  return [...names].toSorted().map((name) => asByteString(prefix + name));
}

function onlyInOne(first: readonly string[], second: readonly string[]): readonly LayerDifference[] {
  const cause = causeOfNames(first, second);
  const only = (path: string, what: 'only-first' | 'only-second'): LayerDifference => {
    const [there, missing] = ['there', 'not there'];
    const isFirst = what === 'only-first';
    return { path: `/${path}`, what, first: isFirst ? there : missing, second: isFirst ? missing : there, cause };
  };
  return [...first.map((path) => only(path, 'only-first')), ...second.map((path) => only(path, 'only-second'))];
}

function compareEntries(
  a: TreeEntry,
  b: TreeEntry,
  { one, other, period }: { readonly one: Side; readonly other: Side; readonly period: Period },
): LayerDifference | undefined {
  const path = `/${toText(a.path)}`;
  const told = (what: Attribute, first: string, second: string): LayerDifference => ({
    path,
    what,
    first,
    second,
    cause: causeOfAttribute(what),
  });
  if (a.kind !== b.kind) return told('kind', a.kind, b.kind);
  if (a.kind === 'file') {
    const found = compareContent(a.hostPath, b.hostPath);
    if (found !== undefined) return ofContent(path, found, period);
  }
  if (a.target !== b.target) return told('target', toText(a.target ?? asByteString('')), toText(b.target ?? asByteString('')));
  if (a.mode !== b.mode) return told('mode', a.mode.toString(8), b.mode.toString(8));
  if (a.uid !== b.uid || a.gid !== b.gid) return told('owner', `${a.uid}:${a.gid}`, `${b.uid}:${b.gid}`);
  const [attributes, others] = ofBoth([one.tree.xattrs(a), other.tree.xattrs(b)], attributeText);
  if (attributes !== others) return told('attributes', attributes, others);
  // In whole seconds, as a layer has it.
  if (a.mtime / nanoseconds !== b.mtime / nanoseconds) return told('time', timeText(a.mtime), timeText(b.mtime));
  return undefined;
}

const nanoseconds = 1_000_000_000n;

function timeText(mtime: bigint): string {
  return new Date(Number(mtime / 1_000_000n)).toISOString();
}

function attributeText(attributes: ReadonlyMap<string, Uint8Array>): string {
  return [...attributes]
    .map(([name, value]) => `${name}=${hexOf(value).join('')}`)
    .toSorted()
    .join(' ')
    .slice(0, 200);
}

function ofContent(path: string, found: ContentDifference, period: Period): LayerDifference {
  const { offset, sizes, isPacked, excerpts } = found;
  const isText = excerpts.every(({ bytes }) =>
    bytes.every((byte) => byte === 9 || byte === 10 || byte === 13 || (byte >= 32 && byte !== 127)),
  );
  const [first, other] = ofBoth(excerpts, ({ bytes, start }) => shownBytes(bytes, offset - start, isText));
  return { path, what: 'content', first, second: other, offset, sizes, isPacked, cause: causeOfContent(found, path, period) };
}

const shown = { before: 24, after: 40, hex: 16 };

/** The line around the place, or bytes in hex from it on. */
function shownBytes(bytes: Uint8Array, at: number, isText: boolean): string {
  if (!isText) return hexOf(bytes.subarray(at, at + shown.hex)).join(' ') || '(end)';
  const text = new TextDecoder('latin1').decode(bytes);
  const start = Math.max(text.lastIndexOf('\n', at - 1) + 1, at - shown.before);
  const end = text.indexOf('\n', at);
  const line = new TextDecoder().decode(bytes.subarray(start, Math.min(end < 0 ? bytes.length : end, at + shown.after)));
  return line === '' ? '(end)' : line;
}

function hexOf(bytes: Uint8Array): readonly string[] {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'));
}
