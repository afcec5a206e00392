/** What is known of a container's health, for `ps` and `inspect`. */
import { join } from 'node:path';
import type { Json } from '#ground/base/canonical-json.ts';
import type { ContainerSpec } from '#execution/container/spec.ts';
import { probeWords, readHealth, type Health } from '#execution/container/health.ts';
import type { Container } from '#execution/container/store.ts';
import type { Engine } from './open.ts';

export type { Health } from '#execution/container/health.ts';

/** undefined where it has no check, or was never started. One that does not run is not healthy. */
export function healthOf(engine: Engine, { id, spec, state }: Container): Health | undefined {
  if (spec.health === null || probeWords(spec.health) === undefined || state.kind === 'created') return undefined;
  const known = readHealth(join(engine.paths.store, 'containers', id));
  if (known === undefined) return undefined;
  return state.kind === 'running' || state.kind === 'paused' ? known : { ...known, status: 'unhealthy' };
}

/** `State.Health` of docker's document. */
export function inspectHealth(engine: Engine, container: Container): Readonly<Record<string, Json>> {
  const health = healthOf(engine, container);
  if (health === undefined) return {};
  const log = health.log.map(({ start, end, code, output }) => ({
    Start: new Date(start).toISOString(),
    End: new Date(end).toISOString(),
    ExitCode: code,
    Output: output,
  }));
  return { Health: { Status: health.status, FailingStreak: health.failingStreak, Log: log } };
}

/** `Config.Healthcheck` of docker's document: what is not set is left out. */
export function inspectHealthCheck({ health, settings }: ContainerSpec): {
  readonly Healthcheck?: Readonly<Record<string, number | string[]>>;
} {
  if (settings.lacksHealthcheck) return { Healthcheck: { Test: ['NONE'] } };
  if (health === null) return {};
  const { test, interval, timeout, startPeriod, startInterval, retries } = health;
  const numbers = { Interval: interval, Timeout: timeout, StartPeriod: startPeriod, StartInterval: startInterval, Retries: retries };
  return {
    Healthcheck: {
      ...(test.length === 0 ? {} : { Test: [...test] }),
      ...Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== 0)),
    },
  };
}
