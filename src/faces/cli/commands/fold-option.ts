import type { BuildRequest } from '#engine/build-requests.ts';
import { readFoldWord } from '#engine/fold-requests.ts';
import { badValue, type Option } from '../option.ts';

/** `--fold`, `--fold=auto`, `--fold=off`. */
export function foldOption(): Option<BuildRequest['fold']> {
  return {
    long: 'fold',
    short: undefined,
    valueName: undefined,
    help: 'Leave out of the image what later layers of the same build overwrite or delete; "--fold=off" keeps it, and says nothing of it (also JETTISON_FOLD)',
    initial: undefined,
    add: (_, word) => {
      const mode = readFoldWord(word);
      if (mode === undefined) throw badValue('fold', word, 'use "auto" or "off"');
      return mode;
    },
  };
}
