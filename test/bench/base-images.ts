/** Base images in the bench's registry, made once a run from Debian packages. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeBase } from '#test/kit/bases.ts';
import type { Builder, Place } from './builder.ts';
import { runQuietly } from './command.ts';
import { writeForest, writeRandomFile } from './content.ts';
import type { Base } from './workloads.ts';

const cache = fileURLToPath(new URL('../../.cache/bases', import.meta.url));

export function imageName(place: Place, base: Base): string {
  return `${place.registry}/${base}:latest`;
}

/** Makes `bases` with `maker` and pushes them. The `large` one stands on `debian-gcc`. */
export async function provideBases(place: Place, bases: ReadonlySet<Base>, maker: Builder): Promise<void> {
  const { push } = maker;
  if (push === undefined) throw new Error(`${maker.name} cannot push`);
  const build = ({ context, tag }: { readonly context: string; readonly tag: string }): void => {
    runQuietly(maker.build({ context, file: join(context, 'Dockerfile'), tag }));
    runQuietly(push(tag));
  };
  const needed = new Set<Base>([...bases, ...(bases.has('large') ? (['debian-gcc'] as const) : [])]);
  for (const name of ['busybox', 'debian-gcc'] as const) {
    if (needed.has(name)) await makeBase(name, { cache, tag: imageName(place, name), build });
  }
  if (needed.has('large')) build({ context: makeLargeContext(place), tag: imageName(place, 'large') });
}

/** Three layers more: many small files, a few large ones, files in between. */
function makeLargeContext(place: Place): string {
  const folder = join(place.folder, 'large');
  mkdirSync(join(folder, 'packed'), { recursive: true });
  writeForest(join(folder, 'small'), { seed: 'small', folders: 80, files: 100, size: 10_000 });
  writeForest(join(folder, 'middle'), { seed: 'middle', folders: 10, files: 50, size: 200_000 });
  for (let i = 0; i < 10; i++) writeRandomFile(join(folder, 'packed', `${i}.bin`), 9_000_000, `packed ${i}`);
  const copies = ['small', 'packed', 'middle'].map((name) => `COPY ${name} /opt/${name}`);
  writeFileSync(join(folder, 'Dockerfile'), [`FROM ${imageName(place, 'debian-gcc')}`, ...copies, ''].join('\n'));
  return folder;
}
