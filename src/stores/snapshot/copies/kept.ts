/**
 * What is needed to write down a copied tree after its process has died: the state that it was recorded in, in a file beside it. Only within one boot of the machine: after a crash
 * of that nobody knows which of the tree's files had reached the disk.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import * as v from 'valibot';
import { bootId } from '#ground/base/boot.ts';
import { asByteString, fromText, type ByteString } from '#ground/base/byte-string.ts';
import { systemCode } from '#ground/base/errors.ts';
import { inSlices } from '#ground/base/slices.ts';
import { openChainTree } from '../chain-tree.ts';
import { compareTree } from './compare.ts';
import { joinPath, recordAt, type FolderRecord } from './record.ts';
import { writeChanges } from './write.ts';

export type KeptTree = {
  /** The snapshot. */
  readonly id: string;
  /** Absolute path of the tree. */
  readonly tree: string;
  readonly record: FolderRecord;
  /** The snapshot had no files of its own when the tree was made. */
  readonly isUnwritten: boolean;
};

export type LeftTree = {
  readonly id: string;
  /** Absolute path of the snapshot's own folder. */
  readonly folder: string;
  /** Folders of the chain below it, topmost first. */
  readonly lowers: () => readonly string[];
  /** Where the departed process had its trees. */
  readonly trees: string;
};

/** Who clears up after the dead has to be done before anything else. */
const never = new AbortController().signal;

const folderRow = v.tuple([v.string(), v.instance(Float64Array), v.bigint(), v.array(v.string()), v.instance(Float64Array)]);
type Row = readonly [string, Float64Array, bigint, readonly string[], Float64Array];
const note = v.object({ boot: v.string(), tree: v.string(), isUnwritten: v.boolean(), folders: v.array(folderRow) });

/** To be called before anybody changes the tree; the note lies beside the tree, in a folder of this user alone. Disposing forgets it: once the tree is written down, or given up. */
export function noteKept({ id, tree, record, isUnwritten }: KeptTree): Disposable {
  const file = noteOf(join(tree, '..'), id);
  const said = { boot: bootId(), tree: basename(tree), isUnwritten, folders: flatten(record) };
  writeFileSync(file, serialize(said), { mode: 0o600 });
  return { [Symbol.dispose]: () => rmSync(file, { force: true }) };
}

/** Writes the tree that a dead process had of a kept snapshot into the snapshot's folder, if it had one. May be done again after it was broken off. */
export async function recoverTree({ id, folder, lowers, trees }: LeftTree): Promise<void> {
  const file = noteOf(trees, id);
  const found = read(file);
  if (found === undefined || found.boot !== bootId()) return;
  const root = fromText(join(trees, found.tree));
  const below = lowers();
  const layers = found.isUnwritten ? below : [folder, ...below];
  const changes = await inSlices(compareTree(root, { record: unflatten(found.folders), layers }), never);
  if (changes.changes.length > 0)
    await inSlices(writeChanges(changes, { root, upper: folder, lower: openChainTree(below), leavesNames: true }), never);
  rmSync(file, { force: true });
}

function noteOf(trees: string, id: string): string {
  return join(trees, `kept-${id}`);
}

function read(file: string): v.InferOutput<typeof note> | undefined {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  return v.parse(note, deserialize(bytes));
}

/** A tree may be deeper than what can be written nested. */
function flatten(top: FolderRecord): readonly Row[] {
  const rows: Row[] = [];
  const waiting: [ByteString, FolderRecord][] = [[asByteString(''), top]];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [path, { own, born, names, rows: stats, folders }] = next;
    rows.push([path, own, born, [...names], stats]);
    for (const [name, inner] of folders) waiting.push([joinPath(path, name), inner]);
  }
  return rows;
}

/** The root comes first, and each folder before those in it. */
function unflatten(rows: v.InferOutput<typeof note>['folders']): FolderRecord {
  const [first, ...others] = rows.map(([path, own, born, names, stats]) => ({
    path,
    record: { own, born, names: names.map(asByteString), rows: stats, folders: new Map<ByteString, FolderRecord>() },
  }));
  if (first === undefined) throw new TypeError('a note without a root');
  for (const { path, record } of others) {
    const at = path.lastIndexOf('/');
    recordAt(first.record, asByteString(path.slice(0, Math.max(at, 0))))?.folders.set(asByteString(path.slice(at + 1)), record);
  }
  return first.record;
}
