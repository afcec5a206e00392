/**
 * What the history of the builder before BuildKit calls the files of a COPY: `file:HASH`, `dir:HASH`, or `multi:HASH` of several. The hash is that of the content that the
 * cache key has, so the same files have the same name in every stage and Dockerfile. It is kept beside the result: a step that is found is not read again.
 */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { cacheKey, type CacheKey } from '#execution/cache/key.ts';
import type { SolvedVertex } from '#execution/solver/contract.ts';
import type { CopyAction, FileOp } from '#formats/graph/op.ts';
import type { Vertex } from '#formats/graph/vertex.ts';
import { canonicalJson } from '#ground/base/canonical-json.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import type { Database } from '#stores/db/open.ts';
import type { Engine } from './open.ts';

export const copiedNameTables = 'CREATE TABLE copied_names (key TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID';

export type CopiedNames = {
  find(key: CacheKey): string | undefined;
  save(key: CacheKey, name: string): void;
};

export function openCopiedNames(database: Database): CopiedNames {
  const find = database.prepare('SELECT name FROM copied_names WHERE key = ?');
  const save = database.prepare('INSERT OR IGNORE INTO copied_names (key, name) VALUES (?, ?)');
  return {
    find: (key) => {
      const row = find.get(key);
      return row === undefined ? undefined : String(row['name']);
    },
    save: (key, name) => {
      save.run(key, name);
    },
  };
}

type Copied = { readonly vertex: Vertex; readonly solved: SolvedVertex | undefined; readonly context: string };

/** `layer`: the DiffID of what the copy made, for where nothing else is known any more. `context`: the folder of the main context. */
export async function nameOfCopy(
  engine: Pick<Engine, 'copiedNames' | 'builds'>,
  copied: Copied,
  layer: Digest | undefined,
): Promise<string> {
  const { vertex, solved, context } = copied;
  const { op } = vertex;
  if (op.kind !== 'file') return 'file:';
  const key = solved?.key;
  const known = key === undefined ? undefined : engine.copiedNames.find(key);
  if (known !== undefined) return known;
  const contents = await contentsOf(engine, op, solved);
  const whole = contents.length === 1 ? contents[0] : contents.length === 0 ? layer : digestOf(canonicalJson([...contents]));
  const name = `${formOf(vertex, op, context)}:${(whole ?? '').replace(/^sha256:/u, '')}`;
  if (key !== undefined) engine.copiedNames.save(key, name);
  return name;
}

/** The digests of what is read of each tree that is copied from; none when one of them is not known. */
async function contentsOf(
  engine: Pick<Engine, 'builds'>,
  op: FileOp,
  solved: SolvedVertex | undefined,
): Promise<readonly (Digest | CacheKey)[]> {
  const [parts] = solved?.lookedUpBy ?? [];
  if (solved === undefined || parts === undefined) return [];
  const inputs = parts.inputs.map((_, index) => index).filter((index) => index !== op.base);
  const seen = (index: number): CacheKey | undefined => {
    for (const { inputs: keys } of solved.lookedUpBy) {
      const input = keys[index];
      if (input !== undefined && 'content' in input) return input.content;
    }
    return undefined;
  };
  const own = inputs.map(seen);
  if (own.every((content) => content !== undefined)) return own;
  const remembered = (await engine.builds()).keyOf(cacheKey(parts))?.contents ?? [];
  const all = inputs.map((index, place) => own[place] ?? remembered[index] ?? undefined);
  return all.every((content) => content !== undefined) ? all : [];
}

function formOf(vertex: Vertex, { actions }: FileOp, context: string): 'file' | 'dir' | 'multi' {
  const copies = actions.filter((action) => action.kind === 'copy');
  const sources = copies.flatMap((copy) => copy.sources.map((source) => ({ copy, source })));
  const [only] = sources;
  if (only === undefined || sources.length > 1 || /[*?[]/u.test(only.source)) return 'multi';
  return isFolder(vertex, only, context) ? 'dir' : 'file';
}

/** Of a stage's path only its end can be seen. */
function isFolder(vertex: Vertex, { copy, source }: { readonly copy: CopyAction; readonly source: string }, context: string): boolean {
  const from = copy.input === null ? undefined : vertex.inputs[copy.input]?.vertex.op;
  if (source === '/') return true;
  if (from?.kind !== 'source-local' || from.name !== 'context') return false;
  return lstatSync(join(context, source), { throwIfNoEntry: false })?.isDirectory() === true;
}
