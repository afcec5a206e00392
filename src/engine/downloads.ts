/** Files from the web for one build; nothing is loaded or opened before the first. */
import { join } from 'node:path';
import type { SourceHttpOp } from '#formats/graph/op.ts';
import type { Downloads } from '#stores/context/http.ts';
import type { Engine } from './open.ts';
import { version } from './version.ts';

export type LazyDownloads = Disposable & { readonly fetch: (op: SourceHttpOp, signal: AbortSignal) => Promise<string> };

export function lazyDownloads(engine: Engine): LazyDownloads {
  let opened: Downloads | undefined;
  return {
    fetch: async ({ url, name, checksum }, signal) => {
      engine.hold();
      const { openDownloads } = await import('#stores/context/http.ts');
      opened ??= openDownloads({
        folder: join(engine.paths.store, 'downloads'),
        userAgent: `jettison/${version}`,
        environment: engine.environment,
        now: engine.now,
      });
      return await opened.fetch({ url, name, checksum: checksum ?? undefined }, signal);
    },
    [Symbol.dispose]: () => opened?.[Symbol.dispose](),
  };
}
