/** What a container is told beside its process and its network: rights, limits, names, and what is mounted. Kept as it was asked for, since `inspect` shows it. */
import * as v from 'valibot';
import { stringMap } from '#ground/base/decode.ts';

const words = v.array(v.string());
const whole = v.pipe(v.number(), v.integer());
const flag = v.optional(v.boolean(), false);
const some = v.optional(words, []);

const limits = v.object({
  memory: v.exactOptional(whole),
  memorySwap: v.exactOptional(whole),
  memoryReservation: v.exactOptional(whole),
  memorySwappiness: v.exactOptional(whole),
  cpuShares: v.exactOptional(whole),
  cpuPeriod: v.exactOptional(whole),
  cpuQuota: v.exactOptional(whole),
  cpusetCpus: v.exactOptional(v.string()),
  cpusetMems: v.exactOptional(v.string()),
  cgroupParent: v.exactOptional(v.string()),
  pids: v.exactOptional(whole),
  blkioWeight: v.exactOptional(whole),
});

export const settingsSchema = v.object({
  isPrivileged: flag,
  capAdd: some,
  capDrop: some,
  /** `no-new-privileges`, `seccomp=...` with the text of the profile. */
  securityOptions: some,
  hasReadOnlyRoot: flag,
  devices: v.optional(v.array(v.object({ source: v.string(), target: v.string(), permissions: v.string() })), []),
  /** null: nothing was said. */
  hasInit: v.optional(v.nullable(v.boolean()), null),
  sysctls: v.optional(stringMap(), {}),
  oomScore: v.optional(whole, 0),
  /** '' and `private`: its own; `host`. */
  ipc: v.optional(v.string(), ''),
  uts: v.optional(v.string(), ''),
  cgroupns: v.optional(v.string(), ''),
  userns: v.optional(v.string(), ''),
  groups: some,
  /** `name:address` */
  extraHosts: some,
  dns: v.optional(v.object({ servers: some, search: some, options: some }), { servers: [], search: [], options: [] }),
  /** Bytes; null: 64 MiB. */
  shmSize: v.optional(v.nullable(whole), null),
  limits: v.optional(limits, {}),
  /** Units of 10^-9 processors, where that is how the quota was asked for. */
  nanoCpus: v.optional(whole, 0),
  ulimits: v.optional(v.array(v.object({ name: v.string(), soft: whole, hard: whole })), []),
  annotations: v.optional(stringMap(), {}),
  /** As typed: of -v, of --tmpfs by target, of --volumes-from. */
  binds: some,
  tmpfs: v.optional(stringMap(), {}),
  volumesFrom: some,
  /** The health check of the image does not count. */
  lacksHealthcheck: flag,
});

export type ContainerSettings = Readonly<v.InferOutput<typeof settingsSchema>>;

const target = v.string();
export const mountSchema = v.variant('kind', [
  v.object({
    kind: v.literal('bind'),
    source: v.string(),
    target,
    readOnly: v.boolean(),
    /** As typed behind the second colon, for `inspect`. */
    mode: v.string(),
    makesSource: v.boolean(),
    isRecursive: v.boolean(),
    isShallow: v.boolean(),
  }),
  v.object({
    kind: v.literal('volume'),
    name: v.string(),
    target,
    readOnly: v.boolean(),
    mode: v.string(),
    /** While it is empty, it gets what the image has there. */
    fills: v.boolean(),
    /** Nobody named it: it goes with the container where that is removed with its volumes. */
    isAnonymous: v.boolean(),
    subpath: v.exactOptional(v.string()),
  }),
  v.object({
    kind: v.literal('image'),
    /** As typed. */
    source: v.string(),
    /** What that was when the container was made. */
    imageId: v.string(),
    target,
    readOnly: v.literal(true),
    mode: v.literal(''),
    subpath: v.exactOptional(v.string()),
  }),
  v.object({
    kind: v.literal('tmpfs'),
    target,
    readOnly: v.boolean(),
    size: v.nullable(v.union([whole, v.string()])),
    permissions: whole,
    noExecute: v.boolean(),
    allowsSetuid: v.boolean(),
    more: words,
  }),
]);

export type SpecMount = Readonly<v.InferOutput<typeof mountSchema>>;
