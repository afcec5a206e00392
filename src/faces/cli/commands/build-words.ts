/** Words that stood behind `build` once, read again. */
import type { BuildRequest } from '#engine/build-requests.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { readWords, type Surroundings } from '../command.ts';
import { buildCommand } from './build.ts';
import { buildOptions, requestOf, type BuildOptions } from './build-request.ts';

export type GivenWords = { readonly options: BuildOptions; readonly arguments: readonly string[]; readonly words: readonly string[] };

/** Throws what reading a command line throws. */
export function readBuildWords(words: readonly string[]): GivenWords {
  const definition = { ...buildCommand, options: buildOptions, arguments: [1, 1] as const, run: async () => await Promise.resolve(0) };
  const given = readWords(definition, words);
  if (given === undefined) throw new JettisonError('cli/usage', 'These words ask for help, and for no build');
  return { ...given, words };
}

/** What they ask for, typed in `folder`. */
export async function requestOfWords(
  words: readonly string[],
  folder: string,
  around: Surroundings,
  signal: AbortSignal,
): Promise<BuildRequest> {
  const { options, arguments: given } = readBuildWords(words);
  return await requestOf(options, given[0] ?? '', { ...around, currentFolder: folder }, signal);
}
