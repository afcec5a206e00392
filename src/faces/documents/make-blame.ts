/** The document of `jettison blame --json`. */
import { sumBy, type Blame, type Explained, type Grouping, type Instruction, type TracedFile, type Trail } from '#engine/blame-requests.ts';
import type { BlameDocument, BlameFile, BlameInstruction, BlameOrigin, BlameTrail } from './blame.ts';
import { originLabel } from './make-blame-words.ts';

export type Listing = { readonly by: Grouping; readonly listsFiles: boolean };

export function blameDocument(blame: Blame, { by, listsFiles }: Listing): BlameDocument {
  const sums = sumBy(by, blame.routes, blame);
  const bytes = sums.reduce((sum, one) => sum + one.bytes, 0);
  return {
    version: 1,
    image: blame.imageId,
    platform: blame.platform,
    known: blame.isKnown,
    layers: blame.layers,
    size: blame.size,
    bytes,
    origins: blame.routes.map(originOf),
    by,
    sums: sums.map((sum) => ({
      origin: blame.routes.indexOf(sum.route),
      files: sum.files,
      bytes: sum.bytes,
      label: originLabel(sum, by, blame),
    })),
    ...(listsFiles ? { files: blame.files.map(fileOf) } : {}),
    base: blame.base.map(({ route, files, bytes: size }) => ({ origin: route, files, bytes: size })),
  };
}

function originOf({ kind, layer, copies, made, source, stage, isUnpacked }: Explained): BlameOrigin {
  return {
    kind,
    layer,
    stage,
    copies: copies.map(instructionOf),
    instruction: made === null ? null : instructionOf(made),
    source,
    ...(isUnpacked ? { unpacked: true } : {}),
  };
}

function instructionOf({ text, stage, file, line, lastLine, image }: Instruction): BlameInstruction {
  return { text, stage, file, line, lastLine, ...(image === null ? {} : { image }) };
}

function fileOf({ path, kind, bytes, layer, linkOf, content, metadata }: TracedFile): BlameFile {
  return {
    path,
    kind,
    bytes,
    layer,
    ...(linkOf === undefined ? {} : { linkOf }),
    content: trailOf(content),
    metadata: trailOf(metadata ?? content),
  };
}

function trailOf({ route, paths }: Trail): BlameTrail {
  return { origin: route, paths: [...paths] };
}
