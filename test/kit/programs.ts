/** Programs of this machine made fit to run in any root: with the libraries they are linked to and their loader. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Copies the program (`ssh-add`) into `folder`; gives the words that start it when the folder stands at `at`. */
export function bringProgram(name: string, folder: string, at: string): string {
  const program = execFileSync('sh', ['-c', 'command -v "$1"', 'sh', name], { encoding: 'utf8' }).trim();
  const linked = execFileSync('ldd', [program], { encoding: 'utf8' });
  const libraries = [...linked.matchAll(/(?:=> )?(\/\S+) \(0x/gu)].flatMap((match) => match[1] ?? []);
  const loader = libraries.find((library) => basename(library).startsWith('ld-'));
  if (loader === undefined) throw new Error(`${name} has no loader:\n${linked}`);
  mkdirSync(folder, { recursive: true });
  for (const file of [program, ...libraries]) copyFileSync(file, join(folder, basename(file)));
  return `${at}/${basename(loader)} --library-path ${at} ${at}/${name}`;
}
