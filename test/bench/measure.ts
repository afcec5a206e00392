/** Runs one command and takes its time, its memory and how it ended. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import type { Command } from './command.ts';
import { watchMemory, type Memory } from './processes.ts';

export type Measured = {
  readonly seconds: number;
  readonly memory: Memory;
  readonly status: number | null;
  /** Load average of the last minute, when it started. */
  readonly load: number;
  /** The end of what it printed. */
  readonly tail: string;
};

let running: ChildProcess | undefined;

/** Ends the command that is running, if any, and waits for it. */
export async function stopRunning(): Promise<void> {
  const child = running;
  if (child === undefined) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill();
  await gone;
}

/** The command's wall clock from spawn to exit. Its output goes to `log`, so that nobody has to read it meanwhile; dirty pages are written before. */
export async function measure(command: Command, options: { readonly daemons: readonly number[]; readonly log: string }): Promise<Measured> {
  spawnSync('sync');
  const load = loadavg()[0] ?? 0;
  const output = openSync(options.log, 'w');
  const ended = Promise.withResolvers<number | null>();
  const started = performance.now();
  const child = spawn(command.program, command.words, {
    env: { ...process.env, ...command.environment },
    stdio: ['ignore', output, output],
  });
  running = child;
  let seconds = 0;
  child.on('error', ended.reject);
  child.on('exit', (status) => {
    seconds = (performance.now() - started) / 1000;
    ended.resolve(status);
  });
  closeSync(output);
  const watch = watchMemory(child.pid === undefined ? [] : [child.pid, ...options.daemons]);
  try {
    const status = await ended.promise;
    return { seconds, memory: watch.stop(), status, load, tail: readFileSync(options.log, 'utf8').trim().slice(-1500) };
  } finally {
    running = undefined;
    watch.stop();
  }
}
