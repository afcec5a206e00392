import { systemInfo } from '#engine/info.ts';
import type { SystemInfo } from '#engine/info-requests.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { formatMemory } from '#ground/base/human.ts';
import { defineCommand } from '../command.ts';
import { engineFor } from '../engine.ts';
import { text } from '../option.ts';
import { goJson } from '#ground/base/go-json.ts';
import { compileTemplate, unescapeFormat } from '../output/template.ts';

export const infoCommand = defineCommand({
  name: 'info',
  summary: 'Show what this machine and its image store offer',
  usage: '[OPTIONS]',
  options: { format: text('format', { short: 'f', help: '"json" or a Go template' }) },
  arguments: [0, 0],
  async run({ options: { format = '' } }, around) {
    await using engine = await engineFor(around);
    const info = systemInfo(engine);
    const isDebug = around.logLevel === 'debug';
    if (format === '') {
      around.streams.stdout.write(describe(info, isDebug));
      for (const warning of warningsOf(info)) around.streams.stderr.write(`${warning}\n`);
    } else {
      const fields = fieldsOf(info, isDebug);
      around.streams.stdout.write(`${format === 'json' ? goJson(fields) : compileTemplate(unescapeFormat(format))(fields)}\n`);
    }
    return 0;
  },
});

/**
 * The members of docker's document that mean something here, and some of our own at the end. Left out is what only a daemon has (NFd, NGoroutines, NEventsListener, InitBinary, Containerd)
 * or what programs would have to be asked for (ContainerdCommit, RuncCommit, InitCommit).
 */
function fieldsOf(info: SystemInfo, isDebug: boolean): Json {
  const warnings = warningsOf(info);
  return {
    ID: info.hostname,
    Containers: info.containers,
    ContainersRunning: info.running,
    ContainersPaused: info.paused,
    ContainersStopped: stopped(info),
    Images: info.images,
    Driver: 'overlay',
    DriverStatus: [],
    Plugins: { Volume: ['local'], Network: ['bridge', 'host', 'none'], Authorization: null, Log: ['json-file', 'local', 'none'] },
    ...limitFields(info),
    IPv4Forwarding: info.forwards,
    Debug: isDebug,
    OomKillDisable: false,
    SystemTime: new Date(info.now).toISOString(),
    LoggingDriver: 'json-file',
    CgroupDriver: cgroupDriver(info),
    CgroupVersion: info.cgroupVersion,
    KernelVersion: info.kernel,
    OperatingSystem: info.system,
    OSVersion: '',
    OSType: 'linux',
    Architecture: info.machine,
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryFields(info),
    NCPU: info.cpus,
    MemTotal: info.memory,
    GenericResources: null,
    DockerRootDir: info.store,
    HttpProxy: info.proxies.http,
    HttpsProxy: info.proxies.https,
    NoProxy: info.proxies.none,
    Name: info.hostname,
    Labels: [],
    ExperimentalBuild: false,
    ServerVersion: info.version,
    Runtimes: Object.fromEntries(info.runtimes.map(({ name, path }) => [name, { path }])),
    DefaultRuntime: info.runtimes[0]?.name ?? '',
    Swarm: { NodeID: '', NodeAddr: '', LocalNodeState: 'inactive', ControlAvailable: false, Error: '', RemoteManagers: null },
    LiveRestoreEnabled: false,
    SecurityOptions: securityOptions(info),
    CDISpecDirs: [],
    Warnings: warnings.length === 0 ? null : [...warnings],
    ClientInfo: {
      Debug: isDebug,
      Version: info.version,
      DefaultAPIVersion: '',
      GitCommit: '',
      GoVersion: '',
      Os: 'linux',
      Arch: info.architecture,
      BuildTime: '',
      Context: 'default',
      Plugins: [],
      Warnings: null,
    },
    Platforms: [...info.platforms],
    Rootless: info.rootless,
    Isolation: info.isolation,
  };
}

function limitFields({ limits }: SystemInfo): Readonly<Record<string, boolean>> {
  return {
    MemoryLimit: limits.memory,
    SwapLimit: limits.swap,
    KernelMemoryTCP: false,
    CpuCfsPeriod: limits.cpuPeriod,
    CpuCfsQuota: limits.cpuQuota,
    CPUShares: limits.cpuShares,
    CPUSet: limits.cpuset,
    PidsLimit: limits.pids,
  };
}

/** Docker's words for what containers cannot be limited by. `--oom-kill-disable` is refused everywhere, and nothing that this machine lacks. */
function warningsOf({ limits, forwards }: SystemInfo): readonly string[] {
  const lacks: readonly (readonly [isThere: boolean, what: string])[] = [
    [limits.memory, 'No memory limit support'],
    [limits.swap, 'No swap limit support'],
    [limits.cpuQuota, 'No cpu cfs quota support'],
    [limits.cpuPeriod, 'No cpu cfs period support'],
    [limits.cpuShares, 'No cpu shares support'],
    [limits.cpuset, 'No cpuset support'],
    [forwards, 'IPv4 forwarding is disabled'],
  ];
  return lacks.flatMap(([isThere, what]) => (isThere ? [] : [`WARNING: ${what}`]));
}

/** By what cgroups are made: `none` where none can be. */
function cgroupDriver({ limits }: SystemInfo): string {
  return Object.values(limits).some(Boolean) ? 'cgroupfs' : 'none';
}

/** Hosts of loopback may be spoken to without TLS; others where the configuration says so. */
function registryFields({ registries }: SystemInfo): Json {
  const hub: SystemInfo['registries'][number] = { host: 'docker.io', mirrors: [], secure: true };
  const hosts = new Map([hub, ...registries].map((one) => [one.host, one]));
  const configs = [...hosts.values()].map(({ host, mirrors, secure }): [string, Json] => [
    host,
    { Mirrors: [...mirrors], Name: host, Official: host === hub.host, Secure: secure },
  ]);
  const mirrors = hosts.get(hub.host)?.mirrors ?? [];
  return {
    IndexConfigs: Object.fromEntries(configs),
    InsecureRegistryCIDRs: ['::1/128', '127.0.0.0/8'],
    Mirrors: mirrors.length === 0 ? null : [...mirrors],
  };
}

/** Without namespaces a step has the filter of what jettison itself runs in. */
function securityOptions({ rootless, isolation }: SystemInfo): readonly string[] {
  return [...(isolation === 'chroot' ? [] : ['name=seccomp,profile=builtin']), ...(rootless ? ['name=rootless'] : [])];
}

function stopped({ containers, running, paused }: SystemInfo): number {
  return containers - running - paused;
}

/** Lines as docker has them. */
function describe(info: SystemInfo, isDebug: boolean): string {
  return [
    'Client: jettison',
    ` Version:    ${info.version}`,
    ' Context:    default',
    ` Debug Mode: ${isDebug}`,
    '',
    'Server:',
    ` Containers: ${info.containers}`,
    `  Running: ${info.running}`,
    `  Paused: ${info.paused}`,
    `  Stopped: ${stopped(info)}`,
    ` Images: ${info.images}`,
    ` Server Version: ${info.version}`,
    ' Storage Driver: overlay',
    ' Logging Driver: json-file',
    ` Cgroup Driver: ${cgroupDriver(info)}`,
    ` Cgroup Version: ${info.cgroupVersion}`,
    ' Swarm: inactive',
    ` Runtimes: ${info.runtimes.map(({ name }) => name).join(' ') || 'none: install crun or runc'}`,
    ` Default Runtime: ${info.runtimes[0]?.name ?? ''}`,
    ` Isolation: ${info.isolation}`,
    ' Security Options:',
    ...securityOptions(info).map((option) => `  ${option.replace(/^name=/u, '').replace(',profile=builtin', '')}`),
    ` Kernel Version: ${info.kernel}`,
    ` Operating System: ${info.system}`,
    ' OSType: linux',
    ` Architecture: ${info.machine}`,
    ` Platforms: ${info.platforms.join(', ')}`,
    ` CPUs: ${info.cpus}`,
    ` Total Memory: ${formatMemory(info.memory)}`,
    ` Name: ${info.hostname}`,
    ` Docker Root Dir: ${info.store}`,
    ` Debug Mode: ${isDebug}`,
    ' Experimental: false',
    ' Live Restore Enabled: false',
    '',
  ].join('\n');
}
