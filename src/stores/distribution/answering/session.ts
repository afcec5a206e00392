/** One upload: a file that grows by what each request brings, hashed beside it. */
import { randomUUID } from 'node:crypto';
import { closeSync, createReadStream, openSync, rmSync, writeSync } from 'node:fs';
import { algorithmOf, createDigester, type Digest } from '#ground/base/digest.ts';
import type { ContentStore } from '#stores/content/store.ts';

export type Session = Disposable & {
  readonly id: string;
  /** Bytes so far. */
  offset(): number;
  /** Milliseconds since something was done with it. */
  idle(): number;
  isOpen(): boolean;
  /**
   * The right to do something with it, until it is disposed of. Whoever has it now is made to give it up by what it handed in: a client that asks again has lost that
   * connection, which may look alive from here.
   */
  turn(giveUp: () => void): Promise<Disposable>;
  /** Takes a body to its end; what came of one that breaks off stays. Throws what the body throws, and Node's errors of a full disk. */
  append(body: AsyncIterable<Uint8Array>): Promise<void>;
  /** Puts it into the store if this is its digest; gives the digest that it has. */
  keep(digest: Digest, signal: AbortSignal): Promise<Digest>;
};

export function openSession(content: ContentStore): Session {
  const path = content.temporaryPath();
  const file = openSync(path, 'wx', 0o600);
  const digester = createDigester();
  let offset = 0;
  let touched = performance.now();
  let state: 'open' | 'closed' | 'kept' = 'open';
  let holder: { readonly giveUp: () => void; readonly over: Promise<void> } | undefined;
  const close = (): void => {
    if (state !== 'open') return;
    closeSync(file);
    state = 'closed';
  };
  return {
    id: randomUUID(),
    offset: () => offset,
    idle: () => performance.now() - touched,
    isOpen: () => state === 'open',
    async turn(giveUp) {
      while (holder !== undefined) {
        holder.giveUp();
        await holder.over;
      }
      const over = Promise.withResolvers<void>();
      holder = { giveUp, over: over.promise };
      return {
        [Symbol.dispose]() {
          holder = undefined;
          over.resolve();
        },
      };
    },
    async append(body) {
      for await (const chunk of body) {
        if (state !== 'open') return;
        for (let done = 0; done < chunk.length;) done += writeSync(file, chunk, done, chunk.length - done, offset + done);
        digester.update(chunk);
        offset += chunk.length;
        touched = performance.now();
      }
    },
    async keep(digest, signal) {
      const found = algorithmOf(digest) === 'sha256' ? digester.finish() : await hashAgain(path, digest);
      close();
      if (found !== digest) return found;
      await content.adopt(path, { digest, size: offset }, signal);
      state = 'kept';
      return found;
    },
    [Symbol.dispose]() {
      close();
      if (state !== 'kept') rmSync(path, { force: true });
    },
  };
}

async function hashAgain(path: string, digest: Digest): Promise<Digest> {
  const digester = createDigester(algorithmOf(digest));
  for await (const chunk of createReadStream(path) as AsyncIterable<Uint8Array>) digester.update(chunk);
  return digester.finish();
}
