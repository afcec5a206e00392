import { readLogs } from '#engine/container-logs.ts';
import { parseMoment } from '#engine/space-filters.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { badValue, flag, parsed, text } from '../option.ts';

export const logsCommand = defineCommand({
  name: 'logs',
  summary: 'Fetch the logs of a container',
  usage: '[OPTIONS] CONTAINER',
  options: {
    follow: flag('follow', { short: 'f', help: 'Follow log output' }),
    since: text('since', { help: 'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)' }),
    tail: parsed(
      'tail',
      { short: 'n', initial: undefined, help: 'Number of lines to show from the end of the logs (default "all")' },
      readCount,
    ),
    timestamps: flag('timestamps', { short: 't', help: 'Show timestamps' }),
    until: text('until', { help: 'Show logs before a timestamp or relative (e.g. "42m" for 42 minutes)' }),
  },
  notBuilt: 'details',
  arguments: [1, 1],
  async run({ options, arguments: [container = ''] }, around, signal) {
    await using engine = await engineFor(around);
    const moment = (name: string, value: string | undefined): number | undefined =>
      value === undefined ? undefined : parseMoment(`--${name} ${value}`, value, engine.now());
    const request = {
      container,
      follow: options.follow,
      tail: options.tail,
      since: moment('since', options.since),
      until: moment('until', options.until),
    };
    await readLogs(
      engine,
      request,
      ({ log, stream, time }) => around.streams[stream].write(options.timestamps ? `${time} ${log}` : log),
      signal,
    );
    return 0;
  },
});

/** As docker: a number, `all`, and what is negative is all. */
function readCount(value: string): number | undefined {
  if (value === 'all' || /^-\d+$/u.test(value)) return undefined;
  if (/^\d{1,9}$/u.test(value)) return Number(value);
  throw badValue('tail', value, 'use a number or "all"');
}
