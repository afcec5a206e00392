import type { CheckMode } from '#engine/payload-requests.ts';
import { parseBoolean } from '#ground/base/boolean-word.ts';
import { badValue, type Option } from '../option.ts';

/** Docker's switch `--check` looks for faults of the Dockerfile instead of building (`lint`); with one of three words it says what becomes of an image that would not start. */
export type CheckChoice = CheckMode | 'lint' | undefined;

export function checkOption(): Option<CheckChoice> {
  return {
    long: 'check',
    short: undefined,
    valueName: undefined,
    help: 'Look for faults without building ("--call=check"); "--check=error", "warn" or "off": whether a build fails or warns when its image would not start (default "warn")',
    initial: undefined,
    add: (_, word) => {
      if (word === 'error' || word === 'warn' || word === 'off') return word;
      const isLint = parseBoolean(word);
      if (isLint === undefined) throw badValue('check', word, 'use "true" or "false"; or "error", "warn" or "off"');
      return isLint ? 'lint' : undefined;
    },
  };
}
