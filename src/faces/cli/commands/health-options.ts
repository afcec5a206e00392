/** Options of run and create about the check of the container's health. */
import { parseDuration, type HealthWish } from '#engine/container-requests.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { badValue, flag, parsed, text, type ValuesOf } from '../option.ts';

export const healthOptions = {
  healthCommand: text('health-cmd', { help: 'Command to run to check health' }),
  healthInterval: duration('health-interval', 'Time between running the check ("30s")'),
  healthRetries: parsed<number>(
    'health-retries',
    { value: 'int', initial: 0, help: 'Consecutive failures needed to report unhealthy' },
    readRetries,
  ),
  healthStartInterval: duration('health-start-interval', 'Time between running the check during the start period'),
  healthStartPeriod: duration('health-start-period', 'Time for the container to start, in which failures do not count'),
  healthTimeout: duration('health-timeout', 'Maximum time to allow one check to run'),
  lacksHealthcheck: flag('no-healthcheck', { help: "Do without the image's HEALTHCHECK" }),
} as const;

/** Throws `cli/usage` for a check that is wanted and not. */
export function readHealthWish(given: ValuesOf<typeof healthOptions>): HealthWish {
  const wish = {
    command: given.healthCommand === '' ? undefined : given.healthCommand,
    interval: given.healthInterval,
    timeout: given.healthTimeout,
    startPeriod: given.healthStartPeriod,
    startInterval: given.healthStartInterval,
    retries: given.healthRetries,
  };
  if (given.lacksHealthcheck && Object.values(wish).some(Boolean))
    throw new JettisonError('cli/usage', '--no-healthcheck conflicts with --health-* options');
  return wish;
}

/** Nanoseconds. */
function duration(long: string, help: string) {
  return parsed<number>(long, { value: 'duration', initial: 0, help }, (word) => {
    const value = parseDuration(word);
    if (value === undefined) throw badValue(long, word, `time: invalid duration "${word}"`);
    if (value < 0) throw new JettisonError('cli/usage', `--${long} cannot be negative`);
    return value;
  });
}

function readRetries(word: string): number {
  const value = /^-?\d{1,9}$/u.test(word) ? Number(word) : NaN;
  if (Number.isNaN(value)) throw badValue('health-retries', word, 'use a whole number');
  if (value < 0) throw new JettisonError('cli/usage', '--health-retries cannot be negative');
  return value;
}
