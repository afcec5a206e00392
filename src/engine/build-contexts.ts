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
import { realPathOf, type LocalContext } from '#stores/context/local.ts';
import { selectedEntries, selectForCopy, takeSelection, type Selection } from '#stores/context/select.ts';
import type { StatCache } from '#stores/context/stat-cache.ts';
import type { TreeSource } from '#execution/worker/contract.ts';

/** `isPassing`: it is gone after the build. */
export type ContextFolder = { readonly path: string; readonly ignore: readonly string[]; readonly isPassing?: boolean };

export type BuildContexts = {
  /** One more folder: what was downloaded. */
  add(name: string, folder: ContextFolder): void;
  /** Content digest of what a copy takes from the folder `name`. Throws `context/missing-source`. */
  digest(name: string, action: CopyAction): Digest;
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
    const { path, ignore } = folderNamed(name);
    return { context: openFolder({ folder: path, ignore }), openedAt };
  };
  const contextNamed = (name: string): Opened => {
    const one = opened.get(name) ?? open(name);
    opened.set(name, one);
    return one;
  };
  const read = (selection: Selection): ReturnType<typeof takeSelection> =>
    takeSelection(selection, { digestFile: (entry) => statCache.digestFile(entry), owners: 'root' });
  const take = (name: string, action: CopyAction): Seen => {
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
    const { digest, lines } = read(selection);
    if (isPassing !== true) statCache.copies.keep(copy, look, digest);
    taken.set(digest, { selection, lines });
    return { action, digest, selection, look };
  };

  return {
    add: (name, folder) => void folders.set(name, folder),
    digest: (name, action) => {
      const ofName = seen.get(name) ?? new Map<string, Seen>();
      seen.set(name, ofName);
      const id = canonicalJson({ ...action });
      const one = ofName.get(id) ?? take(name, action);
      ofName.set(id, one);
      return one.digest;
    },
    filesOf: (digest) => {
      const files = taken.get(digest);
      return files?.lines && fileListOf(files.selection, files.lines);
    },
    listFiles: (digest) => {
      const files = taken.get(digest);
      if (files === undefined) return undefined;
      const found = read(files.selection);
      return found.digest === digest ? fileListOf(files.selection, found.lines) : undefined;
    },
    source: (name) => ({ kind: 'folder', ...folderNamed(name) }),
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

/** Another look may mean no other copy, when folders came or went that are left out: then all that the copy takes is compared by itself. */
function looksTheSame(now: LocalContext, { action, selection, look }: Seen): boolean {
  const found = selectForCopy(now, action);
  return lookAtCopy(now, found).fingerprint === look.fingerprint || fingerprintOf(found) === fingerprintOf(selection);
}

function fingerprintOf(selection: Selection): Digest {
  return fingerprint(selectedEntries(selection));
}
