/**
 * Which entries of a tree a COPY or ADD takes, and under which names: the source side of a copy, by BuildKit's rules
 * (`solver/llbsolver/file/backend.go` and fsutil's `copy`). Where they go is the destination's matter (`ops/file.ts`).
 */
import { lstatSync } from 'node:fs';
import { asByteString, bytesOf, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import type { Digest } from '#ground/base/digest.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { suggest } from '#ground/base/human.ts';
import { goMatcher, parsePatterns, type PatternSet, type PatternState } from '#ground/base/patterns.ts';
import { createLineMaker, digestLines, type TreeDigestOptions } from '#ground/linux/tree-digest.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { missingSource } from './errors.ts';

/** What a copy says of its sources: a part of the graph's `CopyAction`. */
export type CopySources = {
  /** Cleaned absolute paths inside the tree. With `parents`, `/./` in one says where the kept part begins. */
  readonly sources: readonly string[];
  readonly wildcards: boolean;
  readonly exclude: readonly string[];
  readonly parents: boolean;
};

export type Selection = {
  readonly sources: readonly SelectedSource[];
  /** Patterns that matched nothing: BuildKit takes that for no files, not for an error. */
  readonly unmatched: readonly string[];
};

/** One path that was named or matched. A folder stands for its contents: its own mode and owner are not copied. */
export type SelectedSource = {
  /** Its name in a destination that is a folder. */
  readonly name: ByteString;
  /** The entry, links followed to the end. */
  readonly top: TreeEntry;
  /**
   * What lies below a folder, each folder before what it holds, names in byte order. Symbolic links stay links. The tree is walked anew each time this is gone
   * through, as far as the tree does not remember it: a large one is never held as a whole.
   */
  readonly below: Iterable<SelectedEntry>;
  /** Of `below`, those entries that are known without a walk; the others are the contents of a folder. */
  readonly listed: readonly SelectedEntry[];
  readonly contents?: Contents;
};

/** All that lies below a folder, but for what is excluded. */
export type Contents = {
  readonly folder: TreeEntry;
  /** Names are relative to this folder; `state` is what the patterns say of `folder` in it. */
  readonly base: TreeEntry;
  readonly exclude: PatternSet;
  readonly state: PatternState;
};

export type SelectedEntry = {
  /** Relative to the source. */
  readonly path: ByteString;
  readonly entry: TreeEntry;
  /** A folder that is only on the way to what was asked for: an existing one at the destination stays as it is. */
  readonly onTheWay: boolean;
};

export type SelectOptions = {
  /** Give up with `context/too-many-files` beyond this many entries. */
  readonly maximum?: number;
  /** Called for each entry; throws to stop. */
  readonly checkpoint?: () => void;
};

/** Throws `context/missing-source` when a source that is no pattern is not there. */
export function selectForCopy(tree: Tree, copy: CopySources, options: SelectOptions = {}): Selection {
  const walk: Walk = { tree, exclude: parsePatterns(copy.exclude), count: counter(options) };
  const sources: SelectedSource[] = [];
  const unmatched: string[] = [];
  for (const source of copy.sources) {
    const found = copy.parents ? withParents(walk, source, copy.wildcards) : withoutParents(walk, source, copy.wildcards);
    if (found.length === 0) unmatched.push(source);
    sources.push(...found);
  }
  return { sources, unmatched };
}

/** All entries: of each source the top, then what lies below. */
export function* selectedEntries({ sources }: Selection): Generator<TreeEntry> {
  for (const { top, below } of sources) {
    yield top;
    for (const { entry } of below) yield entry;
  }
}

/** The digest of what a selection takes: everything that the copy's result depends on, times left out. */
export function selectionDigest(selection: Selection, options: TreeDigestOptions): Digest {
  return digestLines(selectionLines(selection, options));
}

/** The digest and the lines behind it, for whoever wants both. */
export function takeSelection(
  selection: Selection,
  options: TreeDigestOptions,
): { readonly digest: Digest; readonly lines: readonly string[] } {
  const lines = [...selectionLines(selection, options)];
  return { digest: digestLines(lines), lines };
}

/** The lines behind `selectionDigest`, to say later what differs. */
export function* selectionLines(selection: Selection, options: TreeDigestOptions): Generator<string> {
  for (const source of selection.sources) {
    const line = createLineMaker(options);
    if (source.top.kind === 'folder') yield 'contents';
    else yield `single\0${line(source.name, source.top)}`;
    for (const { path, entry, onTheWay } of source.below) yield `${onTheWay ? 'way' : 'entry'}\0${line(path, entry)}`;
  }
}

type Walk = { readonly tree: Tree; readonly exclude: PatternSet; readonly count: () => void };

function counter(options: SelectOptions): () => void {
  let seen = 0;
  return () => {
    options.checkpoint?.();
    if (++seen > (options.maximum ?? Infinity)) throw new JettisonError('context/too-many-files', `More than ${options.maximum} files`);
  };
}

function withoutParents(walk: Walk, source: string, wildcards: boolean): SelectedSource[] {
  const found: SelectedSource[] = [];
  for (const path of wildcards ? expand(walk, source) : [plainPath(source)]) {
    const top = walk.tree.resolve(path, true).entry;
    if (!top) throw missing(walk.tree, toText(path));
    walk.count();
    const name = baseName(path);
    if (top.kind === 'folder') found.push(wholeFolder(walk, name, top));
    // As documented, though BuildKit up to 0.26 copies them: --exclude leaves out files that a pattern of the instruction matched.
    else if (!(wildcards && hasWildcard(source) && walk.exclude.matches(name))) found.push({ name, top, below: [], listed: [] });
  }
  return found;
}

/** `--parents`: the folders above each source come along, from the root or from `/./` on. No link is followed below that. */
function withParents(walk: Walk, source: string, wildcards: boolean): SelectedSource[] {
  const pivot = source.indexOf('/./');
  const above = pivot < 0 ? '' : source.slice(0, pivot);
  const base = walk.tree.resolve(plainPath(above), true).entry;
  if (base?.kind !== 'folder') throw missing(walk.tree, above);
  const kept = plainPath(pivot < 0 ? source : source.slice(pivot + 2));
  if (kept === '') return [wholeFolder(walk, kept, base)];
  const isPattern = wildcards && hasWildcard(kept);
  const paths = isPattern ? matchesBelow(walk, base, kept) : [join(base.path, kept)];
  return paths.map((path) => {
    const entry = walk.tree.entry(path);
    if (!entry) throw missingWithParents(walk.tree, path);
    walk.count();
    const way = wayTo(walk.tree, base, entry);
    if (walk.exclude.matches(relativeTo(base, entry))) return { name: kept, top: base, below: [], listed: [] };
    const listed = [...way, { path: relativeTo(base, entry), entry, onTheWay: false }];
    if (entry.kind !== 'folder') return { name: kept, top: base, below: listed, listed };
    const contents = contentsOf(walk, entry, base);
    const rest = entriesOf(walk, contents);
    const below = function* (): Generator<SelectedEntry> {
      yield* listed;
      yield* rest;
    };
    return { name: kept, top: base, below: { [Symbol.iterator]: below }, listed, contents };
  });
}

function wholeFolder(walk: Walk, name: ByteString, folder: TreeEntry): SelectedSource {
  const contents = contentsOf(walk, folder, folder);
  return { name, top: folder, below: entriesOf(walk, contents), listed: [], contents };
}

/** Paths below `base` that a pattern with `**` and wildcards matches, outermost first; what lies in a folder that matched is not listed. */
function matchesBelow(walk: Walk, base: TreeEntry, pattern: ByteString): ByteString[] {
  const set = parsePatterns([toText(pattern)]);
  const names = pattern.split('/');
  const first = names.findIndex(hasWildcard);
  const found: ByteString[] = [];
  const visit = (folder: ByteString): void => {
    for (const entry of walk.tree.list(folder)) {
      walk.count();
      if (set.matches(relativeTo(base, entry))) found.push(entry.path);
      else if (entry.kind === 'folder') visit(entry.path);
    }
  };
  const start = walk.tree.entry(join(base.path, asByteString(names.slice(0, first).join('/'))));
  if (start?.kind === 'folder') visit(start.path);
  return found;
}

/** The folders between `base` and an entry below it, outermost first. */
function wayTo(tree: Tree, base: TreeEntry, entry: TreeEntry): SelectedEntry[] {
  const found: SelectedEntry[] = [];
  const start = entry.path.length - relativeTo(base, entry).length;
  for (let slash = entry.path.indexOf('/', start); slash >= 0; slash = entry.path.indexOf('/', slash + 1)) {
    const folder = tree.entry(asByteString(entry.path.slice(0, slash)));
    if (folder) found.push({ path: relativeTo(base, folder), entry: folder, onTheWay: true });
  }
  return found;
}

/** Paths that a source with wildcards names; without any, the path itself. Links are followed in the part before the first wildcard only. */
function expand(walk: Walk, source: string): readonly ByteString[] {
  const names = source.split('/').filter((name) => name !== '' && name !== '.');
  const first = names.findIndex(hasWildcard);
  if (first < 0) return [plainPath(source)];
  const folder = names.slice(0, first).join('/');
  const start = walk.tree.resolve(fromText(folder), true).entry;
  if (start?.kind !== 'folder') throw missing(walk.tree, folder);
  return expandBelow(walk, start.path, names.slice(first));
}

function expandBelow(walk: Walk, folder: ByteString, patterns: readonly string[]): ByteString[] {
  const [pattern, ...rest] = patterns;
  if (pattern === undefined) return [folder];
  const matches = goMatcher(pattern);
  const found: ByteString[] = [];
  for (const entry of walk.tree.list(folder)) {
    if (!matches(baseName(entry.path))) continue;
    if (rest.length === 0) found.push(entry.path);
    else if (entry.kind === 'folder') found.push(...expandBelow(walk, entry.path, rest));
  }
  return found;
}

/**
 * Everything below a folder, named relative to `base`. A folder that is excluded while an exception (`!`) may hold inside it comes
 * along only when something below it does.
 */
function entriesOf(walk: Walk, { folder, base, state }: Contents): Iterable<SelectedEntry> {
  return { [Symbol.iterator]: () => entriesBelow(walk, base, { path: folder.path, state, skipped: [] }) };
}

function contentsOf({ exclude }: Walk, folder: TreeEntry, base: TreeEntry): Contents {
  return { folder, base, exclude, state: stateAt(exclude, relativeTo(base, folder)) };
}

/** `skipped`: folders on the way that come along with the first entry below them. */
type Visit = { readonly path: ByteString; readonly state: PatternState; readonly skipped: SelectedEntry[] };

function* entriesBelow(walk: Walk, base: TreeEntry, { path, state, skipped }: Visit): Generator<SelectedEntry, void> {
  const { exclude } = walk;
  for (const entry of walk.tree.list(path)) {
    walk.count();
    const relative = relativeTo(base, entry);
    const own = exclude.enter(relative, state);
    if (!exclude.leavesOut(own)) {
      yield* skipped.splice(0);
      yield { path: relative, entry, onTheWay: false };
      if (entry.kind === 'folder') yield* entriesBelow(walk, base, { path: entry.path, state: own, skipped: [] });
    } else if (entry.kind === 'folder' && exclude.mayKeepBelow(relative)) {
      const inside = [...skipped, { path: relative, entry, onTheWay: true }];
      const before = inside.length;
      yield* entriesBelow(walk, base, { path: entry.path, state: own, skipped: inside });
      if (inside.length < before) skipped.length = 0;
    }
  }
}

function stateAt(exclude: PatternSet, path: ByteString): PatternState {
  if (path === '') return exclude.start;
  let state = exclude.start;
  for (let end = path.indexOf('/'); ; end = path.indexOf('/', end + 1)) {
    state = exclude.enter(end < 0 ? path : asByteString(path.slice(0, end)), state);
    if (end < 0) return state;
  }
}

function missing(tree: Tree, path: string): JettisonError {
  return missingSource(path, hintFor(tree, fromText(path.replace(/^\/+/u, ''))));
}

/** What is there behind a link: its folders cannot come along under the names that were written. */
function missingWithParents(tree: Tree, path: ByteString): JettisonError {
  const real = tree.resolve(path, true);
  if (real.entry === undefined) return missing(tree, toText(path));
  return missingSource(toText(path), `"--parents" follows no links on the way, and there is one: write "/${toText(real.path)}"`);
}

/** What is near a path where nothing is. */
export function hintFor(tree: Tree, path: ByteString): string | undefined {
  const names = path.split('/');
  const depth = depthThere(tree, names);
  const parent = tree.resolve(asByteString(names.slice(0, depth).join('/')), true).entry;
  if (parent?.kind !== 'folder') return undefined;
  if (liesOnHost(parent.hostPath, names.slice(depth))) {
    const rest = names.slice(depth).join('/');
    const whole = parent.path === '' ? rest : `${parent.path}/${rest}`;
    return `It is there, but ${tree.leftOutBy?.(asByteString(whole)) ?? '.dockerignore'} leaves it out of the build context`;
  }
  const siblings = tree.list(parent.path).map((entry) => toText(baseName(entry.path)));
  const shown = parent.path === '' ? '/' : `/${toText(parent.path)}/`;
  const name = toText(asByteString(names[depth] ?? ''));
  if (siblings.includes(name)) return `"${shown}${name}" is a symbolic link to what is not there; none leads out of where it lies`;
  const near = suggest(name, siblings);
  if (near !== undefined) return `Did you mean "${shown}${near}"?`;
  if (siblings.length === 0) return `"${shown}" is empty`;
  return `"${shown}" holds ${siblings.slice(0, 8).join(', ')}${siblings.length > 8 ? ' ...' : ''}`;
}

/** How many of the names lead to something; fewer than all. Halving: with thousands of names, each look is long. */
function depthThere(tree: Tree, names: readonly string[]): number {
  let [there, gone] = [0, names.length];
  while (gone - there > 1) {
    const middle = (there + gone) >> 1;
    if (tree.resolve(asByteString(names.slice(0, middle).join('/')), true).entry === undefined) gone = middle;
    else there = middle;
  }
  return there;
}

/** Of real folders and files only: a link would say what lies elsewhere. A whiteout of a snapshot is a character device: not there. */
function liesOnHost(folder: ByteString, names: readonly string[]): boolean {
  if (folder === '' || names.includes('..')) return false;
  try {
    return names.every((_, index) => {
      // oxlint-disable-next-line no-restricted-globals
      const stats = lstatSync(Buffer.from(bytesOf(asByteString([folder, ...names.slice(0, index + 1)].join('/')))), {
        throwIfNoEntry: false,
      });
      return stats?.isDirectory() === true || (stats?.isFile() === true && index === names.length - 1);
    });
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return false;
  }
}

/** Go's rule: a wildcard that no backslash stands before. */
function hasWildcard(path: string): boolean {
  return /^(?:\\.|[^\\*?[])*[*?[]/su.test(path);
}

function plainPath(source: string): ByteString {
  return fromText(
    source
      .split('/')
      .filter((name) => name !== '' && name !== '.')
      .join('/'),
  );
}

/** The path of an entry of the tree, seen from a folder above it. */
export function relativeTo(base: Pick<TreeEntry, 'path'>, entry: Pick<TreeEntry, 'path'>): ByteString {
  if (entry.path === base.path) return asByteString('');
  return base.path === '' ? entry.path : asByteString(entry.path.slice(base.path.length + 1));
}

function join(folder: ByteString, path: ByteString): ByteString {
  if (path === '') return folder;
  return folder === '' ? path : asByteString(`${folder}/${path}`);
}

function baseName(path: ByteString): ByteString {
  return asByteString(path.slice(path.lastIndexOf('/') + 1));
}
