/** One process over a mounted root: what a RUN and a container have in common. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toText } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { ownRights } from '#ground/linux/own-rights.ts';
import type {
  Confinement,
  ExitStatus,
  ProcessMount,
  ProcessRequest,
  ProcessStreams,
  ResourceLimits,
  Runtime,
  Ulimit,
} from '#execution/runtime/contract.ts';
import { changeResolvConf, nameFiles, type DnsSettings } from '#execution/runtime/dns.ts';
import { initProgram } from '#execution/runtime/init-program.ts';
import { openRootTree, prepareRoot, type MountPoint, type RootTree } from '#execution/runtime/root.ts';
import { initPlace } from '#execution/runtime/spec.ts';
import { accountFileLimit, resolveUser, withGroups, type AccountFiles, type ResolvedUser } from '#execution/runtime/user.ts';

export type RootProcess = {
  readonly id: string;
  /** Where the root is mounted, writable. */
  readonly rootfs: string;
  readonly arguments: readonly string[];
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  /** As written after USER. */
  readonly user: string;
  readonly security: 'sandbox' | 'insecure';
  readonly network: 'host' | 'none';
  /** '' for our default. */
  readonly hostname: string;
  readonly extraHosts: readonly string[];
  /** A container with /etc/hosts and its like of its own to write to; else a build step. */
  readonly ownNames: boolean;
  readonly terminal: boolean;
  readonly stopSignal: string;
  readonly shmSize: number | null;
  readonly mounts: readonly RootMount[];
  readonly ulimits?: readonly Ulimit[];
  readonly limits?: ResourceLimits | undefined;
  /** When it fails, its status says what it had started. */
  readonly accounts?: 'failed' | 'always';
  /** Told when the process runs. */
  readonly onStart?: ProcessRequest['onStart'];
  readonly terminalSize?: ProcessRequest['terminalSize'];
  /** Of a container. */
  readonly confinement?: Confinement;
  /** Groups of the image, by name or number, beside those of the user. */
  readonly groups?: readonly string[];
  readonly dns?: DnsSettings;
  readonly naming?: Naming;
};

/** `addresses`: by which others reach the container; without any it is known to itself as 127.0.0.1. `resolvConf`: its whole text, whatever `dns` says; undefined: the machine's. */
export type Naming = { readonly addresses: readonly string[]; readonly resolvConf: string | undefined };

export type RootMount = { readonly mount: ProcessMount; readonly point: MountPoint['kind'] };

export type RootResult = {
  readonly status: ExitStatus;
  /** To be called with the upper folder once the root is unmounted: see `PreparedRoot.tidy`. */
  readonly tidy: (upper: string) => void;
};

/** Where no PATH is set. */
export const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const defaultHostname = 'jettison';

/** Prepares the root, runs, cleans the root. Throws what the parts throw. */
export async function runInRoot(process: RootProcess, runtime: Runtime, streams: ProcessStreams, signal: AbortSignal): Promise<RootResult> {
  using tree = openRootTree(process.rootfs);
  const points = [
    ...(process.ownNames ? [{ target: '/etc/hostname', kind: 'file' } as const] : []),
    ...(process.confinement?.hasInit === true ? [{ target: initPlace, kind: 'file' } as const] : []),
    ...process.mounts.map(({ mount, point }) => ({ target: mount.target, kind: point })),
  ];
  const prepared = prepareRoot(tree, points, process.workingDirectory);
  if (runtime.bindsBy === 'moving') prepared.noteMoves();
  const user = findUser(tree, process);
  const apt = ownRights().hasOneId && tree.resolve('/usr/bin/apt-get').entry !== undefined;
  const file = process.accounts === undefined ? undefined : fileOf(tree, process.arguments[0] ?? '');
  const hostname = process.hostname === '' ? defaultHostname : process.hostname;
  const request = {
    id: process.id,
    rootfs: process.rootfs,
    arguments: process.arguments,
    environment: withDefaults(process.environment, [defaultPath, `HOME=${user.home}`, ...(apt ? [`APT_CONFIG=${aptConfig}`] : [])]),
    workingDirectory: process.workingDirectory,
    user,
    security: process.security,
    network: process.network,
    hostname,
    terminal: process.terminal,
    stopSignal: process.stopSignal,
    shmSize: process.shmSize,
    ulimits: process.ulimits ?? [],
    ...(process.limits === undefined ? {} : { limits: process.limits }),
    ...(process.accounts === undefined ? {} : { accounts: process.accounts }),
    ...(process.onStart === undefined ? {} : { onStart: process.onStart }),
    ...(process.terminalSize === undefined ? {} : { terminalSize: process.terminalSize }),
    ...(process.confinement === undefined ? {} : { confinement: process.confinement }),
    mounts: [
      ...(process.confinement?.hasInit === true ? [initMount(runtime.scratch, prepared.resolved(initPlace))] : []),
      ...process.mounts.map(({ mount }) => ({ ...mount, target: prepared.resolved(mount.target) })),
      ...(apt ? [aptMount(runtime.scratch)] : []),
    ],
    names: {
      ...nameFiles({
        hostname,
        addresses: process.naming?.addresses ?? [],
        extraHosts: process.extraHosts,
        hostResolvConf: resolvConfFor(process),
        isStep: !process.ownNames,
      }),
      ...(process.confinement?.hasReadOnlyRoot === true ? { readOnly: true } : {}),
    },
  };
  try {
    const status = await runtime.run(request, streams, signal);
    const { ended } = status;
    const told = ended === undefined || file === undefined ? status : { ...status, ended: { ...ended, file } };
    return { status: told, tidy: (upper) => prepared.tidy(upper) };
  } finally {
    prepared.clean();
  }
}

/** The name of a program's file, its links followed; undefined for one that is looked for in PATH. */
function fileOf(tree: RootTree, program: string): string | undefined {
  if (!program.startsWith('/')) return undefined;
  const path = toText(tree.resolve(program).path);
  return path.slice(path.lastIndexOf('/') + 1);
}

/** apt downloads as a user of its own, and gives up where it cannot become that one; its configuration can tell it not to. */
const aptConfig = '/dev/jettison-apt.conf';

function aptMount(scratch: string): ProcessMount {
  const source = join(scratch, 'apt.conf');
  writeFileSync(source, 'APT::Sandbox::User "root";\n', { mode: 0o644 });
  return { kind: 'bind', source, target: aptConfig, readOnly: true };
}

function initMount(scratch: string, target: string): ProcessMount {
  const source = join(scratch, 'init');
  writeFileSync(source, initProgram(process.arch), { mode: 0o755 });
  return { kind: 'bind', source, target, readOnly: true };
}

/** Throws `ops/unmapped-user` for a user or group that the namespace does not have. */
function findUser(tree: RootTree, { user: spec, groups = [] }: Pick<RootProcess, 'user' | 'groups'>): ResolvedUser {
  const files = accountsOf(tree);
  const user = withGroups(resolveUser(spec, files), groups, files);
  const { hasOneId, ends } = ownRights();
  if (hasOneId && (user.uid !== 0 || user.gid !== 0)) {
    throw new JettisonError(
      'ops/unmapped-user',
      `Cannot run as user "${spec}" (${user.uid}:${user.gid}): isolation "rootless-single" has one id, which is root here`,
      {
        fault: 'environment',
        hint: 'Give the user that builds more ids: let root run "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME"; then name another store in JETTISON_STORE, or remove this one',
      },
    );
  }
  if (user.uid >= ends.users) throw beyondIds({ spec, user }, 'user', ends.users - 1);
  const gids = hasOneId ? [user.gid] : [user.gid, ...user.additionalGids];
  if (gids.some((gid) => gid >= ends.groups)) throw beyondIds({ spec, user }, 'group', ends.groups - 1);
  return user;
}

function beyondIds(who: { readonly spec: string; readonly user: ResolvedUser }, kind: 'user' | 'group', last: number): JettisonError {
  const { uid, gid } = who.user;
  return new JettisonError('ops/unmapped-user', `Cannot run as user "${who.spec}" (${uid}:${gid}): ${kind} ids end at ${last} here`, {
    fault: 'environment',
    hint: 'Take a smaller one, or have root give the user that builds more ids: in /etc/subuid and /etc/subgid',
  });
}

function accountsOf(tree: RootTree): AccountFiles {
  return { passwd: tree.readText('etc/passwd', accountFileLimit), group: tree.readText('etc/group', accountFileLimit) };
}

/** Variables that are not set yet are added. */
export function withDefaults(environment: readonly string[], defaults: readonly string[]): readonly string[] {
  const isSet = (variable: string): boolean => environment.some((set) => set.startsWith(variable.slice(0, variable.indexOf('=') + 1)));
  return [...environment, ...defaults.filter((variable) => !isSet(variable))];
}

function resolvConfFor({ dns, naming }: Pick<RootProcess, 'dns' | 'naming'>): string {
  if (naming?.resolvConf !== undefined) return naming.resolvConf;
  const host = hostResolvConf();
  return dns === undefined ? host : changeResolvConf(host, dns);
}

function hostResolvConf(): string {
  try {
    return readFileSync('/etc/resolv.conf', 'utf8');
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    return '';
  }
}
