/** Ourselves: the bundle where it has been made, else the source. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Builder, Place } from '../builder.ts';
import { firstLine, runQuietly, type Command } from '../command.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

const bundle = join(root, 'dist/main.cjs');
const main = existsSync(bundle) ? bundle : join(root, 'src/main.ts');

/** A command of ours with everything of its own in the folder `home`. */
export function ownCommand(home: string, store: string, words: readonly string[]): Command {
  return {
    program: process.execPath,
    words: [main, ...words],
    environment: {
      JETTISON_STORE: join(home, store),
      JETTISON_CONFIG: join(home, 'config.json'),
      XDG_CACHE_HOME: join(home, 'cache'),
      DOCKER_CONFIG: join(home, 'docker'),
    },
  };
}

/** Each `forget` goes on with a new store; the old one stays where it is until the bench ends. */
export function openJettison(place: Place): Builder {
  const home = join(place.folder, 'jettison');
  mkdirSync(home, { recursive: true });
  let store = 0;
  const command = (...words: readonly string[]): Command => ownCommand(home, `store-${store}`, words);
  const commit = firstLine({ program: 'git', words: ['-C', root, 'describe', '--always', '--dirty'] }) ?? 'unknown commit';
  return {
    name: 'jettison',
    version: `${commit}, ${main === bundle ? 'bundle' : 'source'}, Node ${process.versions.node}`,
    build: ({ context, file, tag }) => command('build', '--progress', 'plain', '-t', tag, '-f', file, context),
    forget: (bases) => {
      store++;
      for (const base of bases) runQuietly(command('pull', base));
    },
    pull: (tag) => command('pull', tag),
    push: (tag) => command('push', tag),
    pushZstd: (tag) => command('push', '--compression', 'zstd', tag),
    daemons: () => [],
    close: () => {},
  };
}
