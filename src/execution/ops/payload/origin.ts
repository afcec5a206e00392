/** Which file of a stage a COPY made a file of the image of: by the record of how the image came about, and what the copies noted. */
import { asByteString, type ByteString } from '#ground/base/byte-string.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import type { OriginRecord } from '#formats/origins/record.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import { openCopied, type CopiedLayer } from '../origins/copied.ts';
import { openStage, type Known } from '../origins/stage.ts';

/** The image's own; its last step made the image. */
export type PayloadRecord = Pick<OriginRecord, 'steps' | 'layers'>;

export type StageFile = { readonly stage: string; readonly path: ByteString };

type Image = { readonly top: SnapshotId | undefined; readonly record: PayloadRecord | undefined; readonly snapshots: Known['snapshots'] };

/** Of an entry of the image's tree; undefined for what was not copied, or came out of an archive, and where nobody knows. */
export function openSources({ top, record, snapshots }: Image): (entry: TreeEntry) => StageFile | undefined {
  if (top === undefined || record === undefined || record.steps.length === 0) return () => undefined;
  const known: Known = { records: [record], byImage: new Map(), snapshots };
  const stage = openStage(known, { record: 0, step: record.steps.length - 1 }, top);
  const layers = new Map<number, CopiedLayer>();
  return ({ layer, path }) => {
    const owner = stage?.owners[layer];
    if (stage === undefined || owner?.kind !== 'step' || record.steps[owner.at.step]?.op.kind !== 'file') return undefined;
    const copied = layers.get(layer) ?? openCopied(known, stage, { layer, at: owner.at });
    layers.set(layer, copied);
    const found = copied.find(path);
    if (found.kind !== 'source' || found.path === undefined || found.member !== undefined) return undefined;
    const name = record.steps[found.input.step]?.stage;
    return name === undefined || name === null ? undefined : { stage: name, path: asByteString(`/${found.path}`) };
  };
}
