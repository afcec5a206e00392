/** `--filter` of `ps`: docker's names. Filters of one name are alternatives, but for labels; those of different names all have to fit. */
import { openedPorts } from '#execution/container/spec.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Container } from '#execution/container/store.ts';
import { healthOf } from './container-health.ts';
import { findContainer } from './find-container.ts';
import type { Engine } from './open.ts';

type Matches = (container: Container) => boolean;

const states = ['created', 'restarting', 'running', 'removing', 'paused', 'exited', 'dead'] as const;
const known = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'label',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
] as const;
type FilterName = (typeof known)[number];
/** Of what containers do not have here yet. */
const notBuilt = ['is-task'];

export type ContainerFilters = {
  readonly matches: Matches;
  /** It asks for containers that do not run, too. */
  readonly showsAll: boolean;
};

/** Throws `engine/bad-filter`, `engine/not-built`, `engine/no-such-container`. */
export function readContainerFilters(engine: Engine, texts: readonly string[]): ContainerFilters {
  const given = Map.groupBy(texts.map(readFilter), ({ name }) => name);
  const tests = [...given].map(([name, filters]): Matches => {
    const alternatives = filters.map(({ value }) => filterOf(engine, name, value));
    return (container) => (name === 'label' ? alternatives.every((fits) => fits(container)) : alternatives.some((fits) => fits(container)));
  });
  return { matches: (container) => tests.every((fits) => fits(container)), showsAll: given.has('status') || given.has('exited') };
}

function readFilter(text: string): { readonly name: FilterName; readonly value: string } {
  const equals = text.indexOf('=');
  const name = equals < 0 ? text : text.slice(0, equals);
  if (notBuilt.includes(name)) throw new JettisonError('engine/not-built', `The filter "${name}" is not built yet`);
  const found = known.find((one) => one === name);
  if (equals < 0 || found === undefined) throw badFilter(text, `use NAME=VALUE, where NAME is one of ${known.join(', ')}`);
  return { name: found, value: text.slice(equals + 1) };
}

function badFilter(text: string, why: string): JettisonError {
  return new JettisonError('engine/bad-filter', `Invalid filter "${text}": ${why}`);
}

function filterOf(engine: Engine, name: FilterName, value: string): Matches {
  switch (name) {
    case 'id':
      return ({ id }) => id.startsWith(value);
    case 'name': {
      const pattern = readPattern(value);
      return (container) => pattern.test(container.name) || pattern.test(`/${container.name}`);
    }
    case 'label': {
      const [key = '', ...rest] = value.split('=');
      return ({ spec }) => Object.hasOwn(spec.labels, key) && (rest.length === 0 || spec.labels[key] === rest.join('='));
    }
    case 'exited': {
      if (!/^\d{1,3}$/u.test(value)) throw badFilter(`exited=${value}`, 'use an exit code');
      return ({ state }) => state.kind === 'exited' && state.code === Number(value);
    }
    case 'status': {
      if (!states.some((one) => one === value)) throw badFilter(`status=${value}`, `use ${states.join(', ')}`);
      return ({ state }) => state.kind === value;
    }
    case 'health': {
      if (!['starting', 'healthy', 'unhealthy', 'none'].includes(value))
        throw badFilter(`health=${value}`, 'use starting, healthy, unhealthy, none');
      return (container) => (healthOf(engine, container)?.status ?? 'none') === value;
    }
    case 'before':
    case 'since': {
      const { created, id } = findContainer(engine, value);
      return (container) => container.id !== id && (name === 'before' ? container.created < created : container.created > created);
    }
    case 'ancestor':
      return fromAncestor(engine, value);
    case 'expose': {
      const port = /\/(?:tcp|udp|sctp)$/u.test(value) ? value : `${value}/tcp`;
      return ({ spec }) => openedPorts(spec).includes(port);
    }
    case 'publish':
      return published(value);
    case 'volume':
      return ({ spec }) =>
        spec.mounts.some(
          (mount) =>
            mount.target === value ||
            (mount.kind === 'volume' ? mount.name : (mount.kind === 'bind' || mount.kind === 'image') && mount.source) === value,
        );
    case 'network':
      return ({ spec: { network } }) =>
        network.place.kind === 'networks' ? network.place.networks.some((one) => one.network === value) : network.place.kind === value;
    default:
      throw badFilter(name, 'unknown');
  }
}

/** `80`, `80/udp`, `8000-8080`: the port in the container, or that of the machine. */
function published(value: string): Matches {
  const [, first = '', last = first, protocol = 'tcp'] = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp))?$/u.exec(value) ?? [];
  if (first === '') throw badFilter(`publish=${value}`, 'use PORT[/tcp|udp], or a range of them');
  const isIn = (port: number): boolean => port >= Number(first) && port <= Number(last);
  return ({ spec }) =>
    spec.network.published.some((one) => one.protocol === protocol && (isIn(one.port) || (one.host !== null && isIn(one.host[0]))));
}

function readPattern(text: string): RegExp {
  try {
    return new RegExp(text, 'u');
  } catch {
    throw badFilter(`name=${text}`, 'it is no regular expression');
  }
}

/** The image itself, and those that have all its layers at their bottom. */
function fromAncestor(engine: Engine, name: string): Matches {
  const ancestor = engine.images.find(name);
  const layersOf = (id: Container['spec']['imageId']) => engine.images.get(id)?.layers.map(({ diffId }) => diffId) ?? [];
  const own = ancestor === undefined ? [] : layersOf(ancestor.imageId);
  return ({ spec }) => {
    if (spec.image === name || spec.imageId === ancestor?.imageId) return true;
    if (ancestor === undefined || own.length === 0) return false;
    const layers = layersOf(spec.imageId);
    return layers.length > own.length && own.every((layer, index) => layers[index] === layer);
  };
}
