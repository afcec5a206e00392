/**
 * What a container was asked to be, resolved against its image's config when it is created: all that each of its starts needs, and all that `inspect` shows. It is kept as JSON in
 * the container's row. A member that an older version did not write gets its default: every new member needs one.
 */
import * as v from 'valibot';
import { stringMap } from '#ground/base/decode.ts';
import { networkWishSchema } from '#execution/network/wish.ts';
import { isDigest, parseDigest } from '#ground/base/digest.ts';
import { healthCheckSchema } from './health.ts';
import { loggingSchema, usualLogging } from './logging.ts';
import { mountSchema, settingsSchema } from './settings.ts';

const words = v.array(v.string());
const digest = v.pipe(v.string(), v.check(isDigest, 'Invalid digest'), v.transform(parseDigest));
const whole = v.pipe(v.number(), v.integer());

export const restartPolicies = ['no', 'on-failure', 'always', 'unless-stopped'] as const;
export const streamNames = ['stdin', 'stdout', 'stderr'] as const;

const containerSpecSchema = v.object({
  /** As it was asked for. */
  image: v.string(),
  imageId: digest,
  /** What is run: entrypoint and command together. */
  arguments: words,
  /** For `inspect`: the two halves of `arguments`; null where neither image nor user named one. */
  entrypoint: v.optional(v.nullable(words), null),
  command: v.optional(v.nullable(words), null),
  /** All of it, `NAME=value`. */
  environment: v.optional(words, []),
  /** Empty: the root. */
  workingDirectory: v.optional(v.string(), ''),
  /** As written after USER; '' for root. */
  user: v.optional(v.string(), ''),
  hostname: v.optional(v.string(), ''),
  domainname: v.optional(v.string(), ''),
  terminal: v.optional(v.boolean(), false),
  /** It has a stdin that is not /dev/null. */
  openStdin: v.optional(v.boolean(), false),
  /** Its stdin ends with that of the first client that is attached to it. */
  stdinOnce: v.optional(v.boolean(), false),
  /** Streams that the command that started it is attached to. */
  attach: v.optional(v.array(v.picklist(streamNames)), []),
  /** Name or number; '' for SIGTERM. */
  stopSignal: v.optional(v.string(), ''),
  /** Seconds between stop signal and SIGKILL; -1: it is never killed; null: 10. */
  stopTimeout: v.optional(v.nullable(whole), null),
  labels: v.optional(stringMap(), {}),
  /** Removed when it has ended. */
  autoRemove: v.optional(v.boolean(), false),
  /** The lease of the command that made it to start it: nobody else does before. */
  starter: v.optional(v.string()),
  /** `maximum`: of restarts after failures, 0 without a limit. */
  restart: v.optional(v.object({ policy: v.picklist(restartPolicies), maximum: whole }), { policy: 'no', maximum: 0 }),
  logging: v.optional(loggingSchema, usualLogging),
  network: v.optional(networkWishSchema, {}),
  /** `8080/tcp`: of the image and of --expose. */
  exposedPorts: v.optional(words, []),
  /** null: its health is not looked after. */
  health: v.optional(v.nullable(healthCheckSchema), null),
  mounts: v.optional(v.array(mountSchema), []),
  settings: v.optional(settingsSchema, {}),
});

export type ContainerSpec = Readonly<v.InferOutput<typeof containerSpecSchema>>;
export type RestartPolicy = ContainerSpec['restart'];
export type StreamName = (typeof streamNames)[number];

/** Reads a spec as `encodeSpec` wrote it, in this version or an older one. Throws a ValiError for what none wrote. */
export function decodeSpec(text: string): ContainerSpec {
  return v.parse(containerSpecSchema, JSON.parse(text));
}

export function encodeSpec(spec: ContainerSpec): string {
  return JSON.stringify(spec);
}

/** `8080/tcp`: what docker calls exposed: those of the image, of --expose and of --publish, in their order. */
export function openedPorts({ exposedPorts, network }: Pick<ContainerSpec, 'exposedPorts' | 'network'>): readonly string[] {
  const ports = [...exposedPorts, ...network.published.map(({ port, protocol }) => `${port}/${protocol}`)];
  return [...new Set(ports)].toSorted((one, other) => Number.parseInt(one, 10) - Number.parseInt(other, 10) || (one < other ? -1 : 1));
}
