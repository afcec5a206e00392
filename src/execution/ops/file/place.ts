/** The destination side of a copy, by BuildKit's rules (fsutil's `copy`): where each source goes, what merges with what, and what is refused. */
import { asByteString, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { changeTimeAt } from '#ground/linux/syscall.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import type { SelectedEntry, SelectedSource } from '#stores/context/select.ts';
import type { EntryPlacer } from './place-entry.ts';
import { joinPath, nameOf, parentOf, type Made, type OpenFolder, type Upper } from './upper.ts';

/** A destination as an instruction names it. */
export type Destination = {
  readonly path: string;
  readonly isFolder: boolean;
  /** For folders made on the way. */
  readonly made: Made;
};

/** One source of a COPY; gives the path that it has now. `checkpoint` is called for each entry and throws to stop. */
export function placeSource(
  on: { readonly upper: Upper; readonly placer: EntryPlacer; readonly checkpoint: () => void },
  source: SelectedSource,
  asked: Destination,
): ByteString {
  // Folders made on the way are as old as what they were made for: those of the clock would differ with every build.
  const to = { ...asked, made: { ...asked.made, time: source.top.mtime } };
  if (source.top.kind === 'folder') {
    using folder = openDestination(on.upper, to);
    on.placer.begin(folder.path, source.top.mtime);
    fillFolder(on, folder, source.below);
    // The folder itself is not copied, but takes the time, as with BuildKit.
    on.upper.dateFolder(folder.path, source.top.mtime);
    changeTimeAt(folder.file, asByteString('.'), source.top.mtime);
    return folder.path;
  }
  using place = openPlace(on.upper, to, source.name);
  on.placer.begin(place.folder.path, undefined);
  on.placer.place(place.folder, place.name, source.top);
  return joinPath(place.folder.path, place.name);
}

/** The folder that a file goes into and its name there; nothing is at that place any more. */
export function openPlace(
  upper: Upper,
  to: Destination,
  name: ByteString,
): Disposable & { readonly folder: OpenFolder; readonly name: ByteString } {
  ensureWay(upper, to);
  const found = upper.resolve(fromText(to.path), true);
  const path = found.entry?.kind === 'folder' ? joinPath(found.path, name) : found.path;
  upper.makeFolders(parentOf(path), to.made);
  const folder = upper.openFolder(parentOf(path));
  try {
    makeRoom(upper, folder, nameOf(path));
  } catch (error) {
    folder[Symbol.dispose]();
    throw error;
  }
  return { folder, name: nameOf(path), [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

/** The destination as a folder, made when nothing is there. */
export function openDestination(upper: Upper, to: Destination): OpenFolder {
  ensureWay(upper, to);
  const found = upper.resolve(fromText(to.path), true);
  if (found.entry && found.entry.kind !== 'folder') throw notAFolder(found.path);
  return upper.openFolder(upper.makeFolders(found.path, to.made));
}

/** With a trailing slash the destination is made first, whatever comes; without one, the folders above it. */
function ensureWay(upper: Upper, to: Destination): void {
  const path = fromText(to.path.replaceAll(/^\/+|\/+$/gu, ''));
  upper.makeFolders(to.isFolder ? path : parentOf(path), to.made);
}

type Level = { readonly path: string; readonly folder: OpenFolder; readonly entry: TreeEntry | undefined };

function fillFolder(
  on: { readonly upper: Upper; readonly placer: EntryPlacer; readonly checkpoint: () => void },
  top: OpenFolder,
  entries: Iterable<SelectedEntry>,
): void {
  const levels: Level[] = [{ path: '', folder: top, entry: undefined }];
  const leave = (level: Level): void => {
    using folder = level.folder;
    if (level.entry) on.placer.dress(folder, level.entry);
  };
  try {
    for (const selected of entries) {
      on.checkpoint();
      const parentPath = parentOf(selected.path);
      while (levels.length > 1 && levels.at(-1)?.path !== parentPath) leave(levels.pop() ?? unreachableLevel());
      const { folder } = levels.at(-1) ?? unreachableLevel();
      const name = nameOf(selected.path);
      if (selected.entry.kind === 'folder') {
        const level = { path: selected.path, ...enterFolder(on.upper, folder, selected) };
        levels.push(level);
        on.placer.enter(level.folder.path, selected.entry, level.folder.isNew);
      } else {
        makeRoom(on.upper, folder, name);
        on.placer.place(folder, name, selected.entry);
      }
    }
    while (levels.length > 1) leave(levels.pop() ?? unreachableLevel());
  } finally {
    for (const level of levels.slice(1)) level.folder[Symbol.dispose]();
  }
}

/** A folder inside a copied one: made, or merged with what is there, which then takes the source's mode and owner. */
function enterFolder(
  upper: Upper,
  parent: OpenFolder,
  { path, entry, onTheWay }: SelectedEntry,
): { readonly folder: OpenFolder; readonly entry: TreeEntry | undefined } {
  const name = nameOf(path);
  const place = joinPath(parent.path, name);
  const existing = parent.isNew ? undefined : upper.entry(place);
  if (!existing) return { folder: upper.makeFolder(parent, name), entry };
  if (existing.kind !== 'folder') throw notAFolder(place);
  return { folder: upper.openFolder(place), entry: onTheWay ? undefined : entry };
}

/** A file takes the place of a file or link, never of a folder. */
function makeRoom(upper: Upper, folder: OpenFolder, name: ByteString): void {
  if (folder.isNew) return;
  const path = joinPath(folder.path, name);
  const existing = upper.entry(path);
  if (existing?.kind === 'folder') {
    throw new JettisonError('ops/folder-in-the-way', `cannot replace to directory "/${toText(path)}" with file`, {
      hint: 'A folder of that name is in the image: name another destination, or remove the folder in an earlier step',
    });
  }
  if (existing?.layer === 0) upper.clear(folder, name);
}

function notAFolder(path: ByteString): JettisonError {
  return new JettisonError('ops/not-a-folder', `cannot copy to non-directory: "/${toText(path)}"`, {
    hint: 'The source is a folder and its destination is a file or a link: name another destination, or remove it in an earlier step',
  });
}

function unreachableLevel(): never {
  throw new JettisonError('ops/unreachable', 'No folder is open', { fault: 'bug' });
}
