/** The files of `--env-file` and `--label-file`: a `NAME=VALUE` a line, as the docker CLI reads them. */
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { readAtMost } from '#ground/base/read-at-most.ts';

const longestFile = 16 << 20;

/** All entries of the files, in order; a name without a value is looked up, and left out where it has none. Throws `cli/bad-value`. */
export function readLineFiles(long: string, files: readonly string[], lookUp: (name: string) => string | undefined): readonly string[] {
  return files.flatMap((file) => readText(long, file).flatMap((line, index) => readLine(line, { long, file, number: index + 1, lookUp })));
}

function readText(long: string, file: string): readonly string[] {
  try {
    const bytes = readAtMost(file, longestFile);
    if (bytes === undefined) throw new JettisonError('cli/bad-value', `it is longer than ${longestFile >> 20} MiB`);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return text.replace(/^\uFEFF/u, '').split('\n');
  } catch (error) {
    const why = error instanceof TypeError ? 'invalid utf8 bytes' : messageOf(error);
    throw new JettisonError('cli/bad-value', `"--${long} ${file}": ${why}`, { cause: error });
  }
}

type About = {
  readonly long: string;
  readonly file: string;
  readonly number: number;
  readonly lookUp: (name: string) => string | undefined;
};

function readLine(given: string, { long, file, number, lookUp }: About): readonly string[] {
  const line = given.replace(/\r$/u, '').trimStart();
  if (line === '' || line.startsWith('#')) return [];
  const [name = '', ...value] = line.split('=');
  const refuse = (why: string): never => {
    throw new JettisonError('cli/bad-value', `"--${long} ${file}": line ${number}: ${why}`);
  };
  if (name === '') refuse(`no variable name on line '${line}'`);
  if (/\s/u.test(value.length > 0 ? name : name.trim())) refuse(`variable '${name}' contains whitespaces`);
  if (value.length > 0) return [line];
  const found = lookUp(name.trim());
  return found === undefined ? [] : [`${name.trim()}=${found}`];
}
