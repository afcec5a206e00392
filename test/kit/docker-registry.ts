/** The distribution project's own registry (Debian's docker-registry) on 127.0.0.1, with a folder that goes with it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempDisposableSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export type DockerRegistry = AsyncDisposable & {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly folder: string;
  /** Lines of its access log, such as `"POST /v2/app/blobs/uploads/ HTTP/1.1" 202`. It writes them after the answer has gone: they are waited for until none comes any more. */
  accesses(): readonly string[];
};

/**
 * Starts it and waits until it says where it listens. `extra` is YAML put at the end of its configuration. It writes to files: with a pipe that nobody reads while a test waits for
 * a command it would stand still in the middle of an answer.
 */
export async function startDockerRegistry(extra = ''): Promise<DockerRegistry> {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-registry-'));
  const file = (name: string): string => join(folder.path, name);
  // It chooses a free port itself: one that was free before may be somebody else's by then.
  writeFileSync(
    file('config.yml'),
    `version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: ${folder.path}/data\nhttp:\n  addr: 127.0.0.1:0\n${extra}`,
  );
  const [output, log] = [openSync(file('accesses'), 'a'), openSync(file('log'), 'a')];
  const child = spawn('docker-registry', ['serve', file('config.yml')], { stdio: ['ignore', output, log] });
  for (const opened of [output, log]) closeSync(opened);
  const ended = once(child, 'exit');
  const port = await listeningPort(
    () => readFileSync(file('log'), 'utf8'),
    () => child.exitCode !== null,
  );
  return {
    host: `127.0.0.1:${port}`,
    folder: folder.path,
    accesses: () => settled(() => readFileSync(file('accesses'), 'utf8').match(/"[A-Z]+ \/v2\/[^"]*" \d+/gu) ?? []),
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await ended;
      folder.remove();
    },
  };
}

async function listeningPort(log: () => string, hasEnded: () => boolean): Promise<number> {
  for (;;) {
    const over = hasEnded();
    const port = /listening on 127\.0\.0\.1:(\d+)/u.exec(log())?.[1];
    if (port !== undefined) return Number(port);
    if (over) throw new Error(`docker-registry does not start: ${log()}`);
    await sleep(20);
  }
}

/** What `look` gives when nothing has been added for a quarter of a second. */
function settled(look: () => readonly string[]): readonly string[] {
  for (let before = look(); ;) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 250);
    const now = look();
    if (now.length === before.length) return now;
    before = now;
  }
}
