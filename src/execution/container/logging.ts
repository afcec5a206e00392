/** How what a container writes is kept: docker's log drivers that keep files, and their options. */
import * as v from 'valibot';
import { stringMap } from '#ground/base/decode.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { LogKeeping } from '#execution/worker/contract.ts';
import type { ContainerSpec } from './spec.ts';

export const loggingSchema = v.object({ driver: v.string(), options: v.optional(stringMap(), {}) });

export type Logging = Readonly<v.InferOutput<typeof loggingSchema>>;

export const usualLogging = { driver: 'json-file', options: {} } as const;

const elsewhere = ['awslogs', 'etwlogs', 'fluentd', 'gcplogs', 'gelf', 'journald', 'logentries', 'splunk', 'syslog'];
const fileOptions = ['compress', 'max-buffer-size', 'max-file', 'max-size', 'mode'];
const optionsOf: Readonly<Record<string, readonly string[] | undefined>> = {
  'json-file': [...fileOptions, 'env', 'env-regex', 'labels', 'labels-regex', 'tag'],
  local: fileOptions,
  none: [],
};
/** As docker has it for the driver `local`. */
const localSize = 20 * 2 ** 20;
const localFiles = 5;

/** Throws `container/no-log-driver`, `container/log-driver-not-built`, `container/bad-log-option`, `container/log-option-not-built`. */
export function checkLogging({ driver, options }: Logging): void {
  const known = optionsOf[driver];
  if (known === undefined) throw noDriver(driver);
  if (driver === 'none' && Object.keys(options).length > 0) throw badOption(`invalid logging opts for driver ${driver}`);
  for (const [name, value] of Object.entries(options)) {
    if (!known.includes(name)) throw badOption(`unknown log opt '${name}' for ${driver} log driver`, `It takes ${known.join(', ')}`);
    refuseNotBuilt(name, value);
  }
  sizesOf({ driver, options });
  for (const name of ['env-regex', 'labels-regex'] as const) patternOf(options[name]);
  fillTag(options['tag'] ?? '', () => '');
}

/** Undefined where nothing is kept. The logging has been checked. */
export function logKeepingOf(
  { driver, options }: Logging,
  container: {
    readonly id: string;
    readonly name: string;
    readonly spec: Pick<ContainerSpec, 'labels' | 'environment' | 'image' | 'imageId'>;
  },
): LogKeeping | undefined {
  return driver === 'none' ? undefined : { ...sizesOf({ driver, options }), attributes: attributesOf(options, container) };
}

/** Whether it can be read again. */
export function isKept({ driver }: Logging): boolean {
  return driver !== 'none';
}

function noDriver(driver: string): JettisonError {
  const hint = 'Use "json-file", "local" or "none"';
  return elsewhere.includes(driver)
    ? new JettisonError('container/log-driver-not-built', `The log driver "${driver}", which hands lines to a service, is not built`, {
        hint: `${hint}, and have "logs --follow" read by what should get them`,
      })
    : new JettisonError('container/no-log-driver', `logger: no log driver named '${driver}' is registered`, { hint });
}

function badOption(why: string, hint?: string): JettisonError {
  return new JettisonError('container/bad-log-option', why, hint === undefined ? {} : { hint });
}

function refuseNotBuilt(name: string, value: string): void {
  const notBuilt = (why: string): JettisonError =>
    new JettisonError('container/log-option-not-built', `The log option "${name}=${value}" is not built`, { hint: why });
  if (name === 'compress' && !/^(?:0|f|false)$/iu.test(value)) throw notBuilt('Files that are full stay as they are: leave it out');
  if (name === 'mode' && value !== 'blocking') throw notBuilt('A program waits until what it writes is kept: leave it out');
  if (name === 'max-buffer-size') throw notBuilt('It is for "mode=non-blocking" alone: leave it out');
}

function sizesOf({ driver, options }: Logging): Pick<LogKeeping, 'maxSize' | 'maxFiles'> {
  const { 'max-size': size, 'max-file': files } = options;
  const unit = driver === 'local' ? 1024 : 1000;
  if (files !== undefined && !/^[1-9]\d{0,5}$/u.test(files)) {
    throw badOption(/^(?:0|-\d+)$/u.test(files) ? 'max-file cannot be less than 1' : `max-file is no number: '${files}'`);
  }
  return {
    maxSize: size === undefined ? (driver === 'local' ? localSize : undefined) : readSize(size, unit),
    maxFiles: files === undefined ? (driver === 'local' ? localFiles : 1) : Number(files),
  };
}

function readSize(text: string, unit: number): number {
  const [, number = '', prefix = ''] = /^(\d{1,15}(?:\.\d{1,10})?) ?([kmgtp]?)(?:i?b)?$/iu.exec(text) ?? [];
  const bytes = number === '' ? NaN : Math.floor(Number(number) * unit ** ' kmgtp'.indexOf(prefix.toLowerCase() || ' '));
  if (bytes > 0 && bytes <= Number.MAX_SAFE_INTEGER) return bytes;
  throw badOption(bytes === 0 ? 'max-size must be a positive number' : `invalid size: '${text}'`, 'Use bytes with k, m or g, as in "10m"');
}

type Described = Parameters<typeof logKeepingOf>[1];

function attributesOf(options: Logging['options'], container: Described): Readonly<Record<string, string>> {
  const environment = Object.fromEntries(container.spec.environment.map((entry) => splitOnce(entry)));
  const tag = fillTag(options['tag'] ?? '', (name) => tagPartOf(name, container) ?? '');
  return {
    ...chosenOf(container.spec.labels, options['labels'], options['labels-regex']),
    ...chosenOf(environment, options['env'], options['env-regex']),
    ...(tag === '' ? {} : { tag }),
  };
}

function splitOnce(entry: string): readonly [string, string] {
  const at = entry.indexOf('=');
  return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
}

function chosenOf(
  values: Readonly<Record<string, string>>,
  names: string | undefined,
  pattern: string | undefined,
): Readonly<Record<string, string>> {
  const named = (names ?? '').split(',');
  const matching = patternOf(pattern);
  return Object.fromEntries(Object.entries(values).filter(([name]) => named.includes(name) || matching?.test(name) === true));
}

function patternOf(text: string | undefined): RegExp | undefined {
  if (text === undefined || text === '') return undefined;
  try {
    return new RegExp(text, 'u');
  } catch {
    throw badOption(`error parsing regexp: '${text}'`);
  }
}

const tagParts = ['ID', 'FullID', 'Name', 'ImageID', 'ImageFullID', 'ImageName'];

function tagPartOf(name: string, { id, name: own, spec }: Described): string | undefined {
  return {
    ID: id.slice(0, 12),
    FullID: id,
    Name: own,
    ImageID: spec.imageId.replace(/^sha256:/u, '').slice(0, 12),
    ImageFullID: spec.imageId,
    ImageName: spec.image,
  }[name];
}

/** The part of Go's templates that tags are made of. Throws `container/bad-log-option`. */
function fillTag(text: string, partOf: (name: string) => string): string {
  return text.replaceAll(/\{\{(.*?)\}\}|\{\{/gsu, (whole, inside: string | undefined) => {
    const name = /^\s*\.(\w+)\s*$/u.exec(inside ?? '')?.[1];
    if (name === undefined || !tagParts.includes(name)) {
      throw badOption(`Cannot read '${whole}' in the log tag '${text}'`, `Use {{.${tagParts.join('}}, {{.')}}}`);
    }
    return partOf(name);
  });
}
