/** Creating and running containers, and the containers there are. */
import type { NetworkWish } from '#execution/network/wish.ts';
import type { RestartPolicy, StreamName } from '#execution/container/spec.ts';

export { parseExposed, parsePublished } from '#execution/network/publish.ts';
export type { NetworkWish } from '#execution/network/wish.ts';
export type { RestartPolicy, StreamName } from '#execution/container/spec.ts';

/** What `create` and `run` are asked for; what is undefined is the image's. */
export type CreateRequest = {
  readonly image: string;
  readonly arguments: readonly string[];
  readonly name: string | undefined;
  readonly environment: readonly string[];
  readonly workingDirectory: string | undefined;
  readonly user: string | undefined;
  /** '' clears it. */
  readonly entrypoint: string | undefined;
  readonly hostname: string | undefined;
  readonly domainname: string | undefined;
  readonly network: NetworkWish;
  readonly terminal: boolean;
  readonly openStdin: boolean;
  /** Its stdin ends with that of the client which is attached when it starts. */
  readonly stdinOnce: boolean;
  readonly attach: readonly StreamName[];
  readonly stopSignal: string | undefined;
  /** Seconds; -1: never killed. */
  readonly stopTimeout: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly autoRemove: boolean;
  readonly restart: RestartPolicy;
  readonly exposedPorts: readonly string[];
  /** A file that gets the id; it must not be there. */
  readonly idFile: string | undefined;
  readonly pull: 'missing' | 'always' | 'never';
  readonly platform: string | undefined;
};

export type ContainerRow = {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly command: string;
  readonly created: number;
  readonly status: string;
};
