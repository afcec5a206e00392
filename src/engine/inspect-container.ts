/** A container in docker's document: `GET /containers/(id)/json` of its API. */
import { join } from 'node:path';
import type { Json } from '#ground/base/canonical-json.ts';
import { openedPorts } from '#execution/container/spec.ts';
import type { Container, ContainerState } from '#execution/container/store.ts';
import { containerSizes, isUp } from './containers.ts';
import { inspectHealth, inspectHealthCheck } from './container-health.ts';
import { runningState } from './container-process.ts';
import { inspectHold, inspectMounts } from './inspect-held.ts';
import { inOrder, inspectNetworkSettings, inspectNetworkWish } from './inspect-network-settings.ts';
import type { Engine } from './open.ts';

const never = '0001-01-01T00:00:00Z';

/** `measures`: with what it wrote, for which all names of that are read. */
export async function inspectContainer(engine: Engine, container: Container, measures: boolean): Promise<Json> {
  const size = measures ? (await containerSizes(engine, [container])).get(container.id) : undefined;
  const { id, spec, name, created, restarts } = container;
  return {
    Id: id,
    Created: new Date(created).toISOString(),
    Path: spec.arguments[0] ?? '',
    Args: spec.arguments.slice(1),
    State: { ...stateOf(container.state, runningState(engine, container)?.process?.pid ?? 0), ...inspectHealth(engine, container) },
    Image: spec.imageId,
    ResolvConfPath: '',
    HostnamePath: '',
    HostsPath: '',
    LogPath: spec.logging.driver === 'json-file' ? join(engine.paths.store, 'containers', id, 'log.json') : '',
    Name: `/${name}`,
    RestartCount: restarts,
    Driver: 'overlayfs',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: null,
    HostConfig: hostConfigOf(container),
    GraphDriver: { Data: null, Name: 'overlayfs' },
    ...(size === undefined ? {} : { SizeRw: size.own, SizeRootFs: size.all }),
    Mounts: inspectMounts(spec, engine.paths.store),
    Config: configOf(container),
    NetworkSettings: await inspectNetworkSettings(engine, container),
  };
}

function stateOf(state: ContainerState, pid: number): Readonly<Record<string, Json>> {
  return {
    Status: state.kind,
    Running: isUp(state),
    Paused: state.kind === 'paused',
    Restarting: state.kind === 'restarting',
    OOMKilled: state.isOutOfMemory,
    Dead: state.kind === 'dead',
    Pid: pid,
    ExitCode: state.code,
    Error: state.error ?? '',
    StartedAt: timeOf(state.started),
    FinishedAt: timeOf(state.ended),
  };
}

function timeOf(time: number | undefined): string {
  return time === undefined ? never : new Date(time).toISOString();
}

function configOf({ spec }: Container): Json {
  const anonymous = spec.mounts.filter((mount) => mount.kind === 'volume' && mount.isAnonymous);
  const ports = openedPorts(spec);
  return {
    Hostname: spec.hostname,
    Domainname: spec.domainname,
    User: spec.user,
    AttachStdin: spec.attach.includes('stdin'),
    AttachStdout: spec.attach.includes('stdout'),
    AttachStderr: spec.attach.includes('stderr'),
    ...(ports.length === 0 ? {} : { ExposedPorts: Object.fromEntries(ports.map((port) => [port, {}])) }),
    Tty: spec.terminal,
    OpenStdin: spec.openStdin,
    StdinOnce: spec.stdinOnce,
    Env: [...spec.environment],
    Cmd: spec.command,
    Image: spec.image,
    Volumes: anonymous.length === 0 ? null : inOrder(Object.fromEntries(anonymous.map(({ target }) => [target, {}]))),
    WorkingDir: spec.workingDirectory,
    Entrypoint: spec.entrypoint,
    OnBuild: null,
    Labels: inOrder(spec.labels),
    ...inspectHealthCheck(spec),
    ...(spec.stopSignal === '' ? {} : { StopSignal: spec.stopSignal }),
    ...(spec.stopTimeout === null ? {} : { StopTimeout: spec.stopTimeout }),
  };
}

/** Docker's order of the members: moby's types/container/hostconfig.go. */
const hostMembers =
  'Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy AutoRemove VolumeDriver VolumesFrom ConsoleSize Annotations CapAdd CapDrop CgroupnsMode Dns DnsOptions DnsSearch ExtraHosts GroupAdd IpcMode Cgroup Links OomScoreAdj PidMode Privileged PublishAllPorts ReadonlyRootfs SecurityOpt StorageOpt Tmpfs UTSMode UsernsMode ShmSize Sysctls Runtime Isolation CpuShares Memory NanoCpus CgroupParent BlkioWeight BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpusetCpus CpusetMems Devices DeviceCgroupRules DeviceRequests MemoryReservation MemorySwap MemorySwappiness OomKillDisable PidsLimit Ulimits CpuCount CpuPercent IOMaximumIOps IOMaximumBandwidth Mounts Init MaskedPaths ReadonlyPaths'.split(
    ' ',
  );

function hostConfigOf(container: Container): Json {
  return Object.fromEntries(Object.entries(hostConfig(container)).toSorted(([one], [other]) => placeOf(one) - placeOf(other)));
}

function placeOf(member: string): number {
  return hostMembers.includes(member) ? hostMembers.indexOf(member) : hostMembers.length;
}

function hostConfig({ spec }: Container): Readonly<Record<string, Json>> {
  return {
    ContainerIDFile: '',
    LogConfig: { Type: spec.logging.driver, Config: inOrder(spec.logging.options) },
    ...inspectNetworkWish(spec),
    RestartPolicy: { Name: spec.restart.policy, MaximumRetryCount: spec.restart.maximum },
    AutoRemove: spec.autoRemove,
    ...inspectHold(spec),
  };
}
