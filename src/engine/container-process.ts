/** The process of a container that runs: from what its monitor wrote down when it started. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { JettisonError, systemCode, unreachable } from '#ground/base/errors.ts';
import { startOf } from '#ground/base/process-identity.ts';
import type { Container } from '#execution/container/store.ts';
import type { Engine } from './open.ts';

const processSchema = v.nullable(v.object({ pid: v.number(), start: v.nullable(v.string()) }));

const stateSchema = v.object({
  /** The worker that holds its namespaces, and its first process, both by their numbers on this machine; null where the kernel does not tell. */
  worker: processSchema,
  /** Whoever holds the container: its monitor, or the command that runs it. */
  monitor: v.optional(processSchema, null),
  process: processSchema,
  /** The number of its first process in the worker's namespace. */
  pidInWorker: v.number(),
  /** The runtime, and what stands before its commands; empty where there is none to ask. */
  runtime: v.array(v.string()),
  terminal: v.boolean(),
  /** Milliseconds since the epoch. */
  started: v.number(),
});

export type RunningState = v.InferOutput<typeof stateSchema>;

/** What its monitor wrote down; undefined when it does not run. */
export function runningState(engine: Engine, { id, state }: Container): RunningState | undefined {
  if (state.kind !== 'running' && state.kind !== 'paused') return undefined;
  try {
    return v.parse(stateSchema, JSON.parse(readFileSync(join(engine.containers.folder(id), 'state.json'), 'utf8')));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Its number on this machine and when it began; undefined when it does not run. */
export function processOfContainer(engine: Engine, container: Container): { readonly pid: number; readonly start: string } | undefined {
  const process = runningState(engine, container)?.process;
  // The number may be another's by now.
  if (process === null || process === undefined || process.start === null || startOf(process.pid) !== process.start) return undefined;
  return { pid: process.pid, start: process.start };
}

/** Throws `engine/container-not-running`, `engine/container-restarting`, and `engine/container-paused` where `before` names what cannot be done while it is paused. */
export function assertRuns(container: Container, before?: string): void {
  const { name, state } = container;
  switch (state.kind) {
    case 'running':
      return;
    case 'paused':
      if (before === undefined) return;
      throw new JettisonError('engine/container-paused', `Container ${name} is paused, unpause the container before ${before}`);
    case 'restarting':
      throw new JettisonError('engine/container-restarting', `Container ${name} is restarting, wait until the container is running`);
    case 'created':
    case 'exited':
    case 'dead':
      throw notRunning(container);
    default:
      unreachable(state.kind, 'state');
  }
}

export function notRunning({ id }: Pick<Container, 'id'>): JettisonError {
  return new JettisonError('engine/container-not-running', `container ${id} is not running`, { hint: 'Start it first' });
}

/** It runs in another PID namespace. */
export function elsewhere({ name }: Pick<Container, 'name'>): JettisonError {
  return new JettisonError('engine/container-elsewhere', `The processes of container ${name} cannot be seen from here`, {
    fault: 'environment',
    hint: 'Run the command where the container was started: in the same PID namespace',
  });
}
