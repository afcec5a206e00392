/** What a file of an image came from, in a few words. */
import type { Blame, Explained, Grouping, Instruction, Sum } from '#engine/blame-requests.ts';
import { unreachable } from '#ground/base/errors.ts';
import { ellipsis } from '#ground/base/human.ts';

/** Characters of an instruction that are shown. */
export const longestText = 80;

/** What the files of a sum have in common. */
export function originLabel({ route }: Sum, by: Grouping, { history }: Blame): string {
  const { made, source, stage, kind, layer } = route;
  const image = source?.kind === 'image' ? `FROM ${sourceWords(source)}` : '';
  const unknown = kind === 'unknown' ? `layer ${layer}: ${ellipsis(history[layer - 1] ?? '', longestText)}` : '';
  const instruction =
    made === null
      ? ''
      : instructionWords(made)
          .filter((word) => word !== '')
          .join(' ');
  const words = {
    origin: source === null || kind === 'container' || kind === 'gone' ? instruction : image || sourceWords(source),
    line: instruction || image,
    stage: stage === null ? image || instruction : stage,
    base: image || 'this build',
  }[by];
  return words || unknown || 'unknown';
}

/** Place, stage and text. */
export function instructionWords(instruction: Instruction): readonly [string, string, string] {
  const { stage, text } = instruction;
  return [placeWords(instruction), stage === null ? '' : `[${stage}]`, ellipsis(text.replaceAll(/\s+/gu, ' '), longestText)];
}

/** `Dockerfile:4`, behind the image that it is of. */
export function placeWords({ image, file, line }: Instruction): string {
  const place = line === null ? file : `${file}:${line}`;
  return image === null ? place : `${image} ${place}`;
}

/** What it was taken from; empty for nothing. */
export function sourceWords(source: Explained['source']): string {
  switch (source?.kind) {
    case 'context':
      return source.address ?? (source.name === 'context' ? 'build context' : `context ${source.name}`);
    case 'url':
      return source.url;
    case 'git':
      return `${source.remote}${source.commit === null ? (source.ref === '' ? '' : `#${source.ref}`) : `#${source.commit}`}`;
    case 'image':
      return source.name.includes('@') ? source.name : `${source.name}@${source.digest.slice(0, 19)}`;
    case 'container':
      return `container ${source.name}`;
    case undefined:
      return '';
    default:
      return unreachable(source, 'source');
  }
}
