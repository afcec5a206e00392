/** `--builder`, and `BUILDX_BUILDER`: a name of the one builder. */
import { text, type Option } from '../option.ts';

export function builderOption(): Option<string | undefined> {
  return text('builder', { help: 'A name that "buildx create" gave; all mean this program' });
}

/** Throws `engine/no-builder` for a name that was given and is none. Where none is, nothing is loaded. */
export async function checkBuilderOption(given: string | undefined, environment: NodeJS.ProcessEnv): Promise<void> {
  const name = given ?? environment['BUILDX_BUILDER'];
  if (name === undefined || name === '') return;
  const { checkBuilder } = await import('#engine/builders.ts');
  checkBuilder(name, environment);
}
