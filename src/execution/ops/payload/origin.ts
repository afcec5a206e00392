/** Which file of a stage a COPY made a file of. */
import { asByteString, fromText, type ByteString } from '#ground/base/byte-string.ts';
import type { PayloadFiles } from '#formats/payload/files.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';

/** A layer that COPY or ADD made. */
export type CopiedLayer = {
  readonly snapshot: SnapshotId;
  /** Its programs are looked at, whatever starts. */
  readonly isChecked: boolean;
  /** The stage that was copied from; undefined for anything else. */
  readonly stage: string | undefined;
  /** Absolute, as written. */
  readonly sources: readonly string[];
  readonly destination: string;
};

type Copied = { readonly path: ByteString; readonly size: number };

/** The file of the stage that is there and of the same size; undefined where none is, or the copy was of something else. */
export function originIn(
  { stage, sources, destination }: CopiedLayer,
  { path, size }: Copied,
  stages: ReadonlyMap<string, PayloadFiles>,
): { readonly stage: string; readonly path: ByteString } | undefined {
  const files = stage === undefined ? undefined : stages.get(stage);
  if (stage === undefined || files === undefined) return undefined;
  const target = trimmed(fromText(destination));
  const rest = path === target ? '' : path.startsWith(`${target}/`) ? path.slice(target.length) : undefined;
  if (rest === undefined) return undefined;
  for (const source of sources.map((one) => trimmed(fromText(one)))) {
    const inFolder = /[*?[]/u.test(source) ? source.slice(0, source.lastIndexOf('/')) : source;
    const named = source.slice(source.lastIndexOf('/'));
    const candidates = [`${inFolder}${rest}`, ...(rest === '' || rest === named ? [source] : [])];
    for (const candidate of candidates) {
      const found = files.find(asByteString(candidate));
      if (found?.kind === 'file' && found.size === size) return { stage, path: asByteString(candidate) };
    }
  }
  return undefined;
}

/** Without slashes at the end; the root is ''. */
function trimmed(path: string): string {
  return path.replace(/\/+$/u, '');
}
