/** What it takes to run one process over a root file system, whatever program does it. */
import type { ChildStreams } from '#ground/linux/child.ts';
import type { EndedProcesses } from '#ground/linux/process-accounts.ts';
import type { Usage } from './usage.ts';

export type { EndedProcesses };

/** Ids as the kernel takes them, 0 to 2^31 - 1. */
export type ProcessUser = { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };

/** Beside what every process gets (/proc, /dev, /sys, /dev/shm ...). Targets are absolute; those inside the image are resolved by `prepareRoot`. */
export type ProcessMount = BindMount | TmpfsMount;

export type BindMount = {
  readonly kind: 'bind';
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** With all that is mounted below the source; what is asked for holds there, too. */
  readonly isRecursive?: boolean;
  /** `readOnly` holds for the source alone, not for what is mounted below it. */
  readonly isShallow?: boolean;
  /** A device file: the only thing of a sandbox that is mounted so that it can be opened. */
  readonly isDevice?: boolean;
};

export type TmpfsMount = {
  readonly kind: 'tmpfs';
  readonly target: string;
  /** Bytes, or a part of the memory (`50%`); null without a limit. */
  readonly size: number | string | null;
  readonly mode: number;
  readonly readOnly?: boolean;
  readonly noExecute?: boolean;
  /** Files there may be setuid. */
  readonly allowsSetuid?: boolean;
  /** Further options of the file system, each of them checked: `uid=1000`, `nr_inodes=10k`. */
  readonly more?: readonly string[];
};

/** Texts of /etc/hosts, /etc/hostname and /etc/resolv.conf. They are mounted, so no layer ever has them; a null is not mounted: the image's own file is seen. */
export type NameFiles = {
  readonly hosts: string;
  readonly hostname: string | null;
  readonly resolvConf: string;
  readonly readOnly: boolean;
};

/** A resource limit of setrlimit(2) by Docker's name (`nofile`); -1: without a limit. */
export type Ulimit = { readonly name: string; readonly soft: number; readonly hard: number };

/** Limits of a cgroup around the process and what it starts, in Docker's units; what is left out is not limited. */
export type ResourceLimits = {
  /** Bytes. */
  readonly memory?: number;
  /** Bytes of memory and swap together; -1: without a limit; left out: twice `memory`. */
  readonly memorySwap?: number;
  /** 2 to 262144; all have 1024. */
  readonly cpuShares?: number;
  /** Microseconds. */
  readonly cpuPeriod?: number;
  /** Microseconds of each period. */
  readonly cpuQuota?: number;
  /** `0-3,5` */
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  /** The cgroup to stand in: a path, or a systemd slice. */
  readonly cgroupParent?: string;
  /** Bytes that are left to the process when memory is short. */
  readonly memoryReservation?: number;
  /** 0 to 100. */
  readonly memorySwappiness?: number;
  /** How many processes and threads there may be; -1: without a limit. */
  readonly pids?: number;
  /** 10 to 1000. */
  readonly blkioWeight?: number;
};

/** Capabilities beside Docker's, or without some of them: names like `CAP_CHOWN`, and `ALL`. */
export type CapabilityChange = { readonly add: readonly string[]; readonly drop: readonly string[] };

/** Namespaces that are the host's, where a container says so. */
export type SharedNamespace = 'ipc' | 'uts' | 'cgroup';

/** How a container is held otherwise than a step of a build; what is left out is as it is for a step. */
export type Confinement = {
  readonly capabilities?: CapabilityChange;
  readonly noNewPrivileges?: boolean;
  /** Text of a seccomp profile in Docker's form; null: every system call may be made. */
  readonly seccomp?: string | null;
  /** Nothing of /proc and /sys is hidden or read-only. */
  readonly opensSystemPaths?: boolean;
  /** Nothing can be written to the root, but to what is mounted in it. */
  readonly hasReadOnlyRoot?: boolean;
  /** With `security: 'insecure'`: it has all devices of the host. */
  readonly hasHostDevices?: boolean;
  /** Settings of the kernel that belong to a namespace of the process, by name (`net.ipv4.ip_forward`). */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Of NIS, in a UTS namespace of its own. */
  readonly domainname?: string;
  /** -1000 to 1000: who is killed first when memory runs out. */
  readonly oomScore?: number;
  readonly shares?: readonly SharedNamespace[];
  /** Nothing is mounted on /dev/shm. */
  readonly lacksShm?: boolean;
  /** The process is the child of a small first process that hands on signals and reaps whom others leave. */
  readonly hasInit?: boolean;
};

export type TerminalSize = { readonly rows: number; readonly columns: number };

export type ProcessRequest = {
  /** Names the run; unique among those of this machine at one time; letters, digits, `-` and `_`. */
  readonly id: string;
  /** Absolute path of a folder with the whole tree, writable. */
  readonly rootfs: string;
  readonly arguments: readonly string[];
  /** All that the process sees, `NAME=value`. */
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  readonly user: ProcessUser;
  /** `sandbox`: Docker's capabilities, seccomp profile, masked and read-only paths, no device but the usual ones. `insecure`: whatever this process may do itself. */
  readonly security: 'sandbox' | 'insecure';
  /** `none`: a network of its own with nothing but `lo`. */
  readonly network: 'host' | 'none';
  readonly hostname: string;
  /** A terminal of its own; only with inherited streams that are one. */
  readonly terminal: boolean;
  /** Of that terminal, at the beginning. */
  readonly terminalSize?: TerminalSize | undefined;
  /** What is sent first when the run is aborted: `SIGTERM` for most. */
  readonly stopSignal: string;
  /** Its status says what it had started, when it fails or always; left out for no. */
  readonly accounts?: 'failed' | 'always';
  /** Size of /dev/shm in bytes; null for 64 MiB. */
  readonly shmSize: number | null;
  readonly mounts: readonly ProcessMount[];
  readonly names: NameFiles;
  /** Told once when the program itself runs; not told of one that has ended by then. */
  readonly onStart?: (started: StartedProcess) => void;
  readonly ulimits?: readonly Ulimit[];
  /** Without them the process stays in the cgroup of this one. */
  readonly limits?: ResourceLimits;
  /** Of a container. With it, an `insecure` process has no inheritable and ambient capabilities: that is BuildKit's way, not Docker's. */
  readonly confinement?: Confinement;
};

export type ProcessStreams = ChildStreams;

/** One more process in a container that runs. */
export type ExtraProcess = Pick<ProcessRequest, 'arguments' | 'environment' | 'workingDirectory' | 'user' | 'terminal' | 'terminalSize'> & {
  /** It has all capabilities that can be given. */
  readonly isPrivileged: boolean;
};

/** How to start it: these words, in the namespaces of the process that runs the container, with a file 3 that gives `document` and ends, and a file 4 that takes the runtime's own log. */
export type ExtraCall = { readonly words: readonly string[]; readonly document: string };

/** A process that runs. */
export type StartedProcess = {
  /** Of its first process, as this one counts. */
  readonly pid: number;
  /** Of the runtime that runs it, as this one counts, where that is a process. */
  readonly runtime?: number;
  /** The runtime that holds it, and what stands before its commands: empty where there is none that others could ask. */
  readonly program: readonly string[];
};

/** 128 + n and the name of signal n when a signal ended the process. */
export type ExitStatus = {
  readonly code: number;
  readonly signal: string | undefined;
  /** The kernel killed one of its processes: it wanted more memory than its limit. */
  readonly outOfMemory?: true;
  /** What the process had started, where it was asked for and the kernel keeps accounts. */
  readonly ended?: EndedProcesses;
};

export type Runtime = {
  readonly name: 'crun' | 'runc' | 'chroot';
  readonly version: string;
  /**
   * How the sources of binds get to their targets. `moving`: by rename, there and back again, so that a source belongs to one run, must lie on the file system of the root,
   * and takes what the process writes to it, read-only or not.
   */
  readonly bindsBy: 'mounting' | 'moving';
  /** A folder of this process's own, for what its runs bind; what is left in there goes when this process has ended. */
  readonly scratch: string;
  /**
   * Runs the process to its end; whatever it left running is killed with it. When `signal` aborts, the process gets its stop signal if it
   * handles that, SIGKILL soon after, and the call rejects with the signal's reason once all is gone. Throws `runtime/command-not-found`,
   * `runtime/command-not-executable`, `runtime/unsafe-root`, `runtime/limit-...` before anything runs, `runtime/start-failed` with the runtime's own words.
   */
  run(request: ProcessRequest, streams: ProcessStreams, signal: AbortSignal): Promise<ExitStatus>;
  /** Hands a signal (`SIGTERM`) to the first process of a run; nothing when it has ended. */
  signal(id: string, name: string): void;
  /** How to start one more process in a run; undefined when it has ended. Throws `runtime/not-in-chroot`, `runtime/missing-capability`. */
  exec(id: string, process: ExtraProcess): ExtraCall | undefined;
  /** Stops all processes of a run where they are, or lets them go on; nothing when it has ended. Throws `runtime/not-in-chroot`. */
  pause(id: string): void;
  resume(id: string): void;
  /** What its processes use and have used; undefined when it has ended. Throws `runtime/not-in-chroot`. */
  usage(id: string): Usage | undefined;
  /** Other limits from now on, all of them; nothing when it has ended. Throws `runtime/limit-...`, `runtime/not-in-chroot`, `runtime/no-cgroups`. */
  limit(id: string, limits: ResourceLimits): Promise<void>;
  /** The terminal that a run has as its streams has another size now. */
  resized(id: string, size: TerminalSize): void;
  /** The processes that pass on what a run writes to its terminal. */
  relays(id: string): readonly number[];
};
