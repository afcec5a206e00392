/** Build arguments: of the command line, of files, of the environment. */
import { resolve } from 'node:path';
import { JettisonError } from '#ground/base/errors.ts';
import { readAtMost } from '#ground/base/read-at-most.ts';
import type { Surroundings } from '../command.ts';
import { toMap, withEnvironment } from '../option-values.ts';

const longestFile = 1024 * 1024;

type Given = { readonly buildArgs: readonly string[]; readonly buildArgFiles: readonly string[] };
type Around = Pick<Surroundings, 'environment' | 'currentFolder'>;

/**
 * `--build-arg` wins over `--build-arg-file`, later ones over earlier. SOURCE_DATE_EPOCH comes from the environment when it was not given, as
 * buildx has it. Throws `cli/bad-value`, `cli/cannot-read`.
 */
export function readBuildArgs({ buildArgs, buildArgFiles }: Given, { environment, currentFolder }: Around): ReadonlyMap<string, string> {
  const lines = buildArgFiles.flatMap((file) => readLines(resolve(currentFolder, file)));
  const given = toMap(withEnvironment([...lines, ...buildArgs], environment));
  const epoch = environment['SOURCE_DATE_EPOCH'] ?? '';
  return epoch === '' || given.has('SOURCE_DATE_EPOCH') ? given : new Map([...given, ['SOURCE_DATE_EPOCH', epoch]]);
}

/** Lines of `NAME=VALUE` or `NAME`; empty ones and those that begin with `#` say nothing. */
function readLines(file: string): readonly string[] {
  let text: string;
  try {
    const bytes = readAtMost(file, longestFile);
    if (bytes === undefined) throw new JettisonError('cli/bad-value', `"${file}" is longer than 1 MiB`);
    text = new TextDecoder().decode(bytes);
  } catch (error) {
    if (error instanceof JettisonError) throw error;
    throw new JettisonError('cli/cannot-read', `Cannot read the build arguments in "${file}"`, { cause: error });
  }
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}
