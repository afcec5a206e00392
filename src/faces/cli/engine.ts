/** The engine as commands open it. */
import { openEngine, type Engine, type EngineOptions } from '#engine/open.ts';
import type { ProgressEvent } from '#formats/progress/event.ts';
import type { Surroundings } from './command.ts';
import { harmless } from './output/text.ts';

/** Opens the engine for this command; what a person should know of it (a damaged database that was put aside) is written to stderr. `given`: what the command line says of tries and space. Dispose it. */
export async function engineFor(
  around: Surroundings,
  given: Pick<EngineOptions, 'network' | 'cacheMax' | 'isolation'> = {},
): Promise<Engine> {
  const report = (event: ProgressEvent): void => {
    if (event.kind === 'note' && around.logLevel !== 'error' && around.logLevel !== 'fatal')
      around.streams.stderr.write(`${harmless(event.text, false)}\n`);
  };
  const options = { environment: around.environment, currentFolder: around.currentFolder, report, untilExit: true, ...given };
  return await openEngine(options);
}
