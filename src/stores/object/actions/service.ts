/** What both versions of the protocol of the GitHub Actions cache come down to. */
import type { Content } from '../content.ts';

/** Where the bytes of an entry are. */
export type Entry = {
  readonly key: string;
  /** Signed: it is fetched without the token. */
  readonly url: URL;
};

/** The right to write one key. What is uploaded is seen by nobody until it is committed. */
export type Reservation = {
  upload(content: Content, signal: AbortSignal): Promise<void>;
  commit(size: number, signal: AbortSignal): Promise<void>;
};

export type ActionsService = {
  /** The entry of that key, or else the newest whose key begins so. */
  find(key: string, signal: AbortSignal): Promise<Entry | undefined>;
  /** undefined: somebody has written the key, or is about to. */
  reserve(key: string, signal: AbortSignal): Promise<Reservation | undefined>;
};

/** Tells entries of different makers apart: what BuildKit's client (tonistiigi/go-actions-cache) says, so that blobs are shared with it. */
export const entryVersion = '693bb7016429d80366022f036f84856888c9f13e00145f5f6f4dce303a38d6f2';
