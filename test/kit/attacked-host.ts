/** Where hostile builds run: a sandbox with a canary, the commands typed by root or by a normal user, over the runtime that a test asks for. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dockerArchiveOf, imageOf, type ImageParts } from './archives.ts';
import { makeCanary, type Canary } from './canary.ts';
import { normalUser } from './normal-user.ts';
import { openSandbox, runCommand, type CommandOptions, type Finished, type Sandbox } from './sandbox.ts';
import { mainFile } from './main-file.ts';

export type Attacker = 'root' | 'user';

export const attackers: readonly Attacker[] = ['root', 'user'];

/** Who tries what meets nothing but the process of the user itself, which is then alike for both: root alone, unless `HOSTILE_ALL` is set. */
export const attackersOfEngine = process.env['HOSTILE_ALL'] === undefined ? attackers.slice(0, 1) : attackers;

export type AttackedHost = AsyncDisposable & {
  readonly sandbox: Sandbox;
  readonly canary: Canary;
  /** The store of `jettison` below, which is not the sandbox's own where a user types. */
  readonly store: string;
  /** A folder that belongs to whoever types. */
  readonly home: string;
  /** The command as root or the user types it. The host must be unharmed when it ends, and nothing of it in what was printed; else the test fails. */
  jettison(words: readonly string[], options?: CommandOptions): Promise<Finished>;
  /** The same, and fails unless it exits with 0. Gives standard output. */
  succeed(words: readonly string[], options?: CommandOptions): Promise<string>;
  /** Writes files of a context, readable by all; gives the folder. */
  context(files: Readonly<Record<string, string | Uint8Array>>): string;
  /** Makes an image by hand and loads it under `name`. */
  load(name: string, parts: ImageParts): Promise<Finished>;
  /** Brings the image `busybox` into the store. */
  busybox(): Promise<void>;
};

/**
 * `as`: who types. `runtime`: the other one is out of sight for these commands. `watched`: further files of the host that must stay as they are. Needs root.
 */
export async function openAttackedHost({
  as,
  runtime,
  watched = [],
}: {
  readonly as: Attacker;
  readonly runtime?: 'crun' | 'runc';
  readonly watched?: readonly string[];
}): Promise<AttackedHost> {
  await using stack = new AsyncDisposableStack();
  const sandbox = stack.use(await openSandbox());
  const user = as === 'user' ? normalUser(sandbox.folder) : undefined;
  const canary = stack.use(makeCanary({ watched, ...(user === undefined ? {} : { owner: user.id }) }));
  chmodSync(sandbox.folder, 0o755);
  const home = join(sandbox.folder, 'home');
  mkdirSync(home);
  user?.owns(home);
  const store = user === undefined ? sandbox.store : join(home, 'store');
  const before = [...withoutRuntime(runtime), ...(user?.words ?? [])];
  const jettison: AttackedHost['jettison'] = async (words, options = {}) => {
    const [command = '', ...rest] = [...before, process.execPath, mainFile, ...words];
    const environment = { ...sandbox.environment, JETTISON_STORE: store, HOME: home, ...options.environment };
    const done = await runCommand(command, rest, { cwd: sandbox.folder, ...options, environment });
    canary.assertUnharmed();
    canary.assertUnread({ text: done.stdout + done.stderr });
    return done;
  };
  const succeed: AttackedHost['succeed'] = async (words, options) => {
    const done = await jettison(words, options);
    if (done.status !== 0)
      throw new Error(`jettison ${words.join(' ')} ended with ${done.status ?? done.signal}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  };
  const own = (name: string): string => {
    const path = join(home, name);
    user?.owns(path);
    return path;
  };
  let contexts = 0;
  const opened = stack.move();
  return {
    sandbox,
    canary,
    store,
    home,
    jettison,
    succeed,
    context: (files) => sandbox.files(files, `context-${contexts++}`),
    load: async (name, parts) => {
      writeFileSync(join(home, 'evil.tar'), dockerArchiveOf(imageOf(parts), name));
      return await jettison(['load', '-i', own('evil.tar')]);
    },
    busybox: async () => {
      await sandbox.base('busybox');
      if (user === undefined) return;
      await sandbox.succeed(['save', '-o', join(home, 'busybox.tar'), 'busybox']);
      await succeed(['load', '-i', own('busybox.tar')]);
    },
    [Symbol.asyncDispose]: async () => await opened.disposeAsync(),
  };
}

/** Words that run a command where only `runtime` can be found. */
function withoutRuntime(runtime: 'crun' | 'runc' | undefined): readonly string[] {
  if (runtime === undefined) return [];
  const other = runtime === 'crun' ? 'runc' : 'crun';
  const script = `for one in $(which -a ${other}); do mount --bind /dev/null "$one" || exit 1; done; exec "$@"`;
  return ['unshare', '--mount', '--', 'sh', '-c', script, 'sh'];
}
