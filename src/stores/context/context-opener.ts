/** How the folders of a build are read: Node's way, or by the system call library where it pays to load it. */
import { openLocalContext, type LocalContext } from './local.ts';

export type OpenContextFolder = (options: Omit<Parameters<typeof openLocalContext>[0], 'reader'>) => LocalContext;

/** From here on the system call library saves more than it takes to load: with 3,000 files both ways took as long. */
const manyEntries = 3000;

/** `entries`: how many are expected to be looked at; a guess is enough. */
export async function contextOpener(entries: number): Promise<OpenContextFolder> {
  if (entries < manyEntries) return openLocalContext;
  const { openNativeFolderReader } = await import('#ground/linux/native-folder-reader.ts');
  const reader = openNativeFolderReader();
  return reader === undefined ? openLocalContext : (options) => openLocalContext({ ...options, reader });
}
