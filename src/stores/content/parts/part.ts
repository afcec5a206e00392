/** Files in `ingest/`: `KEY.TIME.PID-START-BOOT.part`, further segments `....part.1`. The key says what is being written, the rest by whom. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { randomHex } from '#ground/base/random.ts';
import { algorithmOf, hexOf, type Digest } from '#ground/base/digest.ts';
import { isAlive, thisProcess, type ProcessIdentity } from '#ground/base/process-identity.ts';

export type Part = { readonly path: string; readonly key: string; readonly time: bigint; readonly owner: ProcessIdentity };

const grammar = /^([a-z0-9-]+)\.(\d+)\.(\d+)-(\d+)-([0-9a-f]+)\.part(?:\.\d+)?$/u;

/** The key of a blob whose digest is known from the start: such parts can be taken over. */
export function keyOf(digest: Digest): string {
  return `${algorithmOf(digest)}-${hexOf(digest)}`;
}

/** A key for bytes whose digest is not known yet. */
export function freshKey(): string {
  return `new-${randomHex(8)}`;
}

export function isResumable(part: Part): boolean {
  return !part.key.startsWith('new-');
}

/** A name for this process to write under. Times are CLOCK_MONOTONIC nanoseconds, the same clock in all processes of one boot. */
export function newPart(folder: string, key: string): Part {
  const owner = thisProcess();
  const time = process.hrtime.bigint();
  return { path: join(folder, `${key}.${time}.${owner.pid}-${owner.start}-${owner.boot}.part`), key, time, owner };
}

/** Parts in `folder`, of `key` only if given, oldest first. */
export function listParts(folder: string, key?: string): readonly Part[] {
  return readdirSync(folder)
    .filter((name) => key === undefined || name.startsWith(`${key}.`))
    .flatMap((name) => {
      const [, partKey, time, pid, start, boot] = grammar.exec(name) ?? [];
      if (partKey === undefined || time === undefined || pid === undefined || start === undefined || boot === undefined) return [];
      return [{ path: join(folder, name), key: partKey, time: BigInt(time), owner: { pid: Number(pid), start, boot } }];
    })
    .toSorted((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : a.path < b.path ? -1 : 1));
}

export function isAbandoned(part: Part): boolean {
  return !isAlive(part.owner, part.path);
}
