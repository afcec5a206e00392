/** The older cache service of GitHub Actions (`_apis/artifactcache`), which self-hosted ones still speak. Written after actions/toolkit and tonistiigi/go-actions-cache. */
import * as v from 'valibot';
import { badAnswer } from '../errors.ts';
import { inBlocks } from '../blocks.ts';
import { bodyOf, type Caller, type Reply, type ServiceRequest } from './caller.ts';
import { entryVersion as version, type ActionsService, type Entry, type Reservation } from './service.ts';
import { unlessTaken } from './version2.ts';

const id = v.exactOptional(v.pipe(v.number(), v.safeInteger(), v.minValue(1)));
const reserved = v.looseObject({ cacheId: id, cacheID: id });
const found = v.looseObject({ cacheKey: v.exactOptional(v.string()), archiveLocation: v.exactOptional(v.string()) });

export function createVersion1(caller: Caller): ActionsService {
  const call = async (request: ServiceRequest, signal: AbortSignal): Promise<Reply> => {
    const headers = { accept: 'application/json;api-version=6.0-preview.1', ...request.headers };
    return await caller.call({ ...request, path: `_apis/artifactcache/${request.path}`, headers }, signal);
  };
  return {
    find: async (key, signal): Promise<Entry | undefined> => {
      const query = new URLSearchParams({ keys: key, version }).toString();
      const reply = await call({ method: 'GET', path: `cache?${query}`, allowed: [404] }, signal);
      if (reply.status === 404 || reply.status === 204) return undefined;
      const { cacheKey, archiveLocation } = reply.decode(found);
      return cacheKey === undefined || cacheKey === '' ? undefined : { key: cacheKey, url: caller.signed(archiveLocation ?? '') };
    },
    reserve: async (key, signal): Promise<Reservation | undefined> => {
      const request = { method: 'POST', path: 'caches', json: { key, version }, allowed: [409] } as const;
      const reply = await call(request, signal).catch(unlessTaken);
      if (reply === undefined || reply.status === 409) return undefined;
      const { cacheId, cacheID } = reply.decode(reserved);
      const number = cacheId ?? cacheID;
      if (number === undefined) throw badAnswer(caller.host, `it does not let "${key}" be written`);
      const path = `caches/${number}`;
      return {
        upload: async (content, own) => {
          await inBlocks(
            content.open(own),
            async ({ offset, bytes }, one) => {
              const range = `bytes ${offset}-${offset + bytes.length - 1}/*`;
              const headers = { 'content-type': 'application/octet-stream', 'content-range': range };
              await call({ method: 'PATCH', path, headers, body: bodyOf(bytes) }, one);
            },
            own,
          );
        },
        commit: async (size, own) => void (await call({ method: 'POST', path, json: { size } }, own)),
      };
    },
  };
}
