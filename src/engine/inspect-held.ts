/** What a container is held with, in the shape of docker's answer to inspect: `HostConfig`, as far as it is about rights, limits and mounts, and `Mounts`. */
import { join } from 'node:path';
import type { Json } from '#ground/base/canonical-json.ts';
import type { ContainerSettings, SpecMount } from '#execution/container/settings.ts';
import type { ContainerSpec } from '#execution/container/spec.ts';

/** `store`: folder of the store. Memory has no place there: `HostConfig.Tmpfs` names it. */
export function inspectMounts({ mounts }: ContainerSpec, store: string): readonly Json[] {
  return mounts.flatMap((mount) => (mount.kind === 'tmpfs' ? [] : [inspectMount(mount, store)]));
}

function inspectMount(mount: Exclude<SpecMount, { kind: 'tmpfs' }>, store: string): Json {
  const { target, mode, readOnly } = mount;
  const rest = { Destination: target, Mode: mode, RW: !readOnly };
  if (mount.kind === 'bind') return { Type: 'bind', Source: mount.source, ...rest, Propagation: 'rprivate' };
  if (mount.kind === 'image') return { Type: 'image', Name: mount.source, Source: mount.imageId, ...rest, Propagation: '' };
  const source = join(store, 'volumes', mount.name, '_data');
  // Docker's word for a volume that somebody named and said nothing more of.
  const said = mode === '' && !mount.isAnonymous ? 'z' : mode;
  return { Type: 'volume', Name: mount.name, Source: source, Driver: 'local', ...rest, Mode: said, Propagation: '' };
}

/** Without networks, restarts and logs, which others know. */
export function inspectHold({ settings }: ContainerSpec): Readonly<Record<string, Json>> {
  return { ...notHere, ...inspectRights(settings), ...inspectLimits(settings), ...inspectNames(settings) };
}

/** What docker's document has and nobody can ask for here: with what it says where nobody has. Templates may name it. */
const notHere: Readonly<Record<string, Json>> = {
  BlkioDeviceReadBps: [],
  BlkioDeviceReadIOps: [],
  BlkioDeviceWriteBps: [],
  BlkioDeviceWriteIOps: [],
  BlkioWeightDevice: [],
  Cgroup: '',
  ConsoleSize: [0, 0],
  CpuCount: 0,
  CpuPercent: 0,
  CpuRealtimePeriod: 0,
  CpuRealtimeRuntime: 0,
  DeviceCgroupRules: null,
  DeviceRequests: null,
  IOMaximumBandwidth: 0,
  IOMaximumIOps: 0,
  Isolation: '',
  Links: null,
  Mounts: null,
  OomKillDisable: false,
  Runtime: '',
  VolumeDriver: '',
};

function inspectRights(settings: ContainerSettings): Readonly<Record<string, Json>> {
  return {
    Annotations: settings.annotations,
    Binds: orNull(settings.binds),
    CapAdd: orNull(settings.capAdd),
    CapDrop: orNull(settings.capDrop),
    CgroupnsMode: settings.cgroupns || 'private',
    Devices: settings.devices.map(({ source, target, permissions }) => ({
      PathOnHost: source,
      PathInContainer: target,
      CgroupPermissions: permissions,
    })),
    ...(settings.hasInit === null ? {} : { Init: settings.hasInit }),
    IpcMode: settings.ipc || 'private',
    PidMode: '',
    Privileged: settings.isPrivileged,
    ReadonlyRootfs: settings.hasReadOnlyRoot,
    SecurityOpt: orNull(settings.securityOptions),
    Sysctls: settings.sysctls,
    Tmpfs: settings.tmpfs,
    UTSMode: settings.uts,
    UsernsMode: settings.userns,
    VolumesFrom: orNull(settings.volumesFrom),
  };
}

function inspectLimits({ limits, nanoCpus, ulimits, oomScore, shmSize }: ContainerSettings): Readonly<Record<string, Json>> {
  // What --cpus makes of the period and the quota is not what was asked for.
  const isNano = nanoCpus > 0;
  return {
    BlkioWeight: limits.blkioWeight ?? 0,
    CgroupParent: limits.cgroupParent ?? '',
    CpuPeriod: isNano ? 0 : (limits.cpuPeriod ?? 0),
    CpuQuota: isNano ? 0 : (limits.cpuQuota ?? 0),
    CpuShares: limits.cpuShares ?? 0,
    CpusetCpus: limits.cpusetCpus ?? '',
    CpusetMems: limits.cpusetMems ?? '',
    Memory: limits.memory ?? 0,
    MemoryReservation: limits.memoryReservation ?? 0,
    MemorySwap: limits.memorySwap ?? (limits.memory ?? 0) * 2,
    MemorySwappiness: limits.memorySwappiness ?? null,
    NanoCpus: nanoCpus,
    OomScoreAdj: oomScore,
    PidsLimit: limits.pids ?? null,
    ShmSize: shmSize ?? standardShm,
    Ulimits: ulimits.map(({ name, soft, hard }) => ({ Name: name, Hard: hard, Soft: soft })),
  };
}

const standardShm = 64 * 1024 * 1024;

function inspectNames({ dns, extraHosts, groups }: ContainerSettings): Readonly<Record<string, Json>> {
  return {
    Dns: dns.servers,
    DnsOptions: dns.options,
    DnsSearch: dns.search,
    ExtraHosts: orNull(extraHosts),
    GroupAdd: orNull(groups),
  };
}

function orNull(words: readonly string[]): Json {
  return words.length === 0 ? null : words;
}
