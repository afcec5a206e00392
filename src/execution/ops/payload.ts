/** Will a container of this tree start? Snapshots are read where they lie: nothing is run or mounted. */
import { setImmediate as turn } from 'node:timers/promises';
import { asByteString, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Tree } from '#ground/linux/tree.ts';
import { checkPayload, type PayloadReport, type PayloadRequest, type StartSettings } from '#formats/payload/check.ts';
import type { Remedy } from '#formats/payload/closure.ts';
import type { Finding } from '#formats/payload/finding.ts';
import { accountFileLimit, resolveUser } from '#execution/runtime/user.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import type { KnownSnapshots } from './origins/stage.ts';
import { openSources, type PayloadRecord } from './payload/origin.ts';
import { filesOf } from './payload/tree-files.ts';

export type { PayloadRecord } from './payload/origin.ts';

export type PayloadWish = {
  /** The image's files; undefined for none. */
  readonly top: SnapshotId | undefined;
  readonly settings: StartSettings;
  /** As in the image's config. */
  readonly user: string;
  readonly stages: readonly { readonly name: string; readonly top: SnapshotId }[];
  /** Layers of the image that were copied, bottom first, and whose programs are looked at, whatever starts. */
  readonly copies: readonly SnapshotId[];
  /** How the image came about, its stages named as in `stages`; undefined where nobody knows. */
  readonly record: PayloadRecord | undefined;
};

/** Paths as people read them. */
export type FoundRemedy = { readonly [K in keyof Remedy]: string };

/** `layer`: the snapshot of the image that has the file. */
export type PayloadFinding = Omit<Finding, 'remedies'> & {
  readonly remedies: readonly FoundRemedy[];
  readonly layer: SnapshotId | undefined;
};

export type PayloadFound = Omit<PayloadReport, 'findings'> & { readonly findings: readonly PayloadFinding[] };

/** More programs than this were not written for this image: a whole distribution is in the layer. */
const mostPrograms = 2000;

/** Hears of `signal` after each folder and each program. Throws `snapshot/not-found`. */
export async function findPayload(wish: PayloadWish, snapshots: KnownSnapshots, signal: AbortSignal): Promise<PayloadFound> {
  const chain = wish.top === undefined ? [] : snapshots.chain(wish.top).toReversed();
  const tree = openChainTree(chain.map(({ folder }) => folder));
  const files = filesOf(tree);
  const stages = wish.stages.map(({ name, top }) => ({ name, files: filesOf(treeOf(top, snapshots)) }));
  const layerOf = (path: ByteString): SnapshotId | undefined => {
    const entry = tree.entry(path);
    return entry === undefined ? undefined : chain[entry.layer]?.content;
  };
  const names = new Set(stages.map(({ name }) => name));
  const sourceOf = openSources({ top: wish.top, record: wish.record, snapshots });
  const cameFrom: PayloadRequest['cameFrom'] = (path) => {
    const entry = tree.entry(asByteString(path.slice(1)));
    const source = entry && sourceOf(entry);
    return source !== undefined && names.has(source.stage) ? source : undefined;
  };
  const brought: ByteString[] = [];
  for (const copy of wish.copies) {
    const content = snapshots.chain(copy).at(-1)?.content ?? copy;
    for (const path of await programsIn(copy, { snapshots, tree, layerOf, content }, signal)) brought.push(path);
  }
  const request = { files, settings: wish.settings, user: userOf(wish.user, tree), stages, brought, cameFrom };
  const report = await finish(checkPayload(request), signal);
  return {
    ...report,
    findings: report.findings.map((finding) => ({
      ...finding,
      remedies: finding.remedies.map(({ stage, source, destination }) => ({
        stage,
        source: toText(source),
        destination: toText(destination),
      })),
      layer: finding.file === undefined ? undefined : layerOf(tree.resolve(fromText(finding.file), true).path),
    })),
  };
}

/** Whoever wants to end it is heard between its steps. */
async function finish<T>(work: Generator<undefined, T>, signal: AbortSignal): Promise<T> {
  for (;;) {
    signal.throwIfAborted();
    const step = work.next();
    if (step.done === true) return step.value;
    await turn();
  }
}

function treeOf(top: SnapshotId, snapshots: KnownSnapshots): Tree {
  return openChainTree(
    snapshots
      .chain(top)
      .map(({ folder }) => folder)
      .toReversed(),
  );
}

type Around = {
  readonly snapshots: KnownSnapshots;
  /** Of the image. */
  readonly tree: Tree;
  readonly layerOf: (path: ByteString) => SnapshotId | undefined;
  readonly content: SnapshotId;
};

/** Files with an execute bit that a layer put into the image and that are still those; nothing for a whole distribution. */
async function programsIn(
  layer: SnapshotId,
  { snapshots, tree, layerOf, content }: Around,
  signal: AbortSignal,
): Promise<readonly ByteString[]> {
  const own = snapshots.chain(layer).at(-1);
  if (own === undefined) return [];
  const layerTree = openChainTree([own.folder]);
  if (['etc/os-release', 'usr/lib/os-release'].some((path) => layerTree.entry(fromText(path)) !== undefined)) return [];
  const found: ByteString[] = [];
  const waiting: ByteString[] = [asByteString('')];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    signal.throwIfAborted();
    for (const entry of layerTree.list(folder)) {
      if (entry.kind === 'folder') waiting.push(entry.path);
      else if (
        entry.kind === 'file' &&
        (entry.mode & 0o111) !== 0 &&
        tree.entry(entry.path)?.kind === 'file' &&
        layerOf(entry.path) === content
      )
        found.push(asByteString(`/${entry.path}`));
    }
    if (found.length > mostPrograms) return [];
    await turn();
  }
  return found;
}

function userOf(spec: string, tree: Tree): PayloadRequest['user'] {
  const text = (path: string): string | undefined => {
    const { entry } = tree.resolve(fromText(path), true);
    return entry?.kind === 'file' ? new TextDecoder().decode(tree.readFile(entry, accountFileLimit)) : undefined;
  };
  try {
    const { uid, gid, additionalGids } = resolveUser(spec, { passwd: text('etc/passwd'), group: text('etc/group') });
    return { uid, gids: [gid, ...additionalGids] };
  } catch (error) {
    if (error instanceof JettisonError && error.fault === 'user') return { message: error.message, hint: error.hint };
    throw error;
  }
}
