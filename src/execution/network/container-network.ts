/** What the network of one container is made of, whoever made it. */
import type { ProcessNetwork } from '#ground/linux/namespace.ts';
import type { OpenPort } from './wish.ts';

export type ContainerNetwork = AsyncDisposable & {
  /** How the container's worker is started, whose network becomes the container's; one of its `own` is led out by `connect`. */
  readonly worker: ProcessNetwork;
  /** What the runtime is asked for: that of the worker, or one with nothing but `lo`. */
  readonly runtime: 'host' | 'none';
  /** For /etc/hosts: the container's own; empty where it shares the machine's, or has none. */
  readonly addresses: readonly string[];
  /** By which the container reaches the machine. */
  readonly gateway: string | undefined;
  /** For /etc/resolv.conf; undefined: the machine's. */
  readonly resolvConf: string | undefined;
  /** For /etc/hostname; undefined: its own. */
  readonly hostname: string | undefined;
  readonly ports: readonly OpenPort[];
  /** Leads a network of the worker's own out, when the worker runs; `pid` is that of its first process, as this process sees it. */
  connect(pid: number, signal: AbortSignal): Promise<void>;
};

/** The container that gets it. */
export type NetworkedContainer = {
  readonly id: string;
  readonly name: string;
  readonly hostname: string;
  /** `80/tcp`: of the image and of `--expose`. */
  readonly exposed: readonly string[];
};

export async function nothingToConnect(): Promise<void> {
  await Promise.resolve();
}
