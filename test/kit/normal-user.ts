/** A normal user with subordinate ids, made for one command at a time: in a mount namespace where /etc has other files, so that the machine's own stay as they are. */
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type NormalUser = {
  readonly id: number;
  /** Words that run a command as this user. Its environment passes through. */
  readonly words: readonly [string, ...string[]];
  /** Gives a file or folder to this user. */
  readonly owns: (path: string) => void;
};

/** `folder` holds the files of /etc; without `ids` the user has none but its own; `id` is for those who look for its processes, as other tests run at the same time. Needs root. */
export function normalUser(folder: string, { ids = true, id = 4242 }: { readonly ids?: boolean; readonly id?: number } = {}): NormalUser {
  const files = join(folder, ids ? 'etc-ids' : 'etc');
  mkdirSync(files, { recursive: true });
  const line = `pilot:x:${id}:${id}::${folder}:/bin/sh\n`;
  writeFileSync(join(files, 'passwd'), `${readFileSync('/etc/passwd', 'utf8')}${line}`);
  for (const name of ['subuid', 'subgid']) writeFileSync(join(files, name), ids ? 'pilot:300000:65536\n' : '');
  const mounts = ['passwd', 'subuid', 'subgid'].map((name) => `mount --bind "${join(files, name)}" /etc/${name}`);
  const script = `touch /etc/subuid /etc/subgid && ${mounts.join(' && ')} && exec setpriv --reuid ${id} --regid ${id} --clear-groups "$@"`;
  return { id, words: ['unshare', '--mount', '--', 'sh', '-c', script, 'sh'], owns: (path) => chownSync(path, id, id) };
}
