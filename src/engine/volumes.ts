/** `jettison volume create`, `ls`, `inspect`, `rm`, `prune`, and the volumes of containers that go. */
import { join } from 'node:path';
import type { Json } from '#ground/base/canonical-json.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { ContainerSpec } from '#execution/container/spec.ts';
import { readLocalOptions } from '#stores/volume/local-options.ts';
import { volumeBytes } from '#stores/volume/size.ts';
import type { Volume } from '#stores/volume/store.ts';
import type { Engine } from './open.ts';
import { matchesLabels, type LabelFilter } from './space-filters.ts';
import type { PrunedVolumes, VolumeFilters, VolumeRow } from './volume-requests.ts';

/** Gives its name. One of that name that is there stays as it is. Throws `volume/bad-name`, `volume/bad-options`, `volume/not-supported`. */
export function createVolume(engine: Engine, asked: Pick<Volume, 'labels' | 'options'> & { readonly name: string | undefined }): string {
  readLocalOptions(asked.name ?? '', asked.options);
  const { name } = engine.volumes.create({ ...asked, created: engine.now() });
  engine.volumes.folderOf(name);
  return name;
}

/** By name. */
export function listVolumes(engine: Engine, { dangling, drivers, names, labels }: VolumeFilters): readonly VolumeRow[] {
  const users = usersOf(engine);
  return engine.volumes
    .list()
    .map((volume) => rowOf(engine, volume, users))
    .filter(
      (row) =>
        (dangling === undefined || (row.users.length === 0) === dangling) &&
        (drivers.length === 0 || drivers.includes('local')) &&
        (names.length === 0 || names.some((name) => row.name.includes(name))) &&
        matchesLabels(row.labels, labels),
    );
}

/** Ids of containers by the names of volumes. */
function usersOf(engine: Engine): ReadonlyMap<string, readonly string[]> {
  const users = new Map<string, string[]>();
  for (const { id, spec } of engine.containers.list()) {
    const names = new Set(spec.mounts.flatMap((mount) => (mount.kind === 'volume' ? [mount.name] : [])));
    for (const name of names) users.set(name, [...(users.get(name) ?? []), id]);
  }
  return users;
}

function rowOf(engine: Engine, volume: Volume, users: ReadonlyMap<string, readonly string[]>): VolumeRow {
  const mountpoint = join(engine.paths.store, 'volumes', volume.name, '_data');
  const labels = volume.isAnonymous ? { ...volume.labels, 'com.docker.volume.anonymous': '' } : volume.labels;
  return { ...volume, labels, mountpoint, users: users.get(volume.name) ?? [] };
}

/** In the shape of docker's answer. Throws `engine/no-such-volume`. */
export function inspectVolume(engine: Engine, name: string): Json {
  const { mountpoint, labels, options, created } = rowOf(engine, findVolume(engine, name), new Map());
  return {
    CreatedAt: new Date(created).toISOString().replace(/\.\d+Z$/u, 'Z'),
    Driver: 'local',
    Labels: Object.keys(labels).length === 0 ? null : labels,
    Mountpoint: mountpoint,
    Name: name,
    Options: Object.keys(options).length === 0 ? null : options,
    Scope: 'local',
  };
}

function findVolume(engine: Engine, name: string): Volume {
  const volume = engine.volumes.find(name);
  if (volume !== undefined) return volume;
  throw new JettisonError('engine/no-such-volume', `get ${name}: no such volume`, { hint: '"jettison volume ls" lists what is here' });
}

/** With `force`, one that is not there is no mistake. Throws `engine/no-such-volume`, `engine/volume-in-use`. */
export function removeVolume(engine: Engine, name: string, { force }: { readonly force: boolean }): void {
  engine.database.transaction(() => {
    if (force && engine.volumes.find(name) === undefined) return;
    findVolume(engine, name);
    const users = usersOf(engine).get(name) ?? [];
    if (users.length > 0) {
      throw new JettisonError('engine/volume-in-use', `remove ${name}: volume is in use - [${users.join(', ')}]`, {
        hint: 'Remove the containers first: jettison rm -v',
      });
    }
    engine.volumes.remove(name);
  });
  engine.leaveGarbage();
}

/** Removes those that no container names: anonymous ones, or `all`. */
export function pruneVolumes(engine: Engine, request: { readonly all: boolean; readonly labels: readonly LabelFilter[] }): PrunedVolumes {
  const isWanted = ({ isAnonymous, labels }: Volume): boolean => (isAnonymous || request.all) && matchesLabels(labels, request.labels);
  const unused = (): readonly string[] => {
    const users = usersOf(engine);
    return engine.volumes.list().flatMap((volume) => (isWanted(volume) && !users.has(volume.name) ? [volume.name] : []));
  };
  // Measured before: nobody else can write to the database during a transaction.
  const sizes = new Map(unused().map((name) => [name, volumeSize(engine, name)]));
  const gone = engine.database.transaction(() => {
    const going = unused().flatMap((name) => {
      const bytes = sizes.get(name);
      return bytes === undefined ? [] : [{ name, bytes }];
    });
    for (const { name } of going) engine.volumes.remove(name);
    return going;
  });
  if (gone.length > 0) engine.leaveGarbage();
  return { names: gone.map(({ name }) => name), bytes: gone.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** Bytes of its files, those that this process may see. */
export function volumeSize(engine: Engine, name: string): number {
  return volumeBytes(join(engine.paths.store, 'volumes', name));
}

/** After a container with this spec is gone (its row, too): what nobody named and nobody else uses goes with it. */
export function removeAnonymousVolumes(engine: Engine, { mounts }: Pick<ContainerSpec, 'mounts'>): void {
  const names = new Set(mounts.flatMap((mount) => (mount.kind === 'volume' && mount.isAnonymous ? [mount.name] : [])));
  if (names.size === 0) return;
  engine.database.transaction(() => {
    const users = usersOf(engine);
    for (const name of names) if (!users.has(name) && engine.volumes.find(name) !== undefined) engine.volumes.remove(name);
  });
  engine.leaveGarbage();
}
