/** `COPY --libs`: what the copied programs need of the tree that they come from, and the base lacks. Files are read, nothing is run. */
import { closeSync, readSync } from 'node:fs';
import type { CopyAction, CopyLibs } from '#formats/graph/op.ts';
import { asByteString, toText, type ByteString } from '#ground/base/byte-string.ts';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { formatSize } from '#ground/base/human.ts';
import { parsePatterns } from '#ground/base/patterns.ts';
import { openEntryFile } from '#ground/linux/tree-read.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { createLineMaker, type TreeDigestOptions } from '#ground/linux/tree-digest.ts';
import { asPath, nameOf, type PayloadFiles } from '#formats/payload/files.ts';
import { findLibraries, stockFor, type LibraryFault } from '#formats/payload/libraries.ts';
import { readLoaderCache } from '#formats/payload/loader-cache.ts';
import { lookAt, mostEffort, type Look } from '#formats/payload/look.ts';
import type { Selection } from '#stores/context/select.ts';
import { filesOf } from '../payload/tree-files.ts';
import type { BroughtLibrary } from '../libraries.ts';
import type { EntryPlacer } from './place-entry.ts';
import { placeSource } from './place.ts';
import type { Upper } from './upper.ts';

/** A file that a copy has taken and that may be a program, a library or a script. */
export type Taken = {
  readonly entry: TreeEntry;
  /** Where it is now, without a leading slash. */
  readonly path: ByteString;
  /** The instruction names it or matches it, it does not only lie in a folder that is copied. */
  readonly isNamed: boolean;
};

export type LibsAction = CopyAction & { readonly libs: CopyLibs };

export function bringsLibs(action: CopyAction): action is LibsAction {
  return action.libs !== undefined;
}

/** Files of folders without an execute bit are data, unless the copy gives them one or their name says what they are. */
export function mayNeedLibraries({ kind, mode, path, size }: TreeEntry, action: CopyAction): boolean {
  return kind === 'file' && size > 0 && ((mode & 0o111) !== 0 || action.mode !== null || /\.so(?:\.|$)/u.test(nameOf(path)));
}

type Stock = {
  /** By the paths under which they are looked for. */
  readonly files: ReadonlyMap<ByteString, TreeEntry>;
  readonly cached: ReadonlyMap<ByteString, readonly ByteString[]>;
  /** Sees these files only. */
  readonly look: Look;
  /** A file of this name was found and left out by `--exclude`. */
  readonly isExcluded: (name: string) => boolean;
};

type From = { readonly tree: Tree; readonly action: LibsAction; readonly checkpoint: () => void };

/** All that the copied files can want of their own tree, whatever the base has. */
function openStock(taken: readonly TreeEntry[], { tree, action, checkpoint }: From): Stock {
  const all = filesOf(tree);
  const exclude = parsePatterns(action.exclude);
  const excluded = new Set<string>();
  const kept: PayloadFiles = {
    use: (entry, read) => all.use(entry, read),
    find(path) {
      checkpoint();
      const entry = all.find(path);
      if (entry?.kind !== 'file' || action.exclude.length === 0) return entry;
      if (!exclude.matches(asByteString(path.slice(1))) && !exclude.matches(entry.path)) return entry;
      excluded.add(toText(nameOf(path)));
      return undefined;
    },
  };
  const source = lookAt(kept, readLoaderCache, { left: mostEffort });
  const paths = taken.map(({ path }) => asPath(path));
  const { files, cached } = withinEffort(() => stockFor(paths, { source, ...action.libs }));
  const entries = [...files.keys()].flatMap((path) => {
    const { entry } = tree.resolve(asByteString(path.slice(1)), true);
    return entry === undefined ? [] : [[path, entry] as const];
  });
  const seen: PayloadFiles = { use: (entry, read) => all.use(entry, read), find: (path) => files.get(path) };
  return {
    files: new Map(entries),
    cached,
    look: { ...lookAt(seen, readLoaderCache, { left: mostEffort }), cached: () => cached },
    isExcluded: (name) => excluded.has(name),
  };
}

/** Lines for the digest of a copy: what it takes of its tree beside the selection depends on these, on the base and on nothing else. */
export function libraryLines(selection: Selection, from: From, options: TreeDigestOptions): readonly string[] {
  const taken: TreeEntry[] = [];
  for (const { top, below } of selection.sources) {
    if (top.kind === 'file') taken.push(top);
    for (const { entry } of below) if (mayNeedLibraries(entry, from.action)) taken.push(entry);
  }
  const { files, cached } = openStock(taken, from);
  const line = createLineMaker(options);
  const sorted = [...files].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const rows = [...cached].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [
    ...sorted.map(([path, entry]) => `library\0${path}\0${line(entry.path, entry)}`),
    ...rows.map(([name, paths]) => `cached\0${name}\0${paths.join('\0')}`),
  ];
}

export type Bringing = From & {
  /** What was copied, in place. */
  readonly taken: readonly Taken[];
  readonly upper: Upper;
  /** Leaves files as they are in their tree. */
  readonly placer: EntryPlacer;
  readonly onEntry: (entry: TreeEntry) => void;
};

/** Throws `ops/missing-library`, `ops/library-conflict`. */
export function bringLibraries(on: Bringing): { readonly brought: readonly BroughtLibrary[]; readonly notes: readonly string[] } {
  const { action, taken, upper } = on;
  const stock = openStock(
    taken.map(({ entry }) => entry),
    on,
  );
  const programs = taken.map(({ entry, path, isNamed }) => ({ path: asPath(path), source: asPath(entry.path), isNamed }));
  const { brought, faults } = withinEffort(() => {
    const target = lookAt(filesOf(upper), readLoaderCache, { left: mostEffort });
    return findLibraries({ target, source: stock.look, programs, ...action.libs });
  });
  const notes = judge(faults, on, stock);
  const done: BroughtLibrary[] = [];
  for (const { source, destination } of brought) {
    const entry = stock.files.get(source);
    if (entry === undefined) continue;
    on.checkpoint();
    const there = upper.resolve(asByteString(destination.slice(1)), true).entry;
    if (there !== undefined) {
      if (!isSameFile(entry, there)) throw conflict(entry, there);
      continue;
    }
    on.onEntry(entry);
    const path = placeSource(
      on,
      { name: nameOf(destination), top: entry, below: [], listed: [] },
      { path: toText(destination), isFolder: false, made: { mode: 0o755, uid: 0, gid: 0 } },
    );
    done.push({ source: toText(asPath(entry.path)), destination: `/${toText(path)}`, size: entry.size });
  }
  return { brought: done, notes: [...notes, ...said(done)] };
}

/** What a named program lacks is an error, what one in a folder or a library lacks is only said. */
function judge(faults: readonly LibraryFault[], { taken, action }: Bringing, { isExcluded }: Stock): readonly string[] {
  const names = new Set(taken.map(({ path }) => toText(nameOf(path))));
  const named = new Set(taken.flatMap(({ path, isNamed }) => (isNamed ? [asPath(path)] : [])));
  const exclude = parsePatterns(action.exclude);
  const left = faults.filter(
    (fault) =>
      !isExcluded(fault.missing) &&
      !exclude.matches(asByteString(fault.missing.replace(/^\//u, ''))) &&
      (fault.isProgram || !names.has(fault.missing)),
  );
  const [grave, ...others] = left.filter((fault) => fault.isProgram && named.has(fault.program.path));
  if (grave !== undefined) {
    const more = others.length === 0 ? '' : `; also: ${[...new Set(others.map(({ missing }) => `"${missing}"`))].join(', ')}`;
    throw new JettisonError('ops/missing-library', `"--libs" cannot bring all that a program needs: ${grave.message}${more}`, {
      hint: grave.hint ?? 'Install it in the stage that is copied from, or leave it out with "--exclude"',
    });
  }
  const shown = left.slice(0, mostNotes).map(({ message }) => `Warning: --libs: ${message}`);
  return left.length > mostNotes ? [...shown, `Warning: --libs: ${left.length - mostNotes} more of these`] : shown;
}

const mostNotes = 5;
const mostNames = 12;

function said(brought: readonly BroughtLibrary[]): readonly string[] {
  if (brought.length === 0) return ['--libs: nothing is missing'];
  const size = formatSize(brought.reduce((sum, one) => sum + one.size, 0));
  const names = brought.slice(0, mostNames).map(({ destination }) => destination);
  const more = brought.length > mostNames ? ` and ${brought.length - mostNames} more` : '';
  return [`--libs brings ${brought.length} ${brought.length === 1 ? 'file' : 'files'}, ${size}: ${names.join(' ')}${more}`];
}

function conflict(source: TreeEntry, there: TreeEntry): JettisonError {
  const [from, to] = [toText(asPath(source.path)), toText(asPath(there.path))];
  const message = `"--libs" would have to put "${from}" of where it copies from in the place of another file, "${to}" of the image`;
  return new JettisonError('ops/library-conflict', message, {
    hint: 'Start both stages from one release of the same distribution, or leave the library out with "--exclude"',
  });
}

function isSameFile(one: TreeEntry, other: TreeEntry): boolean {
  if (other.kind !== 'file' || one.size !== other.size) return false;
  const [a, b] = [openEntryFile(one), openEntryFile(other)];
  try {
    const [left, right] = [new Uint8Array(1 << 16), new Uint8Array(1 << 16)];
    for (let at = 0; at < one.size;) {
      const length = readSync(a, left, 0, left.length, at);
      if (length === 0 || readSync(b, right, 0, length, at) !== length) return false;
      for (let index = 0; index < length; index++) if (left[index] !== right[index]) return false;
      at += length;
    }
    return true;
  } finally {
    closeSync(a);
    closeSync(b);
  }
}

function withinEffort<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isCode(error, 'payload/too-much')) throw error;
    throw new JettisonError('ops/too-many-libraries', '"--libs" would have to look for more libraries in more folders than it does', {
      hint: 'Name the programs that are started in an instruction with "--libs", and copy the rest without it',
      cause: error,
    });
  }
}
