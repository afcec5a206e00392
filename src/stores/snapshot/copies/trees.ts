/**
 * The copied trees of one process, each the merged tree of a snapshot (its own changes over its chain) in a folder of `t/<owner>`. A tree that was given back is handed
 * to whoever asks next for what it shows, so that a chain of steps copies its base once.
 */
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { asByteString, fromText, type ByteString } from '#ground/base/byte-string.ts';
import { fullDisk } from '#ground/base/errors.ts';
import { createSingleFlight } from '#ground/base/single-flight.ts';
import { inSlices } from '#ground/base/slices.ts';
import { removeTree } from '#ground/linux/remove-tree.ts';
import { AT_FDCWD, unlinkAt } from '#ground/linux/syscall.ts';
import { lookAt } from '#ground/linux/tree-read.ts';
import { openChainTree } from '../chain-tree.ts';
import type { Changes } from './changes.ts';
import { compareTree } from './compare.ts';
import { copyTree, refillTree } from './make.ts';
import { dressFolder } from './place.ts';
import { hostPathOf, newestChange, recordTree, renewFolder, type FolderRecord } from './record.ts';
import { writeChanges } from './write.ts';

/** What a tree is asked to show. */
export type Shown = {
  /** Of two trees with the same key one may stand for the other. */
  readonly key: string;
  /** Folders of the chain, topmost first; asked for when they are needed. */
  readonly layers: () => readonly string[];
};

export type CopiedTree = {
  /** Absolute path of the folder that is the root of the tree. */
  readonly path: string;
  readonly root: ByteString;
  record: FolderRecord;
  /** Files that were moved away, and have to be copied back before anybody sees the tree. */
  taken: readonly ByteString[];
};

export type CopiedTrees = {
  /** A tree for one user, who may write to it; its root folder has mode and owner of the folder `like`, where one is given. */
  own(shown: Shown, like: string | undefined, signal: AbortSignal): Promise<CopiedTree>;
  /** A tree for any number of users, none of whom writes to it. */
  share(shown: Shown, signal: AbortSignal): Promise<CopiedTree>;
  /** One of the users of a shared tree is done with it. */
  release(tree: CopiedTree): void;
  /** A tree that had one user, and now shows `key`. */
  giveBack(tree: CopiedTree, key: string): void;
  /** A tree that had one user, who only read it: checked, as a user may be a stranger's program. Gone when it was written to. */
  giveBackUnchanged(tree: CopiedTree, shown: Shown, signal: AbortSignal): Promise<void>;
  /**
   * Writes what was changed into `upper`, over the chain `lowers` (topmost first); `shown` is what the tree was made of. Whatever fails, the tree is of no use then: drop it. With a `note` (see
   * kept.ts), which is disposed when all is written, it can be recovered instead.
   */
  writeDown(
    tree: CopiedTree,
    into: { readonly upper: string; readonly lowers: readonly string[]; readonly shown: Shown; readonly note?: Disposable | undefined },
    signal: AbortSignal,
  ): Promise<void>;
  /** `error`: why, as what fills the disk goes at once. */
  drop(tree: CopiedTree, error?: unknown): void;
  /** Drops trees that nobody uses and that show `key`. */
  dropAll(key: string): void;
};

export type CopiedTreesPlace = {
  /** Absolute path, private to this process; made when it is needed. */
  readonly folder: string;
  /** Takes a folder away by rename. */
  readonly trash: (path: string) => void;
};

type Standing = { readonly tree: CopiedTree; readonly key: string; users: number };

/** A build has few branches at once; on a file system without shared blocks each tree costs as much disk as an image. */
const maximumIdle = 4;
/** Milliseconds; the coarsest clock of a file system ticks every two seconds (FAT). */
const longestTick = 2500;
export function createCopiedTrees(place: CopiedTreesPlace): CopiedTrees {
  const standing = new Set<Standing>();
  const making = createSingleFlight<string, void>();
  let count = 0;

  const find = (fits: (one: Standing) => boolean): Standing | undefined => standing.values().find(fits);

  const make = async (shown: Shown, signal: AbortSignal): Promise<CopiedTree> => {
    const path = join(place.folder, String(count++));
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const root = fromText(path);
    try {
      await inSlices(copyTree(openChainTree(shown.layers()), root), signal);
      return { path, root, record: await inSlices(recordTree(root), signal), taken: [] };
    } catch (error) {
      discard(path, error);
      throw error;
    }
  };
  /** What fills the disk goes at once; else nobody waits for it. */
  const discard = (path: string, error?: unknown): void => {
    if (fullDisk(error) === undefined) place.trash(path);
    else removeTree(path);
  };
  /** Undefined when it turned out to be of no use. */
  const refill = async (tree: CopiedTree, shown: Shown, signal: AbortSignal): Promise<CopiedTree | undefined> => {
    if (tree.taken.length === 0) return tree;
    try {
      if (await inSlices(refillTree(tree, tree.taken, openChainTree(shown.layers())), signal)) {
        tree.taken = [];
        return tree;
      }
    } catch (error) {
      discard(tree.path, error);
      throw error;
    }
    discard(tree.path);
    return undefined;
  };
  const take = async (shown: Shown, signal: AbortSignal): Promise<CopiedTree> => {
    signal.throwIfAborted();
    const idle = find(({ key, users }) => key === shown.key && users === 0);
    if (idle === undefined) return await make(shown, signal);
    standing.delete(idle);
    return (await refill(idle.tree, shown, signal)) ?? (await make(shown, signal));
  };
  const giveBack = (tree: CopiedTree, key: string): void => {
    standing.add({ tree, key, users: 0 });
    const idle = [...standing].filter(({ users }) => users === 0);
    for (const one of idle.slice(0, -maximumIdle)) {
      standing.delete(one);
      removeTree(one.tree.path);
    }
  };
  return {
    async own(shown, like, signal) {
      const tree = await take(shown, signal);
      if (like !== undefined) dressRoot(tree, like);
      await passTick(join(place.folder, 'tick'), newestChange(tree.record));
      return tree;
    },
    async share(shown, signal) {
      for (;;) {
        signal.throwIfAborted();
        const found = find(({ key, tree }) => key === shown.key && tree.taken.length === 0);
        if (found !== undefined) {
          found.users++;
          return found.tree;
        }
        await making(shown.key, async (own) => giveBack(await take(shown, own), shown.key), signal);
      }
    },
    release(tree) {
      const found = find((one) => one.tree === tree);
      if (found === undefined) return;
      found.users--;
      standing.delete(found);
      if (found.users > 0) standing.add(found);
      else giveBack(tree, found.key);
    },
    giveBack,
    async giveBackUnchanged(tree, shown, signal) {
      try {
        const { changes } = await compare(tree, shown, signal);
        if (changes.length === 0) {
          giveBack(tree, shown.key);
          return;
        }
      } catch (error) {
        discard(tree.path, error);
        throw error;
      }
      discard(tree.path);
    },
    async writeDown(tree, { upper, lowers, shown, note }, signal) {
      const changes = await compare(tree, shown, signal);
      if (changes.changes.length > 0) {
        const leavesNames = note !== undefined;
        tree.taken = await inSlices(writeChanges(changes, { root: tree.root, upper, lower: openChainTree(lowers), leavesNames }), signal);
        note?.[Symbol.dispose]();
        if (leavesNames) for (const path of tree.taken) unlinkAt(AT_FDCWD, hostPathOf(tree.root, path));
      } else note?.[Symbol.dispose]();
      tree.record = changes.record;
    },
    drop: (tree, error) => discard(tree.path, error),
    dropAll(key) {
      for (const one of standing) {
        if (one.key !== key || one.users > 0) continue;
        standing.delete(one);
        discard(one.tree.path);
      }
    },
  };
}

async function compare({ root, record }: CopiedTree, shown: Shown, signal: AbortSignal): Promise<Changes> {
  return await inSlices(compareTree(root, { record, layers: shown.layers() }), signal);
}

function dressRoot(tree: CopiedTree, folder: string): void {
  const look = openChainTree([folder]).entry(asByteString(''));
  const now = lookAt(tree.root);
  if (look === undefined || now === undefined) return;
  if (Number(now.mode) % 0o10000 === look.mode && Number(now.uid) === look.uid && Number(now.gid) === look.gid) return;
  dressFolder(AT_FDCWD, tree.root, look);
  renewFolder(tree.record, tree.root);
}

/** Waits until the clock of the file system shows a later time than `newest`: what is changed from then on has a change time that was never seen before. At most one tick. */
async function passTick(probe: string, newest: bigint): Promise<void> {
  closeSync(openSync(probe, 'a', 0o600));
  for (let waited = 0; waited < longestTick; waited++) {
    chmodSync(probe, 0o600);
    if ((lookAt(fromText(probe))?.ctimeNs ?? 0n) > newest) return;
    await setTimeout(1);
  }
}
