/** What a worker is asked to hold a container with: what its spec says of rights, limits and mounts. */
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import type { ContainerSettings, SpecMount } from '#execution/container/settings.ts';
import type { ContainerSpec } from '#execution/container/spec.ts';
import type { ContainerNetwork } from '#execution/network/container-network.ts';
import type { ContainerHold, ContainerMount, ContainerRequest } from '#execution/worker/contract.ts';
import { readLocalOptions } from '#stores/volume/local-options.ts';
import type { ImageTrees } from './mounted-trees.ts';
import type { Engine } from './open.ts';
import { readSecurityOptions } from './security-options.ts';
import { readTmpfsOptions } from './tmpfs-options.ts';

/** Volumes that it names are there, or are made again. Throws `engine/bad-security-option`, `volume/bad-options`. */
export function confineContainer(
  engine: Engine,
  spec: ContainerSpec,
  { network, trees }: { readonly network: Pick<ContainerNetwork, 'gateway' | 'worker'>; readonly trees: ImageTrees },
): Pick<ContainerRequest, 'mounts' | 'held'> {
  const devices = spec.settings.devices.map(({ source, target }): ContainerMount => ({ kind: 'device', source, target }));
  return {
    mounts: [...mountsOf(engine, spec, trees), ...(spec.settings.isPrivileged ? [] : devices)],
    held: holdOf(spec, network, hostsOf(engine, spec)),
  };
}

/** Without its devices. Volumes are made again where they are gone. */
export function mountsOf(engine: Engine, { mounts }: Pick<ContainerSpec, 'mounts'>, trees: ImageTrees): readonly ContainerMount[] {
  return mounts.map((mount) => mountOf(engine, mount, trees));
}

function mountOf(engine: Engine, mount: SpecMount, trees: ImageTrees): ContainerMount {
  switch (mount.kind) {
    case 'bind': {
      const { mode: _, ...bind } = mount;
      return bind;
    }
    case 'tmpfs': {
      const { permissions, ...tmpfs } = mount;
      return { ...tmpfs, mode: permissions };
    }
    case 'volume':
      return volumeOf(engine, mount);
    case 'image': {
      const { target, subpath } = mount;
      return { kind: 'image', snapshot: trees.get(mount.imageId), target, ...(subpath === undefined ? {} : { subpath }) };
    }
    default:
      return unreachable(mount, 'mount');
  }
}

function volumeOf(engine: Engine, mount: Extract<SpecMount, { kind: 'volume' }>): ContainerMount {
  const { name, target, readOnly, fills, subpath } = mount;
  const volume = engine.volumes.find(name) ?? engine.volumes.create({ name, labels: {}, options: {}, created: engine.now() });
  const local = readLocalOptions(name, volume.options);
  switch (local.kind) {
    case 'folder': {
      const folder = engine.volumes.folderOf(name);
      return { kind: 'volume', folder, target, readOnly, fills, ...(subpath === undefined ? {} : { subpath }) };
    }
    case 'bind': {
      const source = subpath === undefined ? local.source : refuseSubpath(name);
      return {
        kind: 'bind',
        source,
        target,
        readOnly: readOnly || local.readOnly,
        makesSource: false,
        isRecursive: true,
        isShallow: false,
      };
    }
    case 'tmpfs': {
      if (subpath !== undefined) refuseSubpath(name);
      const { permissions, ...options } = readTmpfsOptions(local.options);
      return { kind: 'tmpfs', target, ...options, mode: permissions, readOnly: readOnly || options.readOnly };
    }
    default:
      return unreachable(local, 'volume');
  }
}

function refuseSubpath(name: string): never {
  throw new JettisonError('engine/no-subpath', `Cannot mount a folder of the volume "${name}": it has options of its own`, {
    hint: 'Leave "volume-subpath" out',
  });
}

/** With another's network come the names that it was given. */
function hostsOf(engine: Engine, { settings, network: { place } }: ContainerSpec): readonly string[] {
  const other = place.kind === 'container' ? engine.containers.find(place.container) : undefined;
  return [...(other?.spec.settings.extraHosts ?? []), ...settings.extraHosts];
}

function holdOf(
  { settings, domainname, network: wish }: ContainerSpec,
  network: Pick<ContainerNetwork, 'gateway' | 'worker'>,
  extraHosts: readonly string[],
): ContainerHold {
  const { limits, ulimits, shmSize, dns } = settings;
  return {
    isPrivileged: settings.isPrivileged,
    confinement: confinementOf(settings, domainname),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
    ulimits,
    ...(shmSize === null ? {} : { shmSize }),
    extraHosts: extraHosts.map((line) => line.replace(/:host-gateway$/u, `:${network.gateway ?? '127.0.0.1'}`)),
    ownsNetwork: network.worker.kind !== 'as-is' && wish.place.kind !== 'container',
    ...(dns.servers.length + dns.search.length + dns.options.length === 0 ? {} : { dns }),
    groups: settings.groups,
  };
}

type Confinement = NonNullable<ContainerHold['confinement']>;

function confinementOf(settings: ContainerSettings, domainname: string): Confinement {
  const { capAdd, capDrop, oomScore } = settings;
  const shares = (['ipc', 'uts', 'cgroup'] as const).filter((name) => settings[name === 'cgroup' ? 'cgroupns' : name] === 'host');
  const { sysctls } = settings;
  return {
    ...(capAdd.length + capDrop.length === 0 ? {} : { capabilities: { add: capAdd, drop: capDrop } }),
    ...readSecurityOptions(settings.securityOptions),
    ...(settings.hasReadOnlyRoot ? { hasReadOnlyRoot: true } : {}),
    ...(settings.isPrivileged ? { hasHostDevices: true } : {}),
    ...(Object.keys(sysctls).length === 0 ? {} : { sysctls }),
    ...(domainname === '' ? {} : { domainname }),
    ...(oomScore === 0 ? {} : { oomScore }),
    ...(shares.length === 0 ? {} : { shares }),
    ...(settings.ipc === 'none' ? { lacksShm: true } : {}),
    ...(settings.hasInit === true ? { hasInit: true } : {}),
  };
}
