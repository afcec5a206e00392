/** Creating and running containers, and the containers there are. */
import * as v from 'valibot';
import { settingsSchema, type ContainerSettings, type SpecMount } from '#execution/container/settings.ts';
import type { ContainerState } from '#execution/container/store.ts';
import type { Logging } from '#execution/container/logging.ts';
import type { NetworkWish } from '#execution/network/wish.ts';
import type { RestartPolicy, StreamName } from '#execution/container/spec.ts';

export { parseExposed, parsePublished } from '#execution/network/publish.ts';
export { checkIPv4 } from '#execution/network/wish.ts';
export type { NetworkWish } from '#execution/network/wish.ts';
export type { RestartPolicy, StreamName } from '#execution/container/spec.ts';
export { parseDuration } from '#languages/frontend/go-format.ts';
export type { ContainerSettings } from '#execution/container/settings.ts';

/** A mount as it is asked for: volumes are still to be made, images to be found. */
export type AskedMount =
  | Extract<SpecMount, { kind: 'bind' | 'tmpfs' }>
  | Omit<Extract<SpecMount, { kind: 'image' }>, 'imageId'>
  | (Omit<Extract<SpecMount, { kind: 'volume' }>, 'name' | 'isAnonymous'> & {
      /** undefined: an anonymous one. */
      readonly name: string | undefined;
      readonly labels: Readonly<Record<string, string>>;
      readonly options: Readonly<Record<string, string>>;
    });

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
  /** Who makes it starts it. */
  readonly startsAtOnce: boolean;
  readonly restart: RestartPolicy;
  readonly logging: Logging;
  readonly exposedPorts: readonly string[];
  /** A file that gets the id; it must not be there. */
  readonly idFile: string | undefined;
  readonly pull: 'missing' | 'always' | 'never';
  readonly platform: string | undefined;
  readonly mounts: readonly AskedMount[];
  readonly volumesFrom: readonly { readonly container: string; readonly readOnly: boolean }[];
  readonly settings: ContainerSettings;
  /** What of the image's HEALTHCHECK is another; `command` undefined: the image's command. */
  readonly health: HealthWish;
};

/** Of a container of which nothing is asked. */
export function usualSettings(): ContainerSettings {
  return v.parse(settingsSchema, {});
}

/** Durations in nanoseconds; 0 and undefined: the image's. */
export type HealthWish = {
  readonly command: string | undefined;
  readonly interval: number;
  readonly timeout: number;
  readonly startPeriod: number;
  readonly startInterval: number;
  readonly retries: number;
};

export type ContainerRow = {
  readonly id: string;
  readonly name: string;
  /** The name that it was asked for by; its id where that is another image by now. */
  readonly image: string;
  readonly state: ContainerState['kind'];
  readonly labels: Readonly<Record<string, string>>;
  readonly command: string;
  readonly created: number;
  readonly status: string;
  /** Volume's name or folder of the host, of each. */
  readonly mounts: readonly string[];
  readonly localVolumes: number;
  readonly networks: readonly string[];
  /** `linux/amd64`; '' where its image is gone. */
  readonly platform: string;
};

/** Bytes: of what it wrote, and of its image with that. */
export type ContainerSize = { readonly own: number; readonly all: number };
