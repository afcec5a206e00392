/** Writes images into a folder that is an OCI image layout (OCI image spec, image-layout.md), or becomes one; what it has besides stays. */
import { closeSync, fsyncSync, lstatSync, openSync, readFileSync, renameSync, rmSync, writevSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { makeFolders } from '#ground/base/make-folders.ts';
import { fullDisk, fullDiskHint, JettisonError, messageOf, systemCode } from '#ground/base/errors.ts';
import { bytesPiece, ociArchive, type Piece, type SavedImage, type SavedIndex } from './archive.ts';

const longestIndex = 16 << 20;
const entrySchema = v.looseObject({ digest: v.string(), annotations: v.optional(v.record(v.string(), v.string())) });
const indexSchema = v.looseObject({ schemaVersion: v.literal(2), manifests: v.array(entrySchema) });
type Entry = v.InferOutput<typeof entrySchema>;

/**
 * Entries of the same name are replaced, blobs that are there are left. Each file is complete or not there, and the index, which names the images, comes last.
 * Throws `image/bad-layout` for a folder that holds an index which is none, `image/no-space`, `image/cannot-write`, `image/wrong-size`.
 */
export async function writeLayout(images: readonly (SavedImage | SavedIndex)[], folder: string, signal: AbortSignal): Promise<void> {
  try {
    const before = readIndex(folder);
    const pieces = ociArchive(images);
    const index = pieces.find(({ name }) => name === 'index.json');
    for (const piece of pieces) {
      signal.throwIfAborted();
      const path = join(folder, piece.name);
      if (piece === index || (piece.name.startsWith('blobs/') && sizeOf(path) === piece.size)) continue;
      await writePiece(path, piece, signal);
    }
    if (index === undefined) return;
    const merged = before === undefined ? index : await mergeIndex(before, index);
    await writePiece(join(folder, 'index.json'), merged, signal);
  } catch (error) {
    throw explainWriting(error, folder);
  }
}

async function mergeIndex(before: v.InferOutput<typeof indexSchema>, index: Piece): Promise<Piece> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of index.open()) text += decoder.decode(chunk, { stream: true });
  const made = v.parse(indexSchema, JSON.parse(text));
  const names = new Set(made.manifests.map(keyOf));
  const merged = { ...before, manifests: [...before.manifests.filter((entry) => !names.has(keyOf(entry))), ...made.manifests] };
  return bytesPiece('index.json', new TextEncoder().encode(JSON.stringify(merged)));
}

/** What one entry of an index has alone: its name, else its digest. */
function keyOf({ digest, annotations }: Entry): string {
  return annotations?.['io.containerd.image.name'] ?? annotations?.['org.opencontainers.image.ref.name'] ?? digest;
}

function readIndex(folder: string): v.InferOutput<typeof indexSchema> | undefined {
  const path = join(folder, 'index.json');
  const size = sizeOf(path);
  if (size === undefined) return undefined;
  try {
    if (size > longestIndex) throw new Error(`it has ${size} bytes`);
    return v.parse(indexSchema, JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new JettisonError('image/bad-layout', `"${path}" is no index of an OCI layout: ${messageOf(error)}`, {
      cause: error,
      hint: 'Name another folder, or remove this one',
    });
  }
}

/** Of a regular file; undefined where there is none. */
function sizeOf(path: string): number | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true ? found.size : undefined;
}

/** A file that is complete or not there. */
export async function writePiece(path: string, piece: Piece, signal: AbortSignal): Promise<void> {
  makeFolders(dirname(path));
  const draft = `${path}.${process.pid}-${process.hrtime.bigint()}.tmp`;
  try {
    await writeNew(draft, piece, signal);
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

async function writeNew(path: string, { name, size, open }: Piece, signal: AbortSignal): Promise<void> {
  const file = openSync(path, 'wx', 0o666);
  try {
    let written = 0;
    for await (const chunk of open()) {
      signal.throwIfAborted();
      for (let at = 0; at < chunk.length;) at += writevSync(file, [chunk.subarray(at)]);
      written += chunk.length;
    }
    if (written !== size)
      throw new JettisonError('image/wrong-size', `"${name}" has ${written} bytes where ${size} were announced`, { fault: 'environment' });
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Node's errors of writing into `folder` as ours. */
export function explainWriting(error: unknown, folder: string): unknown {
  if (systemCode(error) === undefined || error instanceof JettisonError) return error;
  const full = fullDisk(error);
  return new JettisonError(
    full === undefined ? 'image/cannot-write' : 'image/no-space',
    `Cannot write the image to "${folder}": ${full ?? messageOf(error)}`,
    {
      fault: 'environment',
      cause: error,
      ...(full === undefined ? {} : { hint: fullDiskHint }),
    },
  );
}
