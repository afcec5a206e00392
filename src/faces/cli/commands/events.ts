import { watchEvents, type StoreEvent } from '#engine/events.ts';
import { parseMoment } from '#engine/space-filters.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { list, text } from '../option.ts';
import { untilInterrupted } from '../until-interrupted.ts';
import { goJson } from '#ground/base/go-json.ts';
import { compileTemplate, unescapeFormat } from '../output/template.ts';
import { harmless } from '../output/text.ts';

export const eventsCommand = defineCommand({
  name: 'events',
  summary: 'Tell what happens to containers, images, networks and volumes, as it happens',
  usage: '[OPTIONS]',
  options: {
    filter: list('filter', {
      short: 'f',
      value: 'filter',
      help: 'Show what fits: "type=container", "event=start", "container=web" and so on',
    }),
    format: text('format', { help: '"json" or a Go template for each event' }),
    since: text('since', { help: 'Show all events created since timestamp, or for so long ("10m")' }),
    until: text('until', { help: 'Stream events until this timestamp, or as they were so long ago ("10m")' }),
  },
  arguments: [0, 0],
  async run({ options }, around, signal) {
    await using engine = await engineFor(around);
    const moment = (name: string, value: string | undefined): number | undefined =>
      value === undefined ? undefined : parseMoment(`--${name} ${value}`, value, engine.now());
    const print = printer(options.format);
    const wish = { filters: options.filter, since: moment('since', options.since), until: moment('until', options.until) };
    return await untilInterrupted(async () => {
      await watchEvents(engine, wish, (event) => around.streams.stdout.write(`${print(event)}\n`), signal);
    });
  },
});

function printer(format: string | undefined): (event: StoreEvent) => string {
  if (format === undefined || format === '') return lineOf;
  if (format === 'json' || format === '{{json .}}') return jsonOf;
  const template = compileTemplate(unescapeFormat(format));
  return (event) => template(fieldsOf(event));
}

/** `2026-01-31T12:00:00.123456789+01:00 container start ID (image=busybox, name=web)` */
function lineOf(event: StoreEvent): string {
  const attributes = Object.entries(event.attributes)
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`);
  const words = `${localTime(event)} ${event.type} ${event.action} ${event.id}`;
  return harmless(attributes.length === 0 ? words : `${words} (${attributes.join(', ')})`, false);
}

function localTime({ at, nanoseconds }: StoreEvent): string {
  const time = new Date(at);
  const offset = -time.getTimezoneOffset();
  const local = new Date(at + offset * 60_000).toISOString().slice(0, -1);
  const zone = offset === 0 ? 'Z' : `${offset < 0 ? '-' : '+'}${two(offset / 60)}:${two(offset % 60)}`;
  return `${local}${String(nanoseconds).padStart(6, '0')}${zone}`;
}

function two(number: number): string {
  return String(Math.floor(Math.abs(number))).padStart(2, '0');
}

/** The time has more digits than a number has here. */
function jsonOf(event: StoreEvent): string {
  return goJson(documentOf(event)).replace(/"timeNano":0\}$/u, `"timeNano":${nanosecondsOf(event)}}`);
}

function nanosecondsOf({ at, nanoseconds }: StoreEvent): string {
  return `${at}${String(nanoseconds).padStart(6, '0')}`;
}

/** In the order of docker's document. Older fields are there for what had them. */
function documentOf({ type, action, id, attributes, at }: StoreEvent): Json {
  const from = type === 'container' ? attributes['image'] : undefined;
  const older = type === 'container' || type === 'image' ? { status: action, id, ...(from === undefined ? {} : { from }) } : {};
  return {
    ...older,
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: { ...attributes } },
    scope: 'local',
    time: Math.floor(at / 1000),
    timeNano: 0,
  };
}

/** Words of others, such as those of an `exec`, are no commands to a terminal. */
function fieldsOf(event: StoreEvent): Json {
  const { type, id, at } = event;
  const action = harmless(event.action, false);
  const attributes = Object.fromEntries(Object.entries(event.attributes).map(([name, value]) => [name, harmless(value, false)]));
  return {
    Type: type,
    Action: action,
    Actor: { ID: id, Attributes: attributes },
    Scope: 'local',
    Time: Math.floor(at / 1000),
    TimeNano: nanosecondsOf(event),
    Status: action,
    ID: id,
    From: type === 'container' ? (attributes['image'] ?? '') : '',
  };
}
