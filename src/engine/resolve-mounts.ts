/** Which mounts a container will have: of other containers, of its own, of its image, in Docker's order; the volumes among them are made. */
import { posix } from 'node:path';
import { JettisonError } from '#ground/base/errors.ts';
import type { SpecMount } from '#execution/container/settings.ts';
import { checkConfig } from '#stores/image/store.ts';
import { readLocalOptions } from '#stores/volume/local-options.ts';
import { checkVolumeName } from '#stores/volume/store.ts';
import type { AskedMount } from './container-requests.ts';
import { findImage } from './images.ts';
import type { Engine } from './open.ts';

export type AskedMounts = {
  readonly mounts: readonly AskedMount[];
  readonly volumesFrom: readonly { readonly container: string; readonly readOnly: boolean }[];
  /** Targets of the image's VOLUME. */
  readonly imageVolumes: readonly string[];
};

/**
 * Call in the transaction that enters the container: then nothing of it stays when that fails. Folders of volumes are made afterwards. Throws `engine/duplicate-mount`, `engine/bad-mount`,
 * `engine/no-such-container`, `volume/bad-name`, `volume/bad-options`, `image/not-found`.
 */
export function resolveMounts(engine: Engine, asked: AskedMounts): readonly SpecMount[] {
  const found = new Map<string, SpecMount>();
  for (const mount of asked.volumesFrom.flatMap((from) => mountsFrom(engine, from))) found.set(mount.target, mount);
  const own = new Set<string>();
  for (const mount of asked.mounts) {
    const target = cleanTarget(mount.target);
    if (own.has(target)) throw new JettisonError('engine/duplicate-mount', `Duplicate mount point: ${target}`);
    own.add(target);
    found.set(target, { ...settle(engine, mount), target });
  }
  for (const volume of asked.imageVolumes) {
    const target = posix.join('/', volume);
    if (target === '/' || found.has(target)) continue;
    found.set(target, anonymous(engine, target));
  }
  return [...found.values()];
}

/** Where mounts may be: an absolute path other than the root. */
function cleanTarget(target: string): string {
  if (!target.startsWith('/')) throw new JettisonError('engine/bad-mount', `invalid mount path: '${target}' mount path must be absolute`);
  const clean = posix.normalize(target).replace(/(?<=.)\/$/u, '');
  if (clean === '/') throw new JettisonError('engine/bad-mount', `invalid specification: destination can't be '/'`);
  return clean;
}

function settle(engine: Engine, mount: AskedMount): SpecMount {
  if (mount.kind === 'image') return { ...mount, imageId: findMountable(engine, mount.source) };
  if (mount.kind !== 'volume') return mount;
  const { name, labels, options, ...rest } = mount;
  if (name !== undefined) checkVolumeName(name);
  readLocalOptions(name ?? '', options);
  const volume = engine.volumes.create({ name, labels, options, created: engine.now() });
  return { ...rest, name: volume.name, isAnonymous: name === undefined };
}

/** It is not pulled, as with docker: the image of the container is. */
function findMountable(engine: Engine, name: string): string {
  const image = findImage(engine, name);
  checkConfig(image);
  return image.imageId;
}

function anonymous(engine: Engine, target: string): SpecMount {
  const { name } = engine.volumes.create({ name: undefined, labels: {}, options: {}, created: engine.now() });
  return { kind: 'volume', name, target, readOnly: false, mode: '', fills: true, isAnonymous: true };
}

function mountsFrom(engine: Engine, { container: name, readOnly }: AskedMounts['volumesFrom'][number]): readonly SpecMount[] {
  const container = engine.containers.find(name);
  if (container === undefined)
    throw new JettisonError('engine/no-such-container', `No such container: ${name}`, { hint: '"jettison ps -a" lists what is here' });
  return container.spec.mounts
    .filter(({ kind }) => kind !== 'tmpfs')
    .map((mount) =>
      mount.kind === 'image'
        ? mount
        : { ...mount, readOnly: mount.readOnly || readOnly, ...(mount.kind === 'volume' ? { fills: false } : {}) },
    );
}
