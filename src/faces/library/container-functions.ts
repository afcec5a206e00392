/** Containers of a store. They belong to it, not to this process: one that runs goes on when this process has ended, as one of `jettison run -d`. */
import type { CallOptions, EventOptions } from './call-options.ts';
import type { StreamedProcess, TerminalSize } from './streamed-process.ts';

/** `source` of a bind: a folder or file of this machine; of a volume: its name, made where there is none of it; left out: one without a name. `size` in bytes. */
export type ContainerMount =
  | { readonly type: 'bind'; readonly source: string; readonly target: string; readonly readOnly?: boolean }
  | { readonly type: 'volume'; readonly source?: string; readonly target: string; readonly readOnly?: boolean }
  | { readonly type: 'tmpfs'; readonly target: string; readonly size?: number };

/** What is left out is the image's, or the command's usual. */
export type ContainerOptions = {
  readonly image: string;
  /** In the place of the image's CMD. */
  readonly command?: readonly string[];
  /** In the place of the image's ENTRYPOINT; '' for none. */
  readonly entrypoint?: string;
  readonly name?: string;
  /** Beside the image's. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
  readonly user?: string;
  readonly hostname?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** `host`, `none`, or a network by name. */
  readonly network?: string;
  /** `8080:80`, `127.0.0.1:5353:53/udp`: as `run -p` has them. */
  readonly ports?: readonly string[];
  readonly mounts?: readonly ContainerMount[];
  /** Bytes, processors, processes. */
  readonly limits?: { readonly memory?: number; readonly cpus?: number; readonly pids?: number };
  readonly readOnlyRoot?: boolean;
  /** A small init that forwards signals and reaps processes. */
  readonly init?: boolean;
  /** It is started again when it ends; `on-failure` as often as it fails. */
  readonly restart?: 'no' | 'on-failure' | 'always' | 'unless-stopped';
  readonly stopSignal?: string;
  /** Seconds until it is killed when it should stop; -1 for ever. */
  readonly stopTimeout?: number;
  /** It goes when it has ended, with its volumes without a name. */
  readonly autoRemove?: boolean;
  /** Its standard input is there for who attaches. `run` has it in any case. */
  readonly stdin?: boolean;
  /** It has a terminal of this size: what it writes all comes by `stdout`. */
  readonly terminal?: TerminalSize;
  readonly pull?: 'missing' | 'always' | 'never';
  /** `linux/arm64`: which image of several. */
  readonly platform?: string;
};

export type ContainerEntry = {
  readonly id: string;
  readonly name: string;
  /** The name that it was asked for by; its id where that is another image by now. */
  readonly image: string;
  readonly command: string;
  readonly state: 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'dead';
  /** As `ps` shows it: `Up 3 minutes`. */
  readonly status: string;
  /** RFC 3339 */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly networks: readonly string[];
  /** `linux/amd64`; '' where its image is gone. */
  readonly platform: string;
};

export type ContainerProcess = StreamedProcess & { readonly id: string };

/** What it wrote at once, at most a line. */
export type ContainerOutput = {
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
  /** RFC 3339, with nanoseconds. */
  readonly time: string;
};

/** `follow`: until it has ended. `tail`: the last so many entries; all if left out. */
export type ContainerLogOptions = CallOptions & {
  readonly follow?: boolean;
  readonly tail?: number;
  readonly since?: Date;
  readonly until?: Date;
};

export type ExecOptions = CallOptions & {
  readonly command: readonly string[];
  /** Beside the container's. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workingDirectory?: string;
  readonly privileged?: boolean;
  /** It has a terminal of its own: all that it shows is in `stdout`, and the end of `stdin` is a Ctrl-D. */
  readonly terminal?: TerminalSize;
};

export type ContainerFunctions = {
  /** Those that run, newest first; `all`: all of them. `filters` as `ps --filter` has them: `label=a=b`, `status=exited`. */
  list(options?: CallOptions & { readonly all?: boolean; readonly filters?: readonly string[] }): Promise<readonly ContainerEntry[]>;
  /** In the shape of `docker container inspect`. */
  inspect(container: string, options?: CallOptions): Promise<unknown>;
  /** Gives its id. Its image is pulled where it is not here. */
  create(options: ContainerOptions, told?: EventOptions): Promise<string>;
  /** Creates and starts one, with its streams from the first byte on. Disposing it, or aborting `signal` while it runs, kills it; without `autoRemove` what it wrote stays until `remove`. */
  run(options: ContainerOptions, told?: EventOptions): Promise<ContainerProcess>;
  /** Settles when it runs; at once for one that does. */
  start(container: string, told?: EventOptions): Promise<void>;
  /** The streams of one that runs, from now on. Disposing this leaves it running. */
  attach(container: string, options?: CallOptions): Promise<ContainerProcess>;
  /** Settles when it has ended. `send`: the signal to begin with; `seconds` until it is killed, -1 for ever: its own where left out. */
  stop(container: string, options?: CallOptions & { readonly send?: string; readonly seconds?: number }): Promise<void>;
  /** Sends a signal, SIGKILL if left out. */
  kill(container: string, options?: CallOptions & { readonly send?: string }): Promise<void>;
  /** `force`: one that runs is killed. `volumes`: with those that have no name. */
  remove(container: string, options?: CallOptions & { readonly force?: boolean; readonly volumes?: boolean }): Promise<void>;
  /** Its exit code, when it has ended; at once for one that does not run. */
  wait(container: string, options?: CallOptions): Promise<number>;
  /** What it wrote so far, and with `follow` from now on. */
  logs(container: string, options?: ContainerLogOptions): AsyncIterable<ContainerOutput>;
  /** One more process in one that runs. Disposing it kills it. */
  exec(container: string, options: ExecOptions): Promise<StreamedProcess>;
  /** A tar archive into a folder of the container, or a file or folder of this machine to a path of it, by the rules of `docker cp`. `keepOwners`: numbers of owners stay; else all is root's. */
  write(
    container: string,
    path: string,
    from: string | AsyncIterable<Uint8Array>,
    options?: CallOptions & { readonly keepOwners?: boolean },
  ): Promise<void>;
};
