/**
 * The distribution project's own registry (Debian's docker-registry) on 127.0.0.1, with a folder that goes with it. It is reached through a few lines that write down what is
 * asked: its own log is written, and read here, some time after the answer has arrived.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { createServer, request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

export type DockerRegistry = AsyncDisposable & {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly folder: string;
  /** What was answered so far, such as `"POST /v2/app/blobs/uploads/ HTTP/1.1" 202`; an answer is there before whoever asked has it. */
  accesses(): readonly string[];
};

/** Starts it and waits until it says where it listens. `extra` is YAML put at the end of its configuration. */
export async function startDockerRegistry(extra = ''): Promise<DockerRegistry> {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-registry-'));
  const file = join(folder.path, 'config.yml');
  // It chooses a free port itself: one that was free before may be somebody else's by then.
  writeFileSync(
    file,
    `version: 0.1\nlog:\n  level: info\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: ${folder.path}/data\nhttp:\n  addr: 127.0.0.1:0\n${extra}`,
  );
  const child = spawn('docker-registry', ['serve', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit');
  const port = await listeningPort(child.stderr);
  const accesses: string[] = [];
  const door = createServer((request, response) => passOn(request, response, { port, accesses }));
  door.listen(0, '127.0.0.1');
  await once(door, 'listening');
  const address = door.address();
  const own = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    host: `127.0.0.1:${own}`,
    folder: folder.path,
    accesses: () => [...accesses],
    async [Symbol.asyncDispose]() {
      door.closeAllConnections();
      door.close();
      await once(door, 'close');
      child.kill('SIGTERM');
      await ended;
      folder.remove();
    },
  };
}

/** Reads what it logs to its end: once the pipe is full, it waits in the middle of an answer until somebody does. */
async function listeningPort(log: Readable): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let said = '';
  log.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < 65_536) said += text;
    const port = /listening on 127\.0\.0\.1:(\d+)/u.exec(said)?.[1];
    if (port !== undefined) resolve(Number(port));
  });
  log.once('end', () => reject(new Error(`docker-registry does not start: ${said}`)));
  return await promise;
}

type Behind = { readonly port: number; readonly accesses: string[] };

/** Hands a request on as it is, and its answer back. */
function passOn(request: IncomingMessage, response: ServerResponse, { port, accesses }: Behind): void {
  const { method, url } = request;
  const behind = ask({ host: '127.0.0.1', port, method, path: url, headers: request.rawHeaders }, (answer) => {
    accesses.push(`"${method} ${url} HTTP/1.1" ${answer.statusCode}`);
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
    answer.pipe(response);
    answer.on('error', () => response.destroy());
  });
  behind.on('error', () => response.destroy());
  // Who goes away in the middle goes away there, too.
  response.on('close', () => behind.destroy());
  request.pipe(behind);
}
