/**
 * The cache service of GitHub Actions since 2025: Twirp calls in JSON (github.actions.results.api.v1.CacheService), which hand out signed addresses
 * of blobs in Azure's storage. Written after actions/toolkit and tonistiigi/go-actions-cache.
 */
import * as v from 'valibot';
import { isCode } from '#ground/base/errors.ts';
import { badAnswer } from '../errors.ts';
import { uploadAzureBlob } from './azure-blob.ts';
import type { Caller, Reply } from './caller.ts';
import { entryVersion as version, type ActionsService, type Entry, type Reservation } from './service.ts';

// JSON of protocol buffers may have either form of a name, and leaves out what is empty or false.
const text = v.exactOptional(v.string());
const flag = v.exactOptional(v.boolean());
const created = v.looseObject({ ok: flag, signed_upload_url: text, signedUploadUrl: text, message: text });
const finalized = v.looseObject({ ok: flag, message: text });
const found = v.looseObject({ ok: flag, signed_download_url: text, signedDownloadUrl: text, matched_key: text, matchedKey: text });

export function createVersion2(caller: Caller): ActionsService {
  const call = async (method: string, json: object, allowed: readonly number[], signal: AbortSignal): Promise<Reply> =>
    await caller.call({ method: 'POST', path: `twirp/github.actions.results.api.v1.CacheService/${method}`, json, allowed }, signal);
  return {
    find: async (key, signal): Promise<Entry | undefined> => {
      const reply = await call('GetCacheEntryDownloadURL', { key, restore_keys: [key], version }, [404], signal);
      if (reply.status === 404) return undefined;
      const entry = reply.decode(found);
      if (entry.ok !== true) return undefined;
      const address = entry.signed_download_url ?? entry.signedDownloadUrl ?? '';
      return { key: entry.matched_key ?? entry.matchedKey ?? '', url: caller.signed(address) };
    },
    reserve: async (key, signal): Promise<Reservation | undefined> => {
      const reply = await call('CreateCacheEntry', { key, version }, [409], signal).catch(unlessTaken);
      if (reply === undefined || reply.status === 409) return undefined;
      const entry = reply.decode(created);
      if (entry.ok !== true) throw badAnswer(caller.host, `it does not let "${key}" be written${said(entry.message)}`);
      const url = caller.signed(entry.signed_upload_url ?? entry.signedUploadUrl ?? '');
      return {
        upload: async (content, own) => await uploadAzureBlob(caller, url, content, own),
        commit: async (size, own) => {
          const done = await call('FinalizeCacheEntryUpload', { key, size_bytes: String(size), version }, [], own);
          const { ok, message } = done.decode(finalized);
          if (ok !== true) throw badAnswer(caller.host, `it does not keep "${key}"${said(message)}`);
        },
      };
    },
  };
}

/** A conflict that comes with another status than 409. */
export function unlessTaken(error: unknown): undefined {
  if (isCode(error, 'registry/refused') && /already[ _]?exists/iu.test(error.message)) return undefined;
  throw error;
}

function said(message: string | undefined): string {
  return message === undefined || message === '' ? '' : `: ${message.slice(0, 400)}`;
}
