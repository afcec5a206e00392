/** The folders of the client that one build may copy from, by the name the graph gives them. */
import type { CopyAction } from '#formats/graph/op.ts';
import { canonicalJson } from '#ground/base/canonical-json.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { changedWhileCopied } from '#stores/context/errors.ts';
import { fingerprint } from '#stores/context/fingerprint.ts';
import { fileListOf, type FileList } from '#stores/context/file-list.ts';
import { openLocalContext, type LocalContext } from '#stores/context/local.ts';
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
  /** The files behind a digest that this build computed. */
  filesOf(digest: Digest): FileList | undefined;
  source(name: string): TreeSource;
  /** Throws `context/changed` when a file of these folders that counted for a key is no longer what it was: what was built of it may be neither old nor new. */
  checkUnchanged(names: readonly string[]): void;
};

/** `selection` is of a context that keeps what it has read: gone through later, it still shows the files that were hashed. */
type Seen = { readonly action: CopyAction; readonly digest: Digest; readonly selection: Selection };
type Taken = { readonly selection: Selection; readonly lines: readonly string[] };

export function createBuildContexts(given: ReadonlyMap<string, ContextFolder>, statCache: StatCache): BuildContexts {
  const folders = new Map(given);
  const opened = new Map<string, LocalContext>();
  const seen = new Map<string, Map<string, Seen>>();
  const taken = new Map<Digest, Taken>();

  const folderNamed = (name: string): ContextFolder => {
    const folder = folders.get(name);
    if (folder === undefined)
      throw new JettisonError('engine/unknown-context', `There is no build context named "${name}"`, { fault: 'bug' });
    return folder;
  };
  const contextNamed = (name: string): LocalContext => {
    const context = opened.get(name) ?? openLocalContext({ folder: folderNamed(name).path, ignore: folderNamed(name).ignore });
    opened.set(name, context);
    return context;
  };

  return {
    add: (name, folder) => void folders.set(name, folder),
    digest: (name, action) => {
      const id = canonicalJson({ ...action });
      const known = seen.get(name)?.get(id);
      if (known !== undefined) return known.digest;
      const selection = selectForCopy(contextNamed(name), action);
      const { digest, lines } = takeSelection(selection, { digestFile: (entry) => statCache.digestFile(entry), owners: 'root' });
      taken.set(digest, { selection, lines });
      const ofName = seen.get(name) ?? new Map<string, Seen>();
      ofName.set(id, { action, digest, selection });
      seen.set(name, ofName);
      return digest;
    },
    filesOf: (digest) => {
      const files = taken.get(digest);
      return files && fileListOf(files.selection, files.lines);
    },
    source: (name) => ({ kind: 'folder', ...folderNamed(name) }),
    checkUnchanged: (names) => {
      for (const name of new Set(names)) {
        const now = openLocalContext({ folder: folderNamed(name).path, ignore: folderNamed(name).ignore });
        for (const one of seen.get(name)?.values() ?? []) {
          if (look(selectForCopy(now, one.action)) !== look(one.selection))
            throw changedWhileCopied(`One of ${one.action.sources.join(' ')}`);
        }
      }
    },
  };
}

/** What the selected files look like without reading them. */
function look(selection: Selection): Digest {
  return fingerprint(selectedEntries(selection));
}
