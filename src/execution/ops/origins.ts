/** Which line of a Dockerfile, file of a context or image the files of an image came from. Snapshots are read where they lie. */
import { asByteString, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { inSlices } from '#ground/base/slices.ts';
import type { OriginRecord } from '#formats/origins/record.ts';
import type { BaseSum, KnownImage, Route, Traced, TracedFile, Trail } from '#formats/origins/trail.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { hintFor } from '#stores/context/select.ts';
import type { SnapshotId, SnapshotStore } from '#stores/snapshot/contract.ts';
import { openStage, type Stage } from './origins/stage.ts';
import { createTracer, type Followed, type Tracer } from './origins/trace.ts';

export type TraceWish = {
  /** The image's files; undefined for none. */
  readonly top: SnapshotId | undefined;
  /** The image's own first; none where nothing is known. */
  readonly records: readonly OriginRecord[];
  readonly images: readonly KnownImage[];
  /** Absolute paths; each with all that is below it. undefined: all of the image. */
  readonly paths?: readonly string[];
  /** Files of images that nothing more is known of are listed, too, not told by number. */
  readonly listsBase: boolean;
};

/** More files than this are told by number. */
const mostListed = 2_000_000;

/** Throws `snapshot/not-found`, `ops/no-such-file` for a path that is not there. */
export async function traceOrigins(wish: TraceWish, snapshots: SnapshotStore, signal: AbortSignal): Promise<Traced> {
  const { top, records, images } = wish;
  const known = { records, byImage: new Map(images.map(({ imageId, record }) => [imageId, record])), snapshots };
  const last = (records[0]?.steps.length ?? 0) - 1;
  if (top === undefined) return { routes: [], files: [], base: [] };
  snapshots.chain(top);
  const stage = openStage(known, { record: 0, step: last }, top);
  if (stage === undefined) return { routes: [], files: [], base: [] };
  return await inSlices(traceAll(wish, stage, createTracer(known)), signal);
}

type Work = {
  readonly stage: Stage;
  readonly tracer: Tracer;
  readonly listsBase: boolean;
  readonly routes: Map<string, { readonly place: number; readonly route: Route }>;
  readonly files: TracedFile[];
  readonly base: Map<number, { files: number; bytes: number }>;
  /** The first name of each inode of each layer. */
  readonly inodes: Map<string, string>;
};

function* traceAll({ paths, listsBase }: TraceWish, stage: Stage, tracer: Tracer): Generator<void, Traced> {
  const work: Work = { stage, tracer, listsBase, routes: new Map(), files: [], base: new Map(), inodes: new Map() };
  const tree = stage.below(0);
  for (const entry of paths === undefined ? topmost(tree) : paths.map((path) => entryAt(tree, path))) yield* traceTree(work, tree, entry);
  return {
    routes: [...work.routes.values()].map(({ route }) => route),
    files: work.files,
    base: [...work.base].map(([route, { files, bytes }]): BaseSum => ({ route, files, bytes })),
  };
}

function topmost(tree: Tree): readonly TreeEntry[] {
  const root = tree.entry(asByteString(''));
  return root === undefined ? [] : [root];
}

/** Links on the way are followed, as for whoever opens the file; the last name counts for itself. */
function entryAt(tree: Tree, path: string): TreeEntry {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  const inside = fromText(names.join('/'));
  const { entry } = tree.resolve(inside, false);
  if (entry !== undefined) return entry;
  const hint = hintFor(tree, inside) ?? 'Ask for the folder that it should be in';
  throw new JettisonError('ops/no-such-file', `There is no "${path}" in the image`, { hint });
}

function* traceTree(work: Work, tree: Tree, entry: TreeEntry): Generator<void, void> {
  yield;
  traceEntry(work, entry);
  if (entry.kind === 'folder') for (const inner of tree.list(entry.path)) yield* traceTree(work, tree, inner);
}

function traceEntry(work: Work, entry: TreeEntry): void {
  const { stage, tracer } = work;
  const content = tracer.follow(stage, entry, 'content');
  const metadata = tracer.follow(stage, entry, 'metadata');
  const path = shown(entry.path);
  const first = firstName(work, entry, path);
  const bytes = first === undefined ? entry.size : 0;
  const isOther = routeKey(content) !== routeKey(metadata);
  const counted = entry.kind === 'file' ? bytes : 0;
  if ((content.end.kind === 'image' && content.copies.length === 0 && !isOther && !work.listsBase) || work.files.length >= mostListed) {
    const { place } = routeOf(work, content);
    const sum = work.base.get(place) ?? { files: 0, bytes: 0 };
    if (entry.kind !== 'folder') sum.files++;
    sum.bytes += counted;
    work.base.set(place, sum);
    return;
  }
  work.files.push({
    path,
    kind: entry.kind === 'file' || entry.kind === 'folder' || entry.kind === 'symlink' ? entry.kind : 'other',
    bytes: counted,
    layer: stage.owners.length - entry.layer,
    ...(first === undefined ? {} : { linkOf: first }),
    content: trailOf(work, path, content),
    ...(isOther ? { metadata: trailOf(work, path, metadata) } : {}),
  });
}

function firstName({ inodes }: Work, { kind, layer, inode }: TreeEntry, path: string): string | undefined {
  if (kind !== 'file') return undefined;
  const key = `${layer} ${inode}`;
  const first = inodes.get(key);
  if (first === undefined) inodes.set(key, path);
  return first;
}

function trailOf(work: Work, path: string, followed: Followed): Trail {
  return { route: routeOf(work, followed).place, paths: followed.paths.every((one) => one === path) ? [] : followed.paths };
}

function routeOf({ routes, stage }: Work, followed: Followed): { readonly place: number } {
  const key = routeKey(followed);
  const known = routes.get(key);
  if (known !== undefined) return known;
  const { layer, copies, end } = followed;
  const made = { place: routes.size, route: { layer: stage.owners.length - layer, copies, end } };
  routes.set(key, made);
  return made;
}

function routeKey({ layer, copies, end }: Followed): string {
  return JSON.stringify([layer, copies, end]);
}

function shown(path: ByteString): string {
  return `/${toText(path)}`;
}
