import { findContainer, type Container } from '#engine/find-container.ts';
import type { Engine } from '#engine/open.ts';
import type { Surroundings } from '../command.ts';
import { engineFor } from '../engine.ts';
import { forEachName } from './for-each-name.ts';

/** Does `work` for each of the containers and prints its name as it was given, or what `work` gives instead. Gives the exit code. */
export async function forEachContainer(
  names: readonly string[],
  around: Surroundings,
  work: (engine: Engine, container: Container) => Promise<string | void>,
): Promise<number> {
  await using engine = await engineFor(around);
  return await forEachName(names, around.streams, async (name) => {
    const told = await work(engine, findContainer(engine, name));
    around.streams.stdout.write(`${told ?? name}\n`);
  });
}
