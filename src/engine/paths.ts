/** Where things lie: the XDG base directory specification, and one folder for everything that can be deleted. */
import { homedir } from 'node:os';
import { join } from 'node:path';

export type Paths = {
  /** Images, snapshots, cache: `$JETTISON_STORE`, else `$XDG_DATA_HOME/jettison`. May be deleted as a whole while nothing runs. */
  readonly store: string;
  /** `$JETTISON_CONFIG`, else `$XDG_CONFIG_HOME/jettison/config.json`. */
  readonly config: string;
};

export function findPaths(environment: Readonly<Record<string, string | undefined>>): Paths {
  const home = environment['HOME'] ?? homedir();
  const given = (name: string): string | undefined => environment[name] || undefined;
  return {
    store: given('JETTISON_STORE') ?? join(given('XDG_DATA_HOME') ?? join(home, '.local/share'), 'jettison'),
    config: given('JETTISON_CONFIG') ?? join(given('XDG_CONFIG_HOME') ?? join(home, '.config'), 'jettison/config.json'),
  };
}
