/** The folders of the client that one build may copy from, by the name the graph gives them. */
import type { CopyAction } from '#formats/graph/op.ts';
import { canonicalJson } from '#ground/base/canonical-json.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { contextOpener, type OpenContextFolder } from '#stores/context/context-opener.ts';
import { lookAtCopy, type CopyLook } from '#stores/context/copy-look.ts';
import type { RememberedCopy } from '#stores/context/copy-memory.ts';
import { changedWhileCopied } from '#stores/context/errors.ts';
import { fingerprint } from '#stores/context/fingerprint.ts';
import { fileListOf, type FileList } from '#stores/context/file-list.ts';
import type { IgnoreFile } from '#stores/context/ignore.ts';
import { realPathOf, type LocalContext } from '#stores/context/local.ts';
import { digestLength, learnDigests } from '#stores/context/read-digests.ts';
import { selectedEntries, selectForCopy, takeSelection, type Selection } from '#stores/context/select.ts';
import type { StatCache } from '#stores/context/stat-cache.ts';
import type { FilesRead, TreeSource } from '#execution/worker/contract.ts';

/** `isPassing`: it is gone after the build; `ignoreFile`: where the patterns stand. */
export type ContextFolder = {
  readonly path: string;
  readonly ignore: readonly string[];
  readonly ignoreFile?: IgnoreFile | undefined;
  readonly isPassing?: boolean;
};

export type BuildContexts = {
  /** One more folder: what was downloaded. */
  add(name: string, folder: ContextFolder): void;
  /** Content digest of what a copy takes from the folder `name`. Throws `context/missing-source`. */
  digest(name: string, action: CopyAction): Digest;
  /** Would `digest` have to read much, as far as can be said without listing all? Throws `context/missing-source`. */
  isLarge(name: string, action: CopyAction): boolean;
  /**
   * Gives what `digest` gives, and remembers it, from what somebody else has read, who has just copied from the folder. Throws `context/changed` when what there is, or one of the files, is not as
   * it was then.
   */
  take(name: string, action: CopyAction, read: FilesRead | undefined): Promise<Digest>;
  /** The files behind a digest that this build computed from them. */
  filesOf(digest: Digest): FileList | undefined;
  /** The same for a digest that was known from an earlier build: its files are listed anew. */
  listFiles(digest: Digest): FileList | undefined;
  source(name: string): TreeSource;
  /** Throws `context/changed` when a file of these folders that counted for a key is no longer what it was: what was built of it may be neither old nor new. */
  checkUnchanged(names: readonly string[]): void;
};

/** `selection` is of a context that keeps what it has read: gone through later, it still shows the files that were looked at. */
type Seen = { readonly action: CopyAction; readonly digest: Digest; readonly selection: Selection; readonly look: CopyLook };
type Taken = { readonly selection: Selection; readonly lines: readonly string[] | undefined };
type Opened = { readonly context: LocalContext; readonly openedAt: number };

/** Opens nothing yet. Where earlier builds copied many files from these folders, the way to read them fast is loaded. */
export async function createBuildContexts(given: ReadonlyMap<string, ContextFolder>, statCache: StatCache): Promise<BuildContexts> {
  const places = [...given.values()].filter((folder) => folder.isPassing !== true).map((folder) => realPathOf(folder.path));
  return readContexts(given, statCache, await contextOpener(statCache.copies.mostEntries(places)));
}

function readContexts(given: ReadonlyMap<string, ContextFolder>, statCache: StatCache, openFolder: OpenContextFolder): BuildContexts {
  const folders = new Map(given);
  const opened = new Map<string, Opened>();
  const seen = new Map<string, Map<string, Seen>>();
  const taken = new Map<Digest, Taken>();

  const folderNamed = (name: string): ContextFolder => {
    const folder = folders.get(name);
    if (folder === undefined)
      throw new JettisonError('engine/unknown-context', `There is no build context named "${name}"`, { fault: 'bug' });
    return folder;
  };
  const open = (name: string): Opened => {
    const openedAt = statCache.now();
    const { path, ignore, ignoreFile } = folderNamed(name);
    return { context: openFolder({ folder: path, ignore, ignoreFile }), openedAt };
  };
  const contextNamed = (name: string): Opened => {
    const one = opened.get(name) ?? open(name);
    opened.set(name, one);
    return one;
  };
  const readAll = (selection: Selection): ReturnType<typeof takeSelection> =>
    takeSelection(selection, { digestFile: (entry) => statCache.digestFile(entry), owners: 'root' });
  const see = (name: string, action: CopyAction): Seen => {
    const { context, openedAt } = contextNamed(name);
    const { ignore, isPassing } = folderNamed(name);
    const selection = selectForCopy(context, action);
    const look = lookAtCopy(context, selection);
    const copy: RememberedCopy = { folder: context.folder, ignore, sources: action, openedAt };
    const known = isPassing === true ? undefined : statCache.copies.find(copy, look);
    if (known !== undefined) {
      if (!taken.has(known)) taken.set(known, { selection, lines: undefined });
      return { action, digest: known, selection, look };
    }
    const { digest, lines } = readAll(selection);
    if (isPassing !== true) statCache.copies.keep(copy, look, digest);
    taken.set(digest, { selection, lines });
    return { action, digest, selection, look };
  };

  const remember = (name: string, one: Seen): Digest => {
    const ofName = seen.get(name) ?? new Map<string, Seen>();
    seen.set(name, ofName.set(idOf(one.action), one));
    return one.digest;
  };

  return {
    add: (name, folder) => void folders.set(name, folder),
    digest: (name, action) => seen.get(name)?.get(idOf(action))?.digest ?? remember(name, see(name, action)),
    isLarge: (name, action) => {
      const { sources } = selectForCopy(contextNamed(name).context, action);
      if (seen.get(name)?.has(idOf(action)) === true) return false;
      return sources.some(({ top }) => top.kind === 'folder') || sources.reduce((sum, { top }) => sum + top.size, 0) > largeFiles;
    },
    take: async (name, action, read) => {
      const changed = (): JettisonError => changedWhileCopied(`One of ${action.sources.join(' ')}`);
      if (read === undefined) throw changed();
      const { path, ignore, isPassing } = folderNamed(name);
      // Read anew: that nothing has changed until now is what makes one state of what was read file by file.
      const openNow = await contextOpener(read.digests.length / digestLength);
      const context = openNow({ folder: path, ignore });
      const selection = selectForCopy(context, action);
      const look = lookAtCopy(context, selection);
      if (fingerprintOf(selection) !== read.fingerprint) throw changed();
      const { digest, lines } = takeSelection(selection, { digestFile: learnDigests(selection, read, statCache), owners: 'root' });
      const copy: RememberedCopy = { folder: context.folder, ignore, sources: action, openedAt: Number(read.startedAt / 1_000_000n) };
      if (isPassing !== true) statCache.copies.keep(copy, look, digest);
      taken.set(digest, { selection, lines });
      return remember(name, { action, digest, selection, look });
    },
    filesOf: (digest) => {
      const files = taken.get(digest);
      return files?.lines && fileListOf(files.selection, files.lines);
    },
    listFiles: (digest) => {
      const files = taken.get(digest);
      if (files === undefined) return undefined;
      const found = readAll(files.selection);
      return found.digest === digest ? fileListOf(files.selection, found.lines) : undefined;
    },
    source: (name) => sourceOf(folderNamed(name)),
    checkUnchanged: (names) => {
      for (const name of new Set(names)) {
        const { context } = open(name);
        for (const one of seen.get(name)?.values() ?? []) {
          if (!looksTheSame(context, one)) throw changedWhileCopied(`One of ${one.action.sources.join(' ')}`);
        }
      }
    },
  };
}

function sourceOf({ path, ignore, isPassing }: ContextFolder): TreeSource {
  return { kind: 'folder', path, ignore, ...(isPassing === undefined ? {} : { isPassing }) };
}

function idOf(action: CopyAction): string {
  return canonicalJson({ ...action });
}

/** Bytes: to hash fewer takes less time than anything that could be won. */
const largeFiles = 4 * 1024 * 1024;

/** Another look may mean no other copy, when folders came or went that are left out: then all that the copy takes is compared by itself. */
function looksTheSame(now: LocalContext, { action, selection, look }: Seen): boolean {
  const found = selectForCopy(now, action);
  return lookAtCopy(now, found).fingerprint === look.fingerprint || fingerprintOf(found) === fingerprintOf(selection);
}

function fingerprintOf(selection: Selection): Digest {
  return fingerprint(selectedEntries(selection));
}
