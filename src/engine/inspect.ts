/** `jettison inspect` */
import type { Json } from '#ground/base/canonical-json.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { inspectImage, inspectIndex } from '#stores/image/inspect.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { inspectContainer } from './inspect-container.ts';
import { findImage } from './images.ts';
import type { Engine } from './open.ts';
import type { InspectKind } from './info-requests.ts';

/** A container or an image, in the shape of docker's answer; a container comes first when both have the name. Throws `engine/no-such-object`, of an image `image/not-found`. */
export function inspect(engine: Engine, name: string, kind?: InspectKind): Json {
  const container = kind === 'image' ? undefined : engine.containers.find(name);
  if (container !== undefined) return inspectContainer(engine, container);
  if (kind === 'image') return inspectNamed(engine, findImage(engine, name), name);
  const image = kind === 'container' ? undefined : engine.images.find(name);
  if (image !== undefined) return inspectNamed(engine, image, name);
  throw new JettisonError('engine/no-such-object', `No such ${kind ?? 'object'}: ${name}`, {
    hint: '"jettison images" and "jettison ps -a" list what is here',
  });
}

/** A name that stands for several images says so beside what it says of the one. */
function inspectNamed(engine: Engine, image: ImageRecord, name: string): Json {
  const index = engine.indexes.find(name);
  return { ...inspectImage(engine.images, image), ...(index === undefined ? {} : inspectIndex(index)) };
}
