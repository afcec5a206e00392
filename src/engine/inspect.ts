/** `jettison inspect` */
import type { Json } from '#ground/base/canonical-json.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { inspectImage, inspectIndex } from '#stores/image/inspect.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { inspectContainer } from './inspect-container.ts';
import { findForPlatform, findImage } from './images.ts';
import type { Engine } from './open.ts';
import type { InspectKind } from './info-requests.ts';
import { inspectVolume } from './volumes.ts';

export type InspectOptions = {
  /** Of a container: what it wrote is measured. */
  readonly size?: boolean;
};

/** What has the name, in the shape of docker's answer: the first of a container, an image, a network and a volume. Throws `engine/no-such-object`, of an image `image/not-found`. */
export async function inspect(engine: Engine, name: string, kind?: InspectKind, { size = false }: InspectOptions = {}): Promise<Json> {
  const mayBe = (one: InspectKind): boolean => kind === undefined || kind === one;
  const container = mayBe('container') ? engine.containers.find(name) : undefined;
  if (container !== undefined) return await inspectContainer(engine, container, size);
  if (kind === 'image') return inspectNamed(engine, findImage(engine, name), name);
  const image = mayBe('image') ? engine.images.find(name) : undefined;
  if (image !== undefined) return inspectNamed(engine, image, name);
  if (mayBe('network') && (await engine.networks()).find(name) !== undefined) {
    const { inspectNetwork } = await import('./networks.ts');
    return await inspectNetwork(engine, name);
  }
  if (mayBe('volume') && engine.volumes.find(name) !== undefined) return inspectVolume(engine, name);
  throw new JettisonError('engine/no-such-object', `No such ${kind ?? 'object'}: ${name}`, {
    hint: '"jettison ps -a", "images", "network ls" and "volume ls" list what is here',
  });
}

/** Of an image for several platforms the one for `platform`, which says nothing of the others. Throws `image/not-found`, `oci/no-such-platform`. */
export function inspectForPlatform(engine: Engine, name: string, platform: string): Json {
  return inspectImage(engine.images, findForPlatform(engine, name, platform));
}

/** A name that stands for several images says so beside what it says of the one. */
function inspectNamed(engine: Engine, image: ImageRecord, name: string): Json {
  const index = engine.indexes.find(name);
  return { ...inspectImage(engine.images, image), ...(index === undefined ? {} : inspectIndex(index)) };
}
