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
    if (format === '') around.streams.stdout.write(describe(info, isDebug));
    else {
      const fields = fieldsOf(info, isDebug);
      around.streams.stdout.write(`${format === 'json' ? goJson(fields) : compileTemplate(unescapeFormat(format))(fields)}\n`);
    }
    return 0;
  },
});

/** The members of docker's document that mean something here, and some of our own at the end. */
function fieldsOf(info: SystemInfo, isDebug: boolean): Json {
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
    IPv4Forwarding: info.forwards,
    Debug: isDebug,
    SystemTime: new Date(info.now).toISOString(),
    LoggingDriver: 'json-file',
    CgroupDriver: 'cgroupfs',
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
    Swarm: { NodeID: '', NodeAddr: '', LocalNodeState: 'inactive', ControlAvailable: false, Error: '' },
    LiveRestoreEnabled: false,
    SecurityOptions: securityOptions(info),
    Warnings: null,
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

function securityOptions({ rootless }: SystemInfo): readonly string[] {
  return ['name=seccomp,profile=builtin', ...(rootless ? ['name=rootless'] : [])];
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
    ' Cgroup Driver: cgroupfs',
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
