/** The distribution project's own registry (Debian's docker-registry) on 127.0.0.1, with a folder that goes with it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type DockerRegistry = AsyncDisposable & {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly folder: string;
  /** Lines of its access log so far, such as `"POST /v2/app/blobs/uploads/ HTTP/1.1" 202`. */
  accesses(): readonly string[];
};

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Starts it and waits until it answers. `extra` is YAML put at the end of its configuration. */
export async function startDockerRegistry(extra = ''): Promise<DockerRegistry> {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-registry-'));
  const host = `127.0.0.1:${await freePort()}`;
  const file = join(folder.path, 'config.yml');
  writeFileSync(
    file,
    `version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: ${folder.path}/data\nhttp:\n  addr: ${host}\n${extra}`,
  );
  const child = spawn('docker-registry', ['serve', file], { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'exit');
  const output: Uint8Array[] = [];
  child.stdout.on('data', (chunk: Uint8Array) => output.push(chunk));
  for (let tries = 0; !(await answers(host)); tries++) {
    assert.ok(tries < 200, 'docker-registry does not start');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    host,
    folder: folder.path,
    accesses: () =>
      Buffer.concat(output)
        .toString()
        .split('\n')
        .flatMap((line) => /"[A-Z]+ \/v2\/[^"]*" \d+/u.exec(line) ?? []),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await ended;
      folder.remove();
    },
  };
}

async function answers(host: string): Promise<boolean> {
  try {
    const answer = await fetch(`http://${host}/v2/`, { signal: AbortSignal.timeout(2000) });
    await answer.arrayBuffer();
    return answer.ok || answer.status === 401;
  } catch {
    return false;
  }
}
