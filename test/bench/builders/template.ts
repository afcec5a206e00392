/**
 * Peers given as shell commands:
 *   JETTISON_BENCH_PEERS='name=command with {context} {file} {tag}; other=...'
 *   JETTISON_BENCH_PRUNE='name=command that empties its cache; other=...'
 */
import type { Builder } from '../builder.ts';
import { runQuietly, type Command } from '../command.ts';

/** One builder for each line of JETTISON_BENCH_PEERS. Throws where one has no prune command: its cold runs would be warm. */
export function openTemplates(environment: Readonly<Record<string, string | undefined>>): readonly Builder[] {
  const prunes = parseTemplates(environment['JETTISON_BENCH_PRUNE'] ?? '');
  return [...parseTemplates(environment['JETTISON_BENCH_PEERS'] ?? '')].map(([name, template]) => {
    const prune = prunes.get(name);
    if (prune === undefined) throw new Error(`JETTISON_BENCH_PRUNE has no command for ${name}`);
    const forget = (): void => void runQuietly(shell(prune));
    return {
      name,
      version: 'as given',
      build: ({ context, file, tag }) =>
        shell(template.replaceAll(/\{(context|file|tag)\}/gu, (_, key: 'context') => quote({ context, file, tag }[key]))),
      forget,
      daemons: () => [],
      close: forget,
    };
  });
}

function parseTemplates(text: string): ReadonlyMap<string, string> {
  const parts = text
    .split(/[;\n]/u)
    .map((part) => part.trim())
    .filter((part) => part !== '');
  return new Map(
    parts.map((part) => {
      const match = /^([\w.-]+)=(.+)$/su.exec(part);
      if (match === null) throw new Error(`Not "name=command": ${part}`);
      return [match[1] ?? '', match[2] ?? ''];
    }),
  );
}

function shell(script: string): Command {
  return { program: 'sh', words: ['-c', script] };
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
