/** `events`: what happens to containers, images, volumes and networks, as it happens. */
import { JettisonError } from '#ground/base/errors.ts';
import { eventTypes, type StoreEvent } from '#stores/events/event.ts';
import { followEvents, type EventSpan } from '#stores/events/follow.ts';
import type { Engine } from './open.ts';
import { badFilter } from './space-filters.ts';

export type { StoreEvent } from '#stores/events/event.ts';

const filterNames = ['container', 'event', 'image', 'label', 'network', 'scope', 'type', 'volume'] as const;
type FilterName = (typeof filterNames)[number];
/** Of what there is none here. */
const otherNames = ['config', 'daemon', 'node', 'plugin', 'secret', 'service'];
type Matches = (event: StoreEvent) => boolean;

/** `filters`: `type=container`, as `docker events` has them. Throws `engine/bad-filter`, and the signal's reason when that aborts. */
export async function watchEvents(
  engine: Engine,
  { filters, ...span }: EventSpan & { readonly filters: readonly string[] },
  take: (event: StoreEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const matches = readEventFilters(filters);
  const tell = (event: StoreEvent): void => {
    if (matches(event)) take(event);
  };
  await followEvents(engine.events.folder, span, { now: engine.now, take: tell }, signal);
}

/** Filters of one name are alternatives, but for labels; those of different names all have to fit. */
export function readEventFilters(texts: readonly string[]): Matches {
  const given = Map.groupBy(texts.map(readFilter), ({ name }) => name);
  const tests = [...given].map(([name, filters]): Matches => {
    const values = filters.map(({ value }) => value);
    const fits = (event: StoreEvent) => (value: string) => fitsFilter(event, name, value);
    return (event) => (name === 'label' ? values.every(fits(event)) : values.some(fits(event)));
  });
  return (event) => tests.every((fits) => fits(event));
}

function readFilter(text: string): { readonly name: FilterName; readonly value: string } {
  const equals = text.indexOf('=');
  const name = text.slice(0, Math.max(0, equals));
  if (otherNames.includes(name)) {
    throw new JettisonError('engine/not-built', `The filter "${name}" is not built: there are no such events here`);
  }
  const found = filterNames.find((one) => one === name);
  if (found === undefined) throw badFilter(text, `use NAME=VALUE, where NAME is one of ${filterNames.join(', ')}`);
  const value = text.slice(equals + 1);
  if (found === 'type' && !eventTypes.some((one) => one === value)) throw badFilter(text, `use ${eventTypes.join(', ')}`);
  return { name: found, value };
}

function fitsFilter({ type, action, id, attributes }: StoreEvent, name: FilterName, value: string): boolean {
  switch (name) {
    case 'type':
      return type === value;
    case 'scope':
      return value === 'local';
    case 'event':
      // What stands behind the colon says more of it.
      return action === value || action.startsWith(`${value}:`);
    case 'label': {
      const [key = '', ...rest] = value.split('=');
      return Object.hasOwn(attributes, key) && (rest.length === 0 || attributes[key] === rest.join('='));
    }
    case 'image':
      return (
        (type === 'image' && (id === value || isImage(attributes['name'], value))) ||
        (type === 'container' && isImage(attributes['image'], value))
      );
    case 'container':
    case 'network':
    case 'volume':
      return type === name && (id.startsWith(value) || attributes['name'] === value);
    default:
      return false;
  }
}

/** With or without its tag. */
function isImage(name: string | undefined, wanted: string): boolean {
  return name !== undefined && (name === wanted || name.replace(/:[^/:]*$/u, '') === wanted);
}
