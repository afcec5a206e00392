/** The file that remembers which runtime works on this machine, and how it is called. */
import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import * as v from 'valibot';
import { bootId } from '#ground/base/boot.ts';
import { readOwnText } from '#ground/base/own-text.ts';
import type { Program } from '../oci-cli.ts';
import { sandboxProfile } from '../rights.ts';
import type { HostFacts } from '../spec.ts';
import type { RootDevices } from '../spec-mounts.ts';

/** One way to call a runtime. */
export type Way = { readonly program: Program; readonly cgroup: CgroupCover; readonly devices: RootDevices['kind'] };
/** What has to be mounted over /sys/fs/cgroup, in a mount namespace of our own, before the runtime takes it. */
export type CgroupCover = 'none' | 'tmpfs' | 'cgroup2';
export type Remembered = Way & { readonly filter: string | undefined };
/** A runtime that is installed. */
export type Found = { readonly name: 'crun' | 'runc'; readonly file: string };

const memorySchema = v.object({
  key: v.string(),
  program: v.object({
    name: v.picklist(['crun', 'runc']),
    version: v.string(),
    file: v.string(),
    globalArguments: v.array(v.string()),
  }),
  cgroup: v.picklist(['none', 'tmpfs', 'cgroup2']),
  devices: v.picklist(['flag-kept', 'remount', 'hook']),
  filter: v.optional(v.string()),
  sum: v.number(),
});

/** Changes with the binaries, the kernel's start, our rights and our rules. */
export function memoryKey(found: readonly Found[], facts: HostFacts, ownMounts: boolean): string {
  const programs = found.map(({ name, file }) => ({ name, file, changed: statSync(file, { bigint: true }).mtimeNs.toString() }));
  return JSON.stringify({ programs, boot: bootId(), facts, ownMounts, profile: sandboxProfile(facts) });
}

export function recall(file: string, key: string): Remembered | undefined {
  const text = readOwnText(file);
  const read = v.safeParse(v.pipe(v.string(), v.parseJson(), memorySchema), text);
  if (!read.success || read.output.key !== key) return undefined;
  const { program, cgroup, devices, filter, sum } = read.output;
  const way = { program, cgroup, devices, filter };
  return sum === sumOf(way) ? way : undefined;
}

/** A filter of which one byte is another one kills what it should let run: FNV-1a, which each single change of a character changes. */
function sumOf({ program, cgroup, devices, filter }: Remembered): number {
  const { name, version, file, globalArguments } = program;
  const text = JSON.stringify([name, version, file, globalArguments, cgroup, devices, filter]);
  let sum = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) sum = Math.imul(sum ^ text.charCodeAt(index), 0x01000193);
  return sum >>> 0;
}

export function remember(file: string, key: string, way: Remembered): void {
  mkdirSync(dirname(file), { recursive: true });
  const fresh = `${file}.${process.pid}.${Date.now()}`;
  try {
    writeFileSync(fresh, `${JSON.stringify({ key, ...way, sum: sumOf(way) })}\n`, { mode: 0o600 });
    renameSync(fresh, file);
  } finally {
    rmSync(fresh, { force: true });
  }
}
