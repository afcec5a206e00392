/** A place of its own for one end-to-end test: an empty store, a folder for files, and the command as users type it. */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeBase, type BaseName } from './bases.ts';
import { removeWithStore } from './remove-store.ts';
import { mainFile } from './main-file.ts';

export type Finished = {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Milliseconds. */
  readonly took: number;
};

export type CommandOptions = {
  readonly cwd?: string;
  readonly input?: string | Uint8Array;
  readonly environment?: Readonly<Record<string, string>>;
  /** Called with all of its standard error so far, whenever there is more. */
  readonly onStderr?: (text: string) => void;
  /** The same of its standard output. */
  readonly onStdout?: (text: string) => void;
  /** Called once with the process, to send it signals. */
  readonly onStart?: (process: { readonly pid: number; kill(signal: NodeJS.Signals): void }) => void;
};

export type Sandbox = AsyncDisposable & {
  readonly folder: string;
  readonly store: string;
  /** What makes a command use this sandbox. */
  readonly environment: Readonly<Record<string, string>>;
  /** Writes files below `folder`, making folders; a mode can follow the text. Gives the folder's path. */
  files(files: Readonly<Record<string, string | Uint8Array | { readonly text: string; readonly mode: number }>>, below?: string): string;
  /** Runs `jettison WORDS...` with this sandbox's store. */
  jettison(words: readonly string[], options?: CommandOptions): Promise<Finished>;
  /** The same, and fails the test with what it printed unless it exits with 0. Gives its standard output. */
  succeed(words: readonly string[], options?: CommandOptions): Promise<string>;
  /** Brings a base image into this sandbox's store. */
  base(name: BaseName): Promise<void>;
  /** Registries reached by plain HTTP at these addresses stand in for docker.io. */
  mirror(address: string): void;
  /** Writes the configuration file. */
  configure(config: object): void;
};

const root = fileURLToPath(new URL('../..', import.meta.url));
const cache = join(root, '.cache/bases');

export async function openSandbox(): Promise<Sandbox> {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-test-'));
  const store = join(folder, 'store');
  const config = join(folder, 'config.json');
  writeFileSync(config, '{}');

  // The machine's network stays as it is: tests of bridges have namespaces of their own.
  const environment = { JETTISON_STORE: store, JETTISON_CONFIG: config, DOCKER_CONFIG: join(folder, 'docker'), JETTISON_NETWORK: 'host' };
  const jettison: Sandbox['jettison'] = async (words, options = {}) =>
    await runCommand(process.execPath, [mainFile, ...words], {
      ...options,
      cwd: options.cwd ?? folder,
      environment: { ...environment, ...options.environment },
    });
  const succeed: Sandbox['succeed'] = async (words, options) => {
    const done = await jettison(words, options);
    if (done.status !== 0)
      throw new Error(`jettison ${words.join(' ')} ended with ${done.status ?? done.signal}\n${done.stdout}\n${done.stderr}`);
    return done.stdout;
  };

  return await Promise.resolve({
    folder,
    store,
    environment,
    jettison,
    succeed,
    files: (files, below = 'context') => {
      for (const [name, content] of Object.entries(files)) {
        const path = join(folder, below, name);
        mkdirSync(dirname(path), { recursive: true });
        if (typeof content === 'string' || content instanceof Uint8Array) writeFileSync(path, content);
        else {
          writeFileSync(path, content.text);
          chmodSync(path, content.mode);
        }
      }
      return join(folder, below);
    },
    base: async (name) => {
      const archive = join(cache, `${name}-image.tar`);
      mkdirSync(cache, { recursive: true });
      // Several test files run at once: one makes it, the others wait.
      await withLock(`${archive}.lock`, async () => {
        if (existsSync(archive)) return;
        await makeBase(name, { cache, tag: name, build: async ({ context, tag }) => void (await succeed(['build', '-t', tag, context])) });
        await succeed(['save', '-o', `${archive}.new`, name]);
        renameSync(`${archive}.new`, archive);
      });
      await succeed(['load', '-i', archive]);
    },
    mirror: (address) => writeFileSync(config, JSON.stringify({ registries: { 'docker.io': { mirrors: [address] } } })),
    configure: (json) => writeFileSync(config, JSON.stringify(json)),
    [Symbol.asyncDispose]: async () => await Promise.resolve(removeWithStore(folder, store)),
  });
}

/** Runs `action` while the file `path` is this process's; one that a process left behind when it ended does not count. */
async function withLock(path: string, action: () => Promise<void>): Promise<void> {
  while (!takeLock(path)) await new Promise((resolve) => setTimeout(resolve, 200));
  try {
    await action();
  } finally {
    rmSync(path);
  }
}

function takeLock(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    const owner = existsSync(path) ? readFileSync(path, 'utf8') : '';
    if (owner !== '' && !existsSync(`/proc/${owner}`)) rmSync(path, { force: true });
    return false;
  }
}

/** Runs a command to its end; its exit is a value. */
export async function runCommand(command: string, words: readonly string[], options: CommandOptions = {}): Promise<Finished> {
  const started = performance.now();
  const child = spawn(command, words, {
    cwd: options.cwd,
    env: { ...process.env, ...options.environment },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  // Who refuses the input closes it early.
  child.stdin?.on('error', () => undefined);
  if (options.input !== undefined) child.stdin?.end(options.input);
  const [stdout, stderr]: [Uint8Array[], Uint8Array[]] = [[], []];
  child.stdout?.on('data', (chunk: Uint8Array) => {
    stdout.push(chunk);
    options.onStdout?.(Buffer.concat(stdout).toString());
  });
  child.stderr?.on('data', (chunk: Uint8Array) => {
    stderr.push(chunk);
    options.onStderr?.(Buffer.concat(stderr).toString());
  });
  const ended = Promise.withResolvers<Finished>();
  child.on('error', ended.reject);
  child.on('close', (status, signal) => {
    ended.resolve({
      status,
      signal,
      stdout: Buffer.concat(stdout).toString(),
      stderr: Buffer.concat(stderr).toString(),
      took: performance.now() - started,
    });
  });
  if (child.pid !== undefined) options.onStart?.({ pid: child.pid, kill: (name) => child.kill(name) });
  return await ended.promise;
}

/** Lines of /proc/mounts that hold `text`, to show that nothing stayed mounted. */
export function mountsWith(text: string): readonly string[] {
  return readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .filter((line) => line.includes(text));
}
