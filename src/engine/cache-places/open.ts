/** The place that a `--cache-from` or `--cache-to` names. Nothing is asked yet, and only what that kind of place needs is loaded. */
import { unreachable } from '#ground/base/errors.ts';
import type { Engine } from '../open.ts';
import type { CacheSource, OutwardTarget } from '../cache-requests.ts';
import type { CacheDestination, CacheOrigin } from './contract.ts';

/** `platform`: of the images whose caches are wanted; undefined for this machine's. */
export async function openCacheOrigin(engine: Engine, source: CacheSource, platform: string | undefined): Promise<CacheOrigin> {
  switch (source.kind) {
    case 'registry':
      return (await import('./registry.ts')).registryOrigin(engine, source, platform);
    case 'folder':
      return (await import('./folder.ts')).folderOrigin(engine, source);
    case 'actions':
      return (await import('./actions.ts')).actionsOrigin(engine, source);
    case 's3':
      return (await import('./s3.ts')).s3Origin(engine, source);
    default:
      return unreachable(source, 'source of a cache');
  }
}

export async function openCacheDestination(engine: Engine, target: OutwardTarget): Promise<CacheDestination> {
  switch (target.kind) {
    case 'registry':
      return (await import('./registry.ts')).registryDestination(engine, target);
    case 'folder':
      return (await import('./folder.ts')).folderDestination(target);
    case 'actions':
      return (await import('./actions.ts')).actionsDestination(engine, target);
    case 's3':
      return (await import('./s3.ts')).s3Destination(engine, target);
    default:
      return unreachable(target, 'target of a cache');
  }
}
