import { readLogs, type LogEntry } from '#engine/container-logs.ts';
import { parseMoment } from '#engine/space-filters.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { writeAll } from '../output/write-all.ts';
import { badValue, flag, parsed, text } from '../option.ts';

export const logsCommand = defineCommand({
  name: 'logs',
  summary: 'Fetch the logs of a container',
  usage: '[OPTIONS] CONTAINER',
  options: {
    details: flag('details', { help: 'Show extra details provided to logs' }),
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
      ({ log, stream, time, attrs }) => {
        const details = options.details ? `${attributesText(attrs)} ` : '';
        return writeAll(around.streams[stream], encoder.encode(`${options.timestamps ? `${time} ` : ''}${details}${log}`));
      },
      signal,
    );
    return 0;
  },
});

const encoder = new TextEncoder();

/** As docker: sorted by name, and quoted as in an address. */
function attributesText(attributes: LogEntry['attrs'] = {}): string {
  const named = Object.entries(attributes).toSorted(([one], [other]) => (one < other ? -1 : 1));
  return named.map((pair) => pair.map((part) => new URLSearchParams({ '': part }).toString().slice(1)).join('=')).join(',');
}

/** As docker: a number, `all`, and what is negative is all. */
function readCount(value: string): number | undefined {
  if (value === 'all' || /^-\d+$/u.test(value)) return undefined;
  if (/^\d{1,9}$/u.test(value)) return Number(value);
  throw badValue('tail', value, 'use a number or "all"');
}
