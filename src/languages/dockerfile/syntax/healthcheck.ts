/** The arguments of HEALTHCHECK. */
import { formatDuration, parseDuration } from '#languages/frontend/go-format.ts';
import { isSpace } from '#languages/frontend/spaces.ts';
import type { HealthcheckInstruction } from '../ast.ts';
import { flagWord, type FlagTable } from './flags.ts';
import { fault, isEmpty, readCommand, type Reading } from './reading.ts';
import { trimStretch, wordOf } from './scan.ts';

export const healthcheckFlags: FlagTable = {
  interval: 'text',
  timeout: 'text',
  'start-period': 'text',
  'start-interval': 'text',
  retries: 'text',
};

/** undefined when a fault was reported. */
export function readHealthcheck(reading: Reading): HealthcheckInstruction | undefined {
  const { line, start, end } = reading.stretch;
  if (isEmpty(reading.stretch))
    return fault(reading, 'HEALTHCHECK requires at least one argument', 'Write HEALTHCHECK CMD command, or HEALTHCHECK NONE');
  let at = start;
  while (at < end && !isSpace(line.text[at] ?? '')) at++;
  const type = wordOf(line, start, at);
  const rest = trimStretch({ line, start: at, end });
  const none = {
    ...reading.common,
    kind: 'healthcheck',
    command: undefined,
    interval: 0,
    timeout: 0,
    startPeriod: 0,
    startInterval: 0,
    retries: 0,
  } as const;
  if (type.text.toUpperCase() === 'NONE') return isEmpty(rest) ? none : fault(reading, 'HEALTHCHECK NONE takes no arguments');
  if (type.text.toUpperCase() !== 'CMD')
    return fault(reading, `Unknown type "${type.text.slice(0, 80)}" in HEALTHCHECK (try CMD)`, undefined, type.span);
  const command = readCommand(reading, rest);
  if (!command) return undefined;
  if (isEmpty(rest) || (command.form === 'exec' && command.arguments.length === 0))
    return fault(reading, 'Missing command after HEALTHCHECK CMD');
  const times = readTimes(reading);
  const retries = readRetries(reading);
  return times && retries !== undefined ? { ...none, command, ...times, retries } : undefined;
}

function readTimes(reading: Reading) {
  const interval = readTime(reading, 'interval');
  const timeout = readTime(reading, 'timeout');
  const startPeriod = readTime(reading, 'start-period');
  const startInterval = readTime(reading, 'start-interval');
  if (interval === undefined || timeout === undefined || startPeriod === undefined || startInterval === undefined) return undefined;
  return { interval, timeout, startPeriod, startInterval };
}

/** Shortest time that dockerd takes, in nanoseconds. */
const shortestTime = 1e6;

function readTime(reading: Reading, name: string): number | undefined {
  const word = flagWord(reading.common.flags, name);
  if (!word || word.text === '') return 0;
  const time = parseDuration(word.text);
  if (time === undefined)
    return fault(reading, `Invalid duration "${word.text}" of "--${name}"`, 'Write it as 30s, 1m30s or 500ms', word.span);
  if (time !== 0 && time < shortestTime)
    return fault(reading, `Interval "${name}" cannot be less than ${formatDuration(shortestTime)}`, undefined, word.span);
  return time;
}

function readRetries(reading: Reading): number | undefined {
  const word = flagWord(reading.common.flags, 'retries');
  if (!word || word.text === '') return 0;
  if (!/^[+-]?\d{1,10}$/u.test(word.text) || Math.abs(Number(word.text)) > 0x7fff_ffff)
    return fault(reading, `Invalid number "${word.text}" of "--retries"`, undefined, word.span);
  return Number(word.text) < 0
    ? fault(reading, `--retries cannot be negative (${Number(word.text)})`, undefined, word.span)
    : Number(word.text);
}
