/** `type=local` and `type=tar`: the files of a result, without an image around them. */
import { printPlatform } from '#formats/oci/platform.ts';
import { ofItem, type Report } from '#formats/progress/event.ts';
import { childSignal } from '#ground/base/abort.ts';
import { fromText } from '#ground/base/byte-string.ts';
import { isCode, JettisonError, messageOf } from '#ground/base/errors.ts';
import { formatSize } from '#ground/base/human.ts';
import { followFile } from '#stores/content/growing.ts';
import { removeSegments } from '#stores/content/segment.ts';
import { writeDraft } from '#stores/image/archive.ts';
import type { Exported, TreeNote } from '#execution/worker/contract.ts';
import type { Statement, Statements } from './attestations.ts';
import type { OutputRequest } from './build-requests.ts';
import type { BuiltResult } from './gather-cache.ts';
import type { Engine } from './open.ts';

export type ExportFiles = {
  readonly results: readonly BuiltResult[];
  readonly output: Extract<OutputRequest, { kind: 'local' | 'tar' }>;
  /** About each result; they become files beside its own. */
  readonly statements: readonly Statements[];
};

/**
 * SOURCE_DATE_EPOCH is the time of all files. Throws `layer/...`, `engine/bad-destination` for a folder that cannot be written, `image/bad-destination`, `image/cannot-write`. A tar file is complete or not there; of files in a folder each
 * one is.
 */
export async function exportFiles(
  engine: Engine,
  { results, output, statements }: ExportFiles,
  { report, say }: { readonly report: Report; readonly say: (line: string) => void },
  signal: AbortSignal,
): Promise<void> {
  engine.hold();
  const epoch = results[0]?.drafted.epoch;
  const what = {
    trees: results.map((result, at) => ({
      ...treeOf(result, output.isSplit ?? results.length > 1),
      notes: (statements[at] ?? []).filter(({ isInlineOnly }) => !isInlineOnly).map(noteOf),
    })),
    path: fromText(output.source),
    ...(epoch === undefined ? {} : { time: BigInt(epoch) * 1_000_000n }),
  };
  const worker = await engine.worker(signal);
  const { destination } = output;
  if (destination.kind === 'folder') {
    const written = worker.exportTree({ ...what, to: destination }, report, signal).catch((error: unknown) => {
      if (!isCode(error, 'layer/system-error')) throw error;
      throw new JettisonError('engine/bad-destination', `Cannot write "${destination.path}": ${messageOf(error)}`, {
        fault: 'environment',
        hint: 'Name another destination',
        cause: error,
      });
    });
    return tell(await written, say);
  }
  if (destination.kind === 'file') {
    const write = async (file: string): Promise<void> =>
      tell(await worker.exportTree({ ...what, to: { kind: 'tar', file, passes: false } }, ofItem(report, destination.path), signal), say);
    return await writeDraft(destination.path, write);
  }
  using own = childSignal(signal);
  const file = engine.content.temporaryPath();
  const complete = worker.exportTree({ ...what, to: { kind: 'tar', file, passes: true } }, ofItem(report, 'standard output'), own.signal);
  complete.catch(() => undefined); // also read where nobody waits any more
  try {
    using growing = await followFile(file, complete, own.signal);
    for await (const chunk of growing.read(0, own.signal)) await destination.write(chunk);
    tell(await complete, say);
  } catch (error) {
    own.abort(error instanceof Error ? error : new Error(String(error)));
    throw error;
  } finally {
    const [end] = await Promise.allSettled([complete]);
    removeSegments(file, end.status === 'fulfilled' ? end.value.segments : 1);
  }
}

/** A statement as a file; whoever exports puts in what it is about. */
function noteOf({ predicateType, fileName, bytes }: Statement): TreeNote {
  return { name: fromText(fileName), predicateType, predicate: new TextDecoder().decode(bytes) };
}

/** BuildKit's name of a platform's folder: `linux_amd64`. */
function treeOf({ platform, top }: BuiltResult, isSplit: boolean) {
  return { snapshot: top, ...(isSplit ? { under: fromText(printPlatform(platform).replaceAll('/', '_')) } : {}) };
}

function tell({ entries, size }: Exported, say: (line: string) => void): void {
  say(`${entries} file${entries === 1 ? '' : 's'}, ${formatSize(size)} done`);
}
