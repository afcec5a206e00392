/** The image config document: OCI image spec, config.md, with Docker's additions (Healthcheck, OnBuild, Shell). Unknown members are kept. */
import * as v from 'valibot';
import { checkShape, isJsonObject, parseJson, stringMap, type Document } from '#ground/base/decode.ts';
import { isDigest, parseDigest, type Digest } from '#ground/base/digest.ts';
import { withoutNulls } from './descriptor.ts';

export type HistoryEntry = {
  readonly created?: string;
  readonly created_by?: string;
  readonly comment?: string;
  readonly author?: string;
  readonly empty_layer?: boolean;
};

/** Durations in nanoseconds, as Docker keeps them. */
export type Healthcheck = {
  readonly Test?: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
};

export type ContainerConfig = {
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[] | null;
  readonly Cmd?: readonly string[] | null;
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
  readonly StopSignal?: string;
  readonly Healthcheck?: Healthcheck;
  readonly Shell?: readonly string[];
  readonly OnBuild?: readonly string[];
  readonly ArgsEscaped?: boolean;
};

export type ImageConfig = {
  readonly created?: string;
  readonly author?: string;
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly config?: ContainerConfig;
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly string[] };
  readonly history?: readonly HistoryEntry[];
};

/** Most bytes of a config document. */
export const configLimit = 16 * 1024 * 1024;
const mostLayers = 1000;
const mostHistory = 10_000;

/** What becomes words of a process or a path: a NUL would end it early. */
const word = v.pipe(
  v.string(),
  v.check((text) => !text.includes('\0'), 'Invalid text: it holds a NUL byte'),
);
const texts = v.array(word);
const keys = v.custom<Record<string, object>>(
  (value) =>
    isJsonObject(value) &&
    Object.entries(value).every(([name, member]) => typeof member === 'object' && member !== null && !name.includes('\0')),
  'Invalid type: expected an object of objects, without NUL bytes in their names',
);
const whole = v.pipe(v.number(), v.integer());

const healthcheckSchema = v.looseObject({
  Test: v.exactOptional(texts),
  Interval: v.exactOptional(whole),
  Timeout: v.exactOptional(whole),
  StartPeriod: v.exactOptional(whole),
  StartInterval: v.exactOptional(whole),
  Retries: v.exactOptional(whole),
});

const containerSchema = v.looseObject({
  User: v.exactOptional(word),
  ExposedPorts: v.exactOptional(keys),
  Env: v.exactOptional(texts),
  Entrypoint: v.exactOptional(texts),
  Cmd: v.exactOptional(texts),
  Volumes: v.exactOptional(keys),
  WorkingDir: v.exactOptional(word),
  Labels: v.exactOptional(stringMap()),
  StopSignal: v.exactOptional(v.string()),
  Healthcheck: v.exactOptional(healthcheckSchema),
  Shell: v.exactOptional(texts),
  OnBuild: v.exactOptional(texts),
  ArgsEscaped: v.exactOptional(v.boolean()),
});

const historySchema = v.looseObject({
  created: v.exactOptional(v.string()),
  created_by: v.exactOptional(v.string()),
  comment: v.exactOptional(v.string()),
  author: v.exactOptional(v.string()),
  empty_layer: v.exactOptional(v.boolean()),
});

const imageSchema = v.looseObject({
  created: v.exactOptional(v.string()),
  author: v.exactOptional(v.string()),
  architecture: v.pipe(v.string(), v.nonEmpty()),
  os: v.pipe(v.string(), v.nonEmpty()),
  variant: v.exactOptional(v.string()),
  'os.version': v.exactOptional(v.string()),
  config: v.exactOptional(containerSchema),
  rootfs: v.looseObject({
    type: v.literal('layers'),
    diff_ids: v.pipe(v.array(v.pipe(v.string(), v.check(isDigest, 'Invalid digest'))), v.maxLength(mostLayers)),
  }),
  history: v.exactOptional(v.pipe(v.array(historySchema), v.maxLength(mostHistory))),
});

/**
 * Reads an image config. Members that are null are left out; history is made to fit the layers (see `alignHistory`). `name` is for
 * messages. Throws `oci/bad-config`.
 */
export function decodeImageConfig(bytes: Uint8Array, name: string): ImageConfig {
  const document: Document = { what: `the image config of "${name}"`, code: 'oci/bad-config', limit: configLimit };
  const config = checkShape(normalBody(parseJson(bytes, document)), imageSchema, document);
  return { ...config, history: alignHistory(config.history ?? [], config.rootfs.diff_ids.length) };
}

/** The DiffIDs of the image's layers, bottom first. Throws `base/bad-digest`. */
export function diffIdsOf(config: ImageConfig): readonly Digest[] {
  return config.rootfs.diff_ids.map(parseDigest);
}

/**
 * History in which exactly `layers` entries stand for a layer, as BuildKit mends it: entries too many are marked empty, from the
 * top; missing ones are added at the top, without text.
 */
export function alignHistory(history: readonly HistoryEntry[], layers: number): readonly HistoryEntry[] {
  let seen = 0;
  const mended = history.map((entry) => {
    if (entry.empty_layer === true) return entry;
    seen++;
    return seen > layers ? { ...entry, empty_layer: true } : entry;
  });
  return [...mended, ...Array.from({ length: Math.max(0, layers - seen) }, () => ({}))];
}

/** null means "not there" wherever Docker's programs write it. */
function normalBody(value: unknown): unknown {
  const body = withoutNulls(value);
  if (!isJsonObject(body)) return body;
  return {
    ...body,
    ...('config' in body ? { config: normalContainer(body['config']) } : {}),
    ...(isJsonObject(body['rootfs']) ? { rootfs: { ...body['rootfs'], diff_ids: body['rootfs']['diff_ids'] ?? [] } } : {}),
    ...(Array.isArray(body['history']) ? { history: body['history'].map(normalObject) } : {}),
  };
}

function normalContainer(value: unknown): unknown {
  const container = normalObject(value);
  return container && 'Healthcheck' in container ? { ...container, Healthcheck: normalObject(container['Healthcheck']) } : container;
}

/** null, which no schema takes, for anything but an object: valibot would take a list for an object without required members. */
function normalObject(value: unknown): Record<string, unknown> | null {
  const object = withoutNulls(value);
  return isJsonObject(object) ? object : null;
}
