import { notBuilt } from './not-built.ts';

export type Engine = AsyncDisposable;

export async function openEngine(_options: { readonly environment: NodeJS.ProcessEnv; readonly currentFolder: string }): Promise<Engine> {
  return await Promise.resolve(notBuilt('The engine'));
}
