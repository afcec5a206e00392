/** `--fold`: images without what later layers of the same build hide. */
import { parseBoolean } from '#ground/base/boolean-word.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { SnapshotId } from '#execution/worker/contract.ts';
import type { BuildRequest } from './build-requests.ts';
import type { BuiltResult } from './gather-cache.ts';
import type { Engine } from './open.ts';

/** `auto`: what is hidden is left out; `off`: it stays; `hint`: it stays, and a build whose image is new says so where it is worth a word. */
export type FoldMode = 'auto' | 'off' | 'hint';

/** What later layers of an image hide of those of the same build. */
export type HiddenReport = {
  readonly imageId: Digest;
  /** `linux/amd64`. */
  readonly platform: string;
  /** It is not in the image; else it is. */
  readonly isFolded: boolean;
  /** The Dockerfile, as it was named. */
  readonly dockerfile: string;
  /** Bytes of files, uncompressed. */
  readonly bytes: number;
  /** Who hides something, in the order of the Dockerfile. */
  readonly steps: readonly HidingStep[];
};

export type HidingStep = {
  /** As it is shown: `RUN chmod -R 0755 /opt`. */
  readonly text: string;
  readonly stage: string | null;
  readonly line: number | null;
  readonly files: number;
  readonly bytes: number;
  /** Files that it takes away, and whose names promise a password or a key. */
  readonly credentials: readonly string[];
  /** The same by the step whose layer it is in. */
  readonly of: readonly { readonly text: string; readonly line: number | null; readonly files: number; readonly bytes: number }[];
};

/** As it was asked for, else as JETTISON_FOLD says, else as the configuration does. Throws `engine/bad-fold`. */
export function foldMode({ environment, config }: Pick<Engine, 'environment' | 'config'>, { fold, tellsHidden }: BuildRequest): FoldMode {
  const word = environment['JETTISON_FOLD'] || undefined;
  const mode = fold ?? (word === undefined ? config.fold : readFoldWord(word));
  if (mode !== undefined) return mode;
  if (word === undefined) return tellsHidden === true ? 'hint' : 'off';
  throw new JettisonError('engine/bad-fold', `JETTISON_FOLD is "auto" or "off", not "${word}"`, {
    hint: '"auto" leaves out of an image what later layers of the same build hide',
  });
}

/** `auto` or `off`, or a boolean in the words that the docker CLI takes for its own; undefined for any other. */
export function readFoldWord(word: string): 'auto' | 'off' | undefined {
  if (word === 'auto' || word === 'off') return word;
  const isFolding = parseBoolean(word);
  if (isFolding === undefined) return undefined;
  return isFolding ? 'auto' : 'off';
}

/** The files of the image. */
export function imageTop({ top, folded }: BuiltResult): SnapshotId | undefined {
  return folded === undefined ? top : folded.top;
}
