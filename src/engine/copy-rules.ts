/** Where what is copied goes, and under which name: docker's rules for the paths of `cp` (https://docs.docker.com/reference/cli/docker/container/cp/). Pure. */
import { JettisonError } from '#ground/base/errors.ts';

/** A source as it was named: absolute, cleaned, with its `/` or `/.` at the end. `name`: what a link was called that was followed. */
export type CopySource = { readonly path: string; readonly isFolder: boolean; readonly name?: string | undefined };
export type CopyDestination = { readonly path: string; readonly exists: boolean; readonly isFolder: boolean };
/** The archive's topmost entry is to be called `name` (`.`: only its content counts) in `folder`. */
export type CopyPlan = { readonly folder: string; readonly name: string };

/** Throws `engine/cannot-copy-folder` and `engine/no-such-folder`, in docker's words. */
export function planCopy(source: CopySource, destination: CopyDestination): CopyPlan {
  const { folder, name } = splitPath(destination.path);
  if (destination.exists && destination.isFolder) return { folder: destination.path, name: sourceName(source) };
  if (destination.exists && source.isFolder)
    throw new JettisonError('engine/cannot-copy-folder', 'cannot copy directory', {
      hint: `"${destination.path}" is a file: name a folder, or something that is not there`,
    });
  if (destination.exists || source.isFolder || !assertsFolder(destination.path)) return { folder, name };
  throw new JettisonError('engine/no-such-folder', 'no such directory', {
    hint: `Make "${destination.path}" first, or leave out the slash at its end`,
  });
}

/** What an archive of a source calls its topmost entry. */
export function sourceName({ path, name }: Pick<CopySource, 'path' | 'name'>): string {
  const own = splitPath(path).name;
  return own === '.' || own === '/' ? '.' : (name ?? own);
}

/** Does the path say that it is one of a folder? */
export function assertsFolder(path: string): boolean {
  return /(?:^|\/)\.?$/u.test(path);
}

/** An absolute path without `.`, `..` and doubled slashes; what it says at its end of being a folder is kept. */
export function cleanPath(path: string, from: string): string {
  const names: string[] = [];
  for (const name of (path.startsWith('/') ? path : `${from}/${path}`).split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  const clean = `/${names.join('/')}`;
  if (/(?:^|\/)\.$/u.test(path)) return clean === '/' ? '/.' : `${clean}/.`;
  return path.endsWith('/') && clean !== '/' ? `${clean}/` : clean;
}

/** The folder of a path and the name in it: `.` for what ends in `/.`, `/` for the root. */
export function splitPath(path: string): { readonly folder: string; readonly name: string } {
  const clean = cleanPath(path, '/').replace(/\/\.?$/u, '') || '/';
  if (/(?:^|\/)\.$/u.test(path)) return { folder: clean, name: '.' };
  const slash = clean.lastIndexOf('/');
  return { folder: clean.slice(0, slash) || '/', name: clean.slice(slash + 1) || '/' };
}

/** `CONTAINER:PATH`, or a path of this machine: what begins with `/` or `.` is always one, so that names with a colon can be said. */
export function parseCopyArgument(argument: string): { readonly container: string | undefined; readonly path: string } {
  const colon = argument.indexOf(':');
  if (argument.startsWith('/') || argument.startsWith('.') || colon <= 0) return { container: undefined, path: argument };
  return { container: argument.slice(0, colon), path: argument.slice(colon + 1) };
}
