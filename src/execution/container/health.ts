/** How a container's own check of its health goes: what is asked, what was found, and what follows from it. The rules are the docker daemon's (daemon/health.go). */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { JettisonError, systemCode } from '#ground/base/errors.ts';

const words = v.array(v.string());
const whole = v.pipe(v.number(), v.integer());

/** Durations in nanoseconds; 0: docker's own. */
export const healthCheckSchema = v.object({
  /** As in the image's config: `CMD`, `CMD-SHELL` and what is run; `NONE`. */
  test: words,
  interval: v.optional(whole, 0),
  timeout: v.optional(whole, 0),
  startPeriod: v.optional(whole, 0),
  startInterval: v.optional(whole, 0),
  retries: v.optional(whole, 0),
  /** What CMD-SHELL is run by. */
  shell: v.optional(words, ['/bin/sh', '-c']),
});

export type HealthCheck = Readonly<v.InferOutput<typeof healthCheckSchema>>;

export const healthStates = ['starting', 'healthy', 'unhealthy'] as const;

const resultSchema = v.object({
  /** Milliseconds since the epoch. */
  start: v.number(),
  end: v.number(),
  /** -1: it was not run to its end. */
  code: v.number(),
  output: v.string(),
});
const healthSchema = v.object({ status: v.picklist(healthStates), failingStreak: v.number(), log: v.array(resultSchema) });

export type ProbeResult = Readonly<v.InferOutput<typeof resultSchema>>;
export type Health = Readonly<v.InferOutput<typeof healthSchema>>;

const second = 1e9;
const defaults = { interval: 30 * second, timeout: 30 * second, startInterval: 5 * second, retries: 3 } as const;
const mostResults = 5;
const file = 'health.json';

/** The words that a check runs in the container; undefined where there is none. */
export function probeWords({ test: [kind, ...rest], shell }: HealthCheck): readonly string[] | undefined {
  if (kind === 'CMD' && rest.length > 0) return rest;
  return kind === 'CMD-SHELL' && rest.length > 0 ? [...shell, ...rest] : undefined;
}

/** Milliseconds. */
export function probeTimeout({ timeout }: HealthCheck): number {
  return (timeout || defaults.timeout) / 1e6;
}

/** Milliseconds until the next check, of a container that has run for `age` milliseconds. */
export function nextPause({ interval, startPeriod, startInterval }: HealthCheck, status: Health['status'], age: number): number {
  const usual = (interval || defaults.interval) / 1e6;
  if (age >= startPeriod / 1e6 || status !== 'starting') return usual;
  return (startInterval || defaults.startInterval) / 1e6;
}

/** Of one that starts, perhaps again. */
export function startingHealth(before: Health | undefined): Health {
  return { status: 'starting', failingStreak: 0, log: before?.log ?? [] };
}

/** `started`: when the container was started, milliseconds since the epoch. */
export function withResult(
  health: Health,
  result: ProbeResult,
  { check, started }: { readonly check: HealthCheck; readonly started: number },
): Health {
  const log = [...health.log, result].slice(-mostResults);
  if (result.code === 0) return { status: 'healthy', failingStreak: 0, log };
  if (health.status === 'starting' && result.start - started < check.startPeriod / 1e6) return { ...health, log };
  const failingStreak = health.failingStreak + 1;
  return { status: failingStreak >= (check.retries || defaults.retries) ? 'unhealthy' : health.status, failingStreak, log };
}

/** `folder`: the container's own. undefined where nothing was found yet. */
export function readHealth(folder: string): Health | undefined {
  try {
    const read = v.safeParse(v.pipe(v.string(), v.parseJson(), healthSchema), readFileSync(join(folder, file), 'utf8'));
    return read.success ? read.output : undefined;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** A full disk costs what is known of a container's health, not the container. */
export function writeHealth(folder: string, health: Health): void {
  const path = join(folder, file);
  try {
    writeFileSync(`${path}.new`, JSON.stringify(health), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  } catch (error) {
    if (!['ENOSPC', 'EDQUOT', 'ENOENT'].includes(systemCode(error) ?? '')) throw error;
  }
}

/** Throws `container/bad-health-check`, in docker's words. */
export function assertHealthCheck(check: HealthCheck): void {
  const durations = [
    ['Interval', check.interval],
    ['Timeout', check.timeout],
    ['StartPeriod', check.startPeriod],
    ['StartInterval', check.startInterval],
  ] as const;
  for (const [name, value] of durations) {
    if (value !== 0 && value < 1e6) throw new JettisonError('container/bad-health-check', `${name} in Healthcheck cannot be less than 1ms`);
  }
}
