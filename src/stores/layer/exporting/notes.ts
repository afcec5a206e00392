/** Files beside those of an exported tree that say something about it: statements with the digest of each of its files. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { asByteString, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { createDigester, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Tree, TreeEntry } from '#ground/linux/tree.ts';
import { statementBytes, type Subject } from '#formats/provenance/statement.ts';
import type { TreeNote, Watch } from '../jobs.ts';
import { standsForDevice } from './device.ts';
import type { Chosen } from './export-files.ts';

export type Note = { readonly name: ByteString; readonly bytes: Uint8Array<ArrayBuffer> };

/** None without `notes`, and nothing is read then. Throws `layer/name-taken` for one that the tree has a file for. */
export function notesOf(tree: Tree, chosen: Chosen, notes: readonly TreeNote[], watch: Watch): readonly Note[] {
  if (notes.length === 0) return [];
  for (const { name } of notes) if (namesIn(tree, chosen).has(name)) throw nameTaken(name);
  const subjects = subjectsIn(tree, chosen, watch);
  return notes.map(({ name, predicateType, predicate }) => ({
    name,
    bytes: statementBytes(subjects, { predicateType, predicate: new TextEncoder().encode(predicate) }),
  }));
}

function namesIn(tree: Tree, { entry, name }: Chosen): ReadonlySet<ByteString> {
  return new Set(name === '' ? tree.list(entry.path).map(({ path }) => lastOf(path)) : [name]);
}

/** Regular files by their paths in what goes out. */
function subjectsIn(tree: Tree, chosen: Chosen, watch: Watch): readonly Subject[] {
  const subjects: Subject[] = [];
  const visit = (entry: TreeEntry, name: ByteString): void => {
    watch.check();
    if (entry.kind === 'folder')
      for (const child of tree.list(entry.path))
        visit(child, name === '' ? lastOf(child.path) : asByteString(`${name}/${lastOf(child.path)}`));
    else if (entry.kind === 'file' && standsForDevice(entry, tree.xattrs(entry)) === undefined)
      subjects.push({ name: toText(name), digest: digestOfFile(entry.hostPath, watch) });
  };
  visit(chosen.entry, chosen.name);
  return subjects;
}

function digestOfFile(path: ByteString, watch: Watch): Digest {
  const digester = createDigester();
  const buffer = new Uint8Array(1 << 18);
  const file = openSync(nodePath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    for (let count = readSync(file, buffer); count > 0; count = readSync(file, buffer)) {
      watch.check();
      digester.update(buffer.subarray(0, count));
    }
  } finally {
    closeSync(file);
  }
  return digester.finish();
}

function lastOf(path: ByteString): ByteString {
  return asByteString(path.slice(path.lastIndexOf('/') + 1));
}

function nameTaken(name: ByteString): JettisonError {
  return new JettisonError(
    'layer/name-taken',
    `The result has a file "${toText(name)}" of its own, where an attestation is to be written`,
    {
      hint: 'Name the other one: "--provenance filename=NAME"; or leave it out: "--provenance false"',
    },
  );
}
