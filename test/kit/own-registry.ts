/** `jettison registry serve` as people start it, in a process of its own, on a port that is free. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Sandbox } from './sandbox.ts';
import { mainFile } from './main-file.ts';

export type OwnRegistry = AsyncDisposable & {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly pid: number;
  /** Sends the signal and waits; gives the exit code, or null when the signal killed it. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
};

/** Starts it and waits until it says where it listens. `words` follow `registry serve`. */
export async function startOwnRegistry(sandbox: Sandbox, words: readonly string[] = []): Promise<OwnRegistry> {
  const child = spawn(process.execPath, [mainFile, 'registry', 'serve', '--listen', '127.0.0.1:0', ...words], {
    cwd: sandbox.folder,
    env: { ...process.env, ...sandbox.environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  let said = '';
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>) {
    said += new TextDecoder().decode(chunk);
    if (said.includes('\n')) break;
  }
  child.stdout.resume();
  const host = /https?:\/\/(\S+),/u.exec(said)?.[1];
  if (host === undefined || child.pid === undefined) throw new Error(`the registry does not start: ${said}`);
  const stop = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    await exit;
    return child.exitCode;
  };
  return { host, pid: child.pid, stop, [Symbol.asyncDispose]: async () => void (await stop('SIGKILL')) };
}
