/** How often a registry is asked: Buildah's options, for what pulls and pushes. */
import type { EngineOptions } from '#engine/open.ts';
import { badValue, parsed, type ValuesOf } from '../option.ts';

const mostRetries = 100;
const longestDelay = 3_600_000;

export const retryOptions = {
  retries: parsed<number | undefined>(
    'retry',
    { value: 'number', initial: undefined, help: 'How often a transfer that failed is tried again' },
    readCount,
  ),
  retryDelay: parsed<number | undefined>(
    'retry-delay',
    { value: 'duration', initial: undefined, help: 'Pause before a transfer is tried again ("2s"); it doubles each time' },
    readDelay,
  ),
};

/** The part of the engine's options that the command line sets. */
export function readRetries({ retries, retryDelay }: ValuesOf<typeof retryOptions>): NonNullable<EngineOptions['network']> {
  return {
    ...(retries === undefined ? {} : { tries: retries + 1 }),
    ...(retryDelay === undefined ? {} : { firstPause: retryDelay }),
  };
}

function readCount(word: string): number {
  const count = /^\d{1,4}$/u.test(word) ? Number(word) : Number.NaN;
  if (count <= mostRetries) return count;
  throw badValue('retry', word, `use a number from 0 to ${mostRetries}`);
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a number with a unit. */
function readDelay(word: string): number {
  const [, count = '', unit = ''] = /^(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h)$/u.exec(word) ?? [];
  const delay = count === '' ? Number.NaN : Number(count) * (units[unit] ?? 1);
  if (delay <= longestDelay) return Math.round(delay);
  throw badValue('retry-delay', word, 'use a number with a unit: "500ms", "2s", "1m"');
}
