/** A process as BuildKit's ExecOp. */
import type { Json } from '#ground/base/canonical-json.ts';
import { unreachable } from '#ground/base/errors.ts';
import type { ExecOp, Mount } from '#formats/graph/op.ts';

/** pb.MountType */
const mountTypes = { secret: 1, ssh: 2, cache: 3, tmpfs: 4 } as const;
/** pb.CacheSharingOpt, pb.NetMode, pb.SecurityMode; 0 is not written. */
const sharings = { shared: undefined, private: 1, locked: 2 } as const;
const networks = { default: undefined, host: 1, none: 2 } as const;
const securities = { sandbox: undefined, insecure: 1 } as const;

/** Values of proxies, which count for nothing and may hold passwords, are not in it. */
export function execJson(op: ExecOp): Json {
  const secretenv = op.mounts.flatMap((mount) =>
    mount.kind === 'secret' && mount.variable !== null
      ? [{ ID: mount.id, name: mount.variable, ...(mount.required ? {} : { optional: true }) }]
      : [],
  );
  return {
    meta: {
      args: op.arguments,
      env: op.environment,
      cwd: op.workingDirectory,
      user: op.user || undefined,
      hostname: op.hostname || undefined,
      extraHosts: op.extraHosts.length === 0 ? undefined : op.extraHosts.map(hostJson),
      ulimit: op.ulimits?.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
      cgroupParent: op.cgroupParent,
      removeMountStubsRecursive: true,
    },
    mounts: [
      { ...inputJson(op.root), dest: '/' },
      ...op.mounts.flatMap((mount) => mountJson(mount)),
      ...(op.shmSize === null
        ? []
        : [{ input: -1, dest: '/dev/shm', output: -1, mountType: mountTypes.tmpfs, TmpfsOpt: { size: op.shmSize } }]),
    ],
    network: networks[op.network],
    security: securities[op.security],
    secretenv: secretenv.length === 0 ? undefined : secretenv,
  };
}

function hostJson(line: string): Json {
  const colon = line.indexOf(':');
  return { Host: line.slice(0, colon), IP: line.slice(colon + 1) };
}

/** Nothing stands for the first input. */
function inputJson(input: number | null): { readonly input?: number } {
  return input === 0 ? {} : { input: input ?? -1 };
}

function mountJson(mount: Mount): readonly Json[] {
  const readonly = 'readOnly' in mount && mount.readOnly ? { readonly: true } : {};
  switch (mount.kind) {
    case 'bind':
      return [{ ...inputJson(mount.input), ...selector(mount.source), dest: mount.target, output: -1, ...readonly }];
    case 'cache':
      return [
        {
          ...inputJson(mount.input),
          ...selector(mount.source),
          dest: mount.target,
          output: -1,
          ...readonly,
          mountType: mountTypes.cache,
          cacheOpt: { ID: mount.id, sharing: sharings[mount.sharing] },
        },
      ];
    case 'tmpfs':
      return [
        {
          input: -1,
          dest: mount.target,
          output: -1,
          ...readonly,
          mountType: mountTypes.tmpfs,
          TmpfsOpt: { size: mount.size ?? undefined },
        },
      ];
    case 'secret':
      return mount.target === null
        ? []
        : [{ input: -1, dest: mount.target, output: -1, mountType: mountTypes.secret, secretOpt: lentJson(mount) }];
    case 'ssh':
      return [{ input: -1, dest: mount.target, output: -1, mountType: mountTypes.ssh, SSHOpt: lentJson(mount) }];
    default:
      return unreachable(mount, 'mount');
  }
}

function selector(source: string): { readonly selector?: string } {
  return source === '' || source === '/' ? {} : { selector: source };
}

function lentJson({ id, uid, gid, mode, required }: Extract<Mount, { readonly kind: 'secret' | 'ssh' }>): Json {
  return { ID: id, uid: uid || undefined, gid: gid || undefined, mode, optional: required ? undefined : true };
}
