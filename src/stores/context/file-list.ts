/** What a copy takes as a list that can be kept: to say later, when the digest is another one, which file differs and in what. */
import { asByteString, bytesOf, fromBytes, toText } from '#ground/base/byte-string.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import type { Selection } from './select.ts';

/** One line an entry: fields between NULs, bytes as characters. Compared as text, taken apart only where two differ. */
export type FileList = readonly string[];

export type FileChange = {
  /** As in the tree that was copied from; bytes that are not UTF-8 are replaced. */
  readonly path: string;
  readonly change: 'added' | 'removed' | 'kind' | 'content' | 'link target' | 'mode' | 'owner' | 'attributes' | 'device' | 'hard link';
  readonly before?: string;
  readonly after?: string;
};

/** Enough of a digest to tell two contents of one file apart. */
const digestLength = 16;

/** `lines` are the `selectionLines` of the selection. */
export function fileListOf(selection: Selection, lines: readonly string[]): FileList {
  const list: string[] = [];
  let next = 0;
  for (const { name, top, below } of selection.sources) {
    const line = lines[next++] ?? '';
    if (top.kind === 'folder') list.push([top.path, 'folder', '', '', '', '', '', '', '', ''].join('\0'));
    else list.push(listLine(top.path.endsWith(name) ? top.path : name, top, line));
    for (const { entry } of below) list.push(listLine(entry.path, entry, lines[next++] ?? ''));
  }
  return list;
}

function listLine(path: string, entry: TreeEntry, line: string): string {
  const [, , kind = '', mode = '', owner = '', target = '', device = '', hardLink = '', digest = '', attributes = ''] = line.split('\0');
  const size = entry.kind === 'file' ? String(entry.size) : '';
  return [path, kind, mode, owner, target, device, hardLink, shortDigest(digest), attributes, size].join('\0');
}

function shortDigest(digest: string): string {
  const start = digest.indexOf(':') + 1;
  return digest.slice(start, start + digestLength);
}

/** For a file; `readFileList` takes it apart again. */
export function printFileList(list: FileList): Uint8Array {
  return bytesOf(asByteString(list.map((line) => `${line}\0\n`).join('')));
}

export function readFileList(bytes: Uint8Array): FileList {
  return fromBytes(bytes).split('\0\n').slice(0, -1);
}

/** What differs, by path. A folder that came or went with something in it is left out: what is in it says so. */
export function compareFileLists(before: FileList, after: FileList): readonly FileChange[] {
  const [old, now] = [new Set(before), new Set(after)];
  const gone = byPath(before.filter((line) => !now.has(line)));
  const come = byPath(after.filter((line) => !old.has(line)));
  const [goneParents, comeParents] = [parentsOf(gone.keys()), parentsOf(come.keys())];
  const changes: FileChange[] = [];
  for (const [path, entry] of gone) {
    const other = come.get(path);
    if (other !== undefined) changes.push(changeOf(path, entry, other));
    else if (entry.kind !== 'folder' || !goneParents.has(path)) changes.push({ path: shown(path), change: 'removed' });
  }
  for (const [path, entry] of come) {
    if (!gone.has(path) && (entry.kind !== 'folder' || !comeParents.has(path))) changes.push({ path: shown(path), change: 'added' });
  }
  return changes.toSorted((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

type Fields = {
  readonly kind: string;
  readonly mode: string;
  readonly owner: string;
  readonly target: string;
  readonly device: string;
  readonly hardLink: string;
  readonly digest: string;
  readonly attributes: string;
  readonly size: string;
};

function byPath(lines: readonly string[]): ReadonlyMap<string, Fields> {
  return new Map(
    lines.map((line) => {
      const [
        path = '',
        kind = '',
        mode = '',
        owner = '',
        target = '',
        device = '',
        hardLink = '',
        digest = '',
        attributes = '',
        size = '',
      ] = line.split('\0');
      return [path, { kind, mode, owner, target, device, hardLink, digest, attributes, size }];
    }),
  );
}

/** All folders above these paths; '' is above every other. */
function parentsOf(paths: Iterable<string>): ReadonlySet<string> {
  const parents = new Set<string>();
  for (const path of paths) {
    for (let at = path; at !== '';) {
      at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
      if (parents.has(at)) break;
      parents.add(at);
    }
  }
  return parents;
}

function changeOf(path: string, before: Fields, after: Fields): FileChange {
  const changed = (change: FileChange['change'], from: string, to: string): FileChange => ({
    path: shown(path),
    change,
    ...(from === '' ? {} : { before: from }),
    ...(to === '' ? {} : { after: to }),
  });
  if (before.kind !== after.kind) return changed('kind', before.kind, after.kind);
  if (before.digest !== '' && after.digest !== '' && (before.digest !== after.digest || before.size !== after.size)) {
    return changed('content', `${before.size} bytes`, `${after.size} bytes`);
  }
  if (before.target !== after.target) return changed('link target', shown(before.target), shown(after.target));
  if (before.hardLink !== after.hardLink) return changed('hard link', shown(before.hardLink.slice(1)), shown(after.hardLink.slice(1)));
  if (before.mode !== after.mode) return changed('mode', before.mode, after.mode);
  if (before.owner !== after.owner) return changed('owner', before.owner, after.owner);
  if (before.device !== after.device) return changed('device', before.device, after.device);
  return changed('attributes', '', '');
}

function shown(path: string): string {
  return path === '' ? '.' : toText(asByteString(path));
}
