/** What is written down of what happens to containers, images, volumes and networks, in docker's words: each use case says it when it is done. */
import { constants } from 'node:os';
import { familiarReference, parseReference } from '#formats/oci/reference.ts';
import type { Container } from '#execution/container/store.ts';
import type { EventRecord } from '#stores/events/record.ts';
import type { VolumeStore } from '#stores/volume/store.ts';
import type { Engine } from './open.ts';

type Attributes = Readonly<Record<string, string>>;

/** Its labels, image and name are told with each. */
export function noteContainer(engine: Pick<Engine, 'events'>, container: Container, action: string, more: Attributes = {}): void {
  const { id, name, spec } = container;
  engine.events.append({ type: 'container', action, id, attributes: { ...spec.labels, image: spec.image, name, ...more } });
}

/** `name`: a full reference, or an id. */
export function noteImage(engine: Pick<Engine, 'events'>, action: string, id: string, name: string = id): void {
  const shown = name.startsWith('sha256:') ? name : familiarReference(parseReference(name));
  engine.events.append({ type: 'image', action, id, attributes: { name: shown } });
}

/** Names that an image has now, and that were another's or nobody's before. */
export function noteTags(engine: Pick<Engine, 'events'>, id: string, names: readonly string[]): void {
  for (const name of names) noteImage(engine, 'tag', id, name);
}

/** `container`: who came or went. */
export function noteNetwork(
  engine: Pick<Engine, 'events'>,
  action: string,
  network: { readonly id: string; readonly name: string; readonly driver: string },
  container?: string,
): void {
  const attributes = { ...(container === undefined ? {} : { container }), name: network.name, type: network.driver };
  engine.events.append({ type: 'network', action, id: network.id, attributes });
}

export function notePrune(engine: Pick<Engine, 'events'>, type: 'container' | 'image' | 'network' | 'volume', bytes: number): void {
  engine.events.append({ type, action: 'prune', id: '', attributes: { reclaimed: String(bytes) } });
}

/** The store, telling what is made and removed in it. */
export function tellingVolumes(volumes: VolumeStore, events: EventRecord): VolumeStore {
  const note = (action: string, id: string): void => events.append({ type: 'volume', action, id, attributes: { driver: 'local' } });
  return {
    ...volumes,
    create(wanted) {
      const isThere = wanted.name !== undefined && volumes.find(wanted.name) !== undefined;
      const volume = volumes.create(wanted);
      if (!isThere) note('create', volume.name);
      return volume;
    },
    remove(name) {
      volumes.remove(name);
      note('destroy', name);
    },
  };
}

/** `15` for `SIGTERM`, `TERM` and `15`, as docker writes it. */
export function signalText(name: string): string {
  const full = `SIG${name.toUpperCase().replace(/^SIG/u, '')}`;
  const found = Object.entries(constants.signals).find(([one]) => one === full);
  return found === undefined ? name : String(found[1]);
}
