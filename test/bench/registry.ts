/** docker-registry on a free port of 127.0.0.1, with its data below a folder of the bench. */
import { spawn } from 'node:child_process';
import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export type Registry = AsyncDisposable & { /** `127.0.0.1:PORT` */ readonly address: string };

/** Starts a registry with an empty store and waits until it answers, at most ten seconds. */
export async function startRegistry(folder: string): Promise<Registry> {
  mkdirSync(folder, { recursive: true });
  const address = `127.0.0.1:${await findPort()}`;
  const file = join(folder, 'registry.yml');
  const settings = [
    'version: 0.1',
    'log: {level: error}',
    `storage: {filesystem: {rootdirectory: "${folder}/data"}}`,
    `http: {addr: "${address}"}`,
  ];
  writeFileSync(file, `${settings.join('\n')}\n`);
  const log = openSync(join(folder, 'registry.log'), 'w');
  const child = spawn('docker-registry', ['serve', file], { stdio: ['ignore', log, log] });
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const kill = (): void => void child.kill();
  process.once('exit', kill);
  const stop = async (): Promise<void> => {
    process.off('exit', kill);
    kill();
    await gone;
  };
  for (let tries = 0; tries < 100; tries++) {
    if (await answers(address)) return { address, [Symbol.asyncDispose]: stop };
    await sleep(100);
  }
  await stop();
  throw new Error(`docker-registry does not answer at ${address}; see ${folder}/registry.log`);
}

async function answers(address: string): Promise<boolean> {
  try {
    return (await fetch(`http://${address}/v2/`)).ok;
  } catch {
    return false;
  }
}

async function findPort(): Promise<number> {
  const server = createServer();
  const listening = Promise.withResolvers<number>();
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    if (address === null || typeof address === 'string') listening.reject(new Error('No free port'));
    else listening.resolve(address.port);
  });
  const port = await listening.promise;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
