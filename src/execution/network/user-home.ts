/**
 * The home of a normal user's bridges: a user namespace with a network namespace, made for the first container on a network with a name and gone with the last. Who stands in it holds a
 * shared lock on the file `members`; the process that holds the namespaces and the one that leads them out each wait for the exclusive lock and end while they have it, so nothing is left
 * however members end, and whoever has a shared lock sees the home either whole or gone.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import * as v from 'valibot';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { startOf } from '#ground/base/process-identity.ts';
import { sendSignal } from '#ground/linux/child.ts';
import type { Isolation } from '#ground/linux/isolation.ts';
import { readyFile, startLasting } from '#ground/linux/lasting-program.ts';
import { tryLockFile, type FileLock } from '#ground/linux/lock-file.ts';
import { haveOneUserNamespace, userNamespaceOptions } from '#ground/linux/user-namespace.ts';
import { parseResolvConf, readMachineResolvConf } from './resolv-conf.ts';
import {
  findUserNetworkProgram,
  obstacleToUserNetwork,
  pastaCommand,
  programFailed,
  serversBehind,
  slirpCommand,
  type UserNetworkProgram,
} from './user-network.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type HomeWish = {
  /** Where its files are; it is made. */
  readonly folder: string;
  /** Of the containers in it, whose ids it has. */
  readonly isolation: Isolation;
  readonly environment: Environment;
};

export type UserHome = Disposable & {
  /** The one that holds the namespaces. */
  readonly process: number;
  /** Name servers as they are reached from it. */
  readonly servers: readonly string[];
  /** Why nothing goes out of it. */
  readonly obstacle: string | undefined;
};

const processSchema = v.object({ pid: v.number(), start: v.string() });
const homeSchema = v.object({
  anchor: processSchema,
  /** `undefined`: nothing leads out. */
  carrier: v.optional(processSchema),
  servers: v.array(v.string()),
  obstacle: v.optional(v.string()),
});
type Home = v.InferOutput<typeof homeSchema>;

const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** SIGTERM. */
const ended = 15;
/** Milliseconds between two looks whether somebody else is still making it. */
const lookEvery = 20;
const forwardNothing = ['-t', 'none', '-u', 'none'] as const;

/** Holds the namespaces by being in them: `$0` is the lock. */
const anchoring = `echo there >&${readyFile}; exec ${readyFile}>&- 2>/dev/null; exec flock "$0" /bin/sh -c 'kill -9 "$0"' $$`;
/** Ends the program `$pid` once nobody is at home. */
const waiting = `exec ${readyFile}>&- 2>/dev/null; exec flock "$lock" /bin/sh -c 'kill "$0"' "$pid"`;
const carryingPasta = `lock=$0 file=$1; shift; "$@" ${readyFile}>&- || exit; pid=$(cat "$file"); rm -f "$file"; echo "pid=$pid" >&${readyFile}; ${waiting}`;
/** What slirp4netns complains of later nobody reads, and is not to end it (a pipe whose reader has gone); pasta sees to that itself. */
const carryingSlirp = `trap '' PIPE; lock=$0; "$@" & pid=$!; echo "pid=$pid" >&${readyFile}; ${waiting}`;

/**
 * Takes part in the home, making it where there is none, until it is disposed; this process's end is the end of its part, too. Throws `network/no-home` where the kernel gives no
 * namespaces, and `network/program-failed`.
 */
export async function openUserHome(wish: HomeWish): Promise<UserHome> {
  const { folder } = wish;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  using undo = new DisposableStack();
  using _ = await lockPatiently(join(folder, 'making'));
  const member = tryLockFile(join(folder, 'members'), { exclusive: false, wait: true });
  if (member === undefined) throw new JettisonError('network/no-lock', `Cannot take the lock ${folder}/members`, { fault: 'environment' });
  undo.use(member);
  const { anchor, servers, obstacle } = readHome(folder) ?? (await makeHome(wish));
  const held = undo.move();
  return { process: anchor.pid, servers, obstacle, [Symbol.dispose]: () => held.dispose() };
}

/** The process that holds the home's namespaces; undefined where there is no home now, or `beside` is not in its user namespace. */
export function findUserHome(folder: string, beside: number): number | undefined {
  const home = readHome(folder)?.anchor.pid;
  return home !== undefined && haveOneUserNamespace(home, beside) ? home : undefined;
}

async function lockPatiently(path: string): Promise<FileLock> {
  for (;;) {
    const lock = tryLockFile(path, { exclusive: true, wait: false });
    if (lock !== undefined) return lock;
    await pause(lookEvery);
  }
}

/** Undefined where it is not whole any more. */
function readHome(folder: string): Home | undefined {
  const home = readRecord(folder);
  return home !== undefined && isThere(home.anchor) && (home.carrier === undefined || isThere(home.carrier)) ? home : undefined;
}

function readRecord(folder: string): Home | undefined {
  try {
    return v.parse(homeSchema, JSON.parse(readFileSync(join(folder, 'home.json'), 'utf8')));
  } catch (error) {
    // Whoever wrote it may have been killed while at it.
    if (systemCode(error) === 'ENOENT' || error instanceof SyntaxError || error instanceof v.ValiError) return undefined;
    throw error;
  }
}

function isThere({ pid, start }: v.InferOutput<typeof processSchema>): boolean {
  return startOf(pid) === start;
}

async function makeHome({ folder, isolation, environment }: HomeWish): Promise<Home> {
  endLeftCarrier(readRecord(folder));
  const path = environment['PATH'] ?? usualPath;
  const lock = join(folder, 'members');
  const words = [...userNamespaceOptions(isolation), '--net', '/bin/sh', '-c', anchoring, lock];
  const anchor = await startLasting(
    { command: 'unshare', arguments: words, environment: { PATH: path } },
    (text) => text.includes('there') || undefined,
  ).catch(noHome);
  const program = findUserNetworkProgram(environment);
  const obstacle = program === undefined ? 'neither pasta nor slirp4netns is here' : obstacleToUserNetwork();
  const home: Home = { anchor: processOf(anchor.pid), servers: [], ...(obstacle === undefined ? {} : { obstacle }) };
  if (program !== undefined && obstacle === undefined) {
    home.servers = [...serversBehind(program, parseResolvConf(readMachineResolvConf()))];
    home.carrier = processOf(await startCarrier(program, { pid: anchor.pid, lock, servers: home.servers, path }));
  }
  writeFileSync(join(folder, 'home.json'), JSON.stringify(home), { mode: 0o600 });
  return home;
}

/** One that has lost who waits for its time to end. */
function endLeftCarrier(home: Home | undefined): void {
  if (home?.carrier === undefined || isThere(home.anchor) || !isThere(home.carrier)) return;
  sendSignal(home.carrier.pid, ended);
}

function processOf(pid: number): { pid: number; start: string } {
  return { pid, start: startOf(pid) ?? '' };
}

type Carrying = {
  readonly pid: number;
  readonly lock: string;
  readonly servers: readonly string[];
  readonly path: string;
};

/** Gives the number of the program that carries packets. */
async function startCarrier({ name, path: program }: UserNetworkProgram, { pid, lock, servers, path }: Carrying): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-pasta-'));
  const file = join(folder, 'pid');
  const words =
    name === 'pasta'
      ? ['-c', carryingPasta, lock, file, ...pastaCommand({ path: program, pid, servers, forwards: forwardNothing, file })]
      : ['-c', carryingSlirp, lock, ...slirpCommand({ path: program, pid }, [`--ready-fd=${readyFile}`])];
  // slirp4netns writes "1" when it is ready.
  const isReady = (text: string): number | undefined => {
    const found = /pid=(\d+)\n/u.exec(text);
    return found === null || (name === 'slirp4netns' && !text.replace(found[0], '').includes('1')) ? undefined : Number(found[1]);
  };
  try {
    return (await startLasting({ command: '/bin/sh', arguments: words, environment: { PATH: path } }, isReady)).found;
  } catch (error) {
    throw programFailed(name, error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function noHome(error: unknown): never {
  throw new JettisonError(
    'network/no-home',
    `Cannot make the namespaces for a network of containers: ${error instanceof Error ? error.message : String(error)}`,
    {
      fault: 'environment',
      hint: 'See "jettison doctor", or leave --network out',
      cause: error,
    },
  );
}
