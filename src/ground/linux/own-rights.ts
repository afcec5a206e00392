/** What this process may do, by the texts that the kernel keeps of it in /proc. Nothing of it changes while we run: read once. */
import { readFileSync } from 'node:fs';

/** Bits of capability sets (capabilities(7)). */
export const capability = {
  chown: 0,
  dacOverride: 1,
  fowner: 3,
  kill: 5,
  setgid: 6,
  setuid: 7,
  setpcap: 8,
  sysChroot: 18,
  sysAdmin: 21,
  mknod: 27,
} as const;

export type OwnRights = {
  readonly isRoot: boolean;
  /** The machine's own user namespace, which maps all 32-bit ids to themselves. */
  readonly isInitialNamespace: boolean;
  /** Its user namespace maps a single id. */
  readonly hasOneId: boolean;
  /** The first ids that its user namespace does not have, counted from 0 (user_namespaces(7)). */
  readonly ends: { readonly users: number; readonly groups: number };
  has(bit: number): boolean;
  /** execve(2) gives no rights: set-user-ID programs are of no use. */
  readonly noNewPrivileges: boolean;
  /** How many seccomp filters stand in its way; undefined where the kernel does not count them. */
  readonly filters: number | undefined;
};

const wholeMap = /^\s*0\s+0\s+4294967295\s*$/u;
const oneId = /^\s*\d+\s+\d+\s+1\s*$/u;
let own: OwnRights | undefined;

export function ownRights(): OwnRights {
  own ??= readRights();
  return own;
}

function readRights(): OwnRights {
  const map = readFileSync('/proc/self/uid_map', 'latin1');
  const status = readFileSync('/proc/self/status', 'latin1');
  const field = (name: string): string | undefined => new RegExp(`^${name}:\\s*(\\S+)$`, 'mu').exec(status)?.[1];
  const effective = BigInt(`0x${field('CapEff') ?? '0'}`);
  const filters = field('Seccomp_filters');
  return {
    isRoot: process.getuid?.() === 0,
    isInitialNamespace: wholeMap.test(map),
    hasOneId: oneId.test(map),
    ends: { users: endOf(map), groups: endOf(readFileSync('/proc/self/gid_map', 'latin1')) },
    has: (bit) => (effective & (1n << BigInt(bit))) !== 0n,
    noNewPrivileges: field('NoNewPrivs') === '1',
    filters: filters === undefined ? undefined : Number(filters),
  };
}

/** Where the ids that a map (`/proc/self/uid_map`) has from 0 on end; what a hole parts from them does not count. */
export function endOf(map: string): number {
  const lines = map.split('\n').flatMap((line) => {
    const [, first, count] = /^\s*(\d+)\s+\d+\s+(\d+)\s*$/u.exec(line) ?? [];
    return first === undefined ? [] : [{ first: Number(first), count: Number(count) }];
  });
  return lines
    .toSorted((a, b) => a.first - b.first)
    .reduce((end, { first, count }) => (first <= end ? Math.max(end, first + count) : end), 0);
}
