/** The parts of config.json that jettison writes: OCI runtime spec 1.0.2, config.md and config-linux.md. */
export type RuntimeSpec = {
  readonly ociVersion: string;
  readonly process: RuntimeProcess;
  readonly root: { readonly path: string; readonly readonly: boolean };
  /** Not where the UTS namespace is shared. */
  readonly hostname?: string;
  /** Of version 1.1: old runtimes do not know it. */
  readonly domainname?: string;
  readonly mounts: readonly RuntimeMount[];
  readonly linux: RuntimeLinux;
  readonly hooks?: { readonly createContainer: readonly { readonly path: string; readonly args: readonly string[] }[] };
  readonly annotations?: Readonly<Record<string, string>>;
};

export type RuntimeProcess = {
  readonly terminal: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: Readonly<Record<'bounding' | 'effective' | 'permitted', readonly string[]>> &
    Readonly<Partial<Record<'inheritable' | 'ambient', readonly string[]>>>;
  readonly noNewPrivileges: boolean;
  readonly oomScoreAdj?: number;
  readonly rlimits?: readonly { readonly type: string; readonly soft: bigint; readonly hard: bigint }[];
};

export type RuntimeMount = {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
};

export type RuntimeDevice = {
  readonly path: string;
  readonly type: 'b' | 'c';
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  readonly uid?: number;
  readonly gid?: number;
};

export type RuntimeLinux = {
  readonly namespaces: readonly { readonly type: 'pid' | 'network' | 'ipc' | 'uts' | 'mount' | 'cgroup' }[];
  readonly seccomp?: SeccompProfile;
  readonly devices?: readonly RuntimeDevice[];
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
};

export type SeccompProfile = {
  readonly defaultAction: SeccompAction;
  readonly defaultErrnoRet?: number;
  readonly flags?: readonly string[];
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
};

export type SeccompAction = (typeof seccompActions)[number];

export const seccompActions = [
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_KILL',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_KILL_THREAD',
  'SCMP_ACT_TRAP',
  'SCMP_ACT_TRACE',
  'SCMP_ACT_LOG',
] as const;

export type SeccompRule = {
  readonly names: readonly string[];
  readonly action: SeccompAction;
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArgument[];
};

export type SeccompArgument = {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: SeccompComparison;
};

export type SeccompComparison = (typeof seccompComparisons)[number];

export const seccompComparisons = [
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_EQ',
  'SCMP_CMP_GE',
  'SCMP_CMP_GT',
  'SCMP_CMP_MASKED_EQ',
] as const;
