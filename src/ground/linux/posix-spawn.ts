/**
 * Starting a program without copying this process: posix_spawn(3) shares memory with the child until it has become the program, where Node's `spawn` forks,
 * which takes time and page faults by the size of the parent. The price is that Node knows nothing of the child: whose end is seen here.
 */
import { constants } from 'node:fs';
import { koffi } from './foreign.ts';
import { SystemCallError } from './libc.ts';

export type SpawnRequest = {
  /** Path of the program; it is not looked up in PATH. */
  readonly file: string;
  /** All arguments, the program's own name first. */
  readonly arguments: readonly string[];
  /** `NAME=value` */
  readonly environment: readonly string[];
  readonly folder: string;
  /** Open files of this process that become 0, 1, 2 and so on of the child, which gets no others; 'nothing' is /dev/null. */
  readonly streams: readonly [SpawnStream, SpawnStream, SpawnStream, ...SpawnStream[]];
};

export type SpawnStream = number | 'nothing';

/** How a child ended: as wait(2) puts it. */
export type SpawnEnd = { readonly code: number } | { readonly signal: number };

export type SpawnedProcess = {
  readonly pid: number;
  /** Settles when the process has ended; never rejects. From then on `pid` may be another's. */
  readonly ended: Promise<SpawnEnd>;
};

const libc = koffi.load('libc.so.6');
const native = {
  spawn: libc.func('int posix_spawn(_Out_ int*, const char*, const uint8_t*, const uint8_t*, const char**, const char**)'),
  initActions: libc.func('int posix_spawn_file_actions_init(uint8_t*)'),
  destroyActions: libc.func('int posix_spawn_file_actions_destroy(uint8_t*)'),
  addOpen: libc.func('int posix_spawn_file_actions_addopen(uint8_t*, int, const char*, int, uint32_t)'),
  addDuplicate: libc.func('int posix_spawn_file_actions_adddup2(uint8_t*, int, int)'),
  addFolder: libc.func('int posix_spawn_file_actions_addchdir_np(uint8_t*, const char*)'),
  initAttributes: libc.func('int posix_spawnattr_init(uint8_t*)'),
  setFlags: libc.func('int posix_spawnattr_setflags(uint8_t*, int16_t)'),
  setDefaultSignals: libc.func('int posix_spawnattr_setsigdefault(uint8_t*, const uint8_t*)'),
  waitpid: libc.func('int waitpid(int, _Out_ int*, int)'),
  fcntl: libc.func('int fcntl(int, int, int)'),
};

/** More than what any libc's structures take (glibc on x86-64: 80 and 336 bytes). */
const structureSize = 1024;
const signalSetSize = 128;
const setDefaultSignals = 4;
const setSignalMask = 8;
const readWrite = 2;
const noHang = 1;
const [getFileFlags, setFileFlags] = [3, 4];
const lastOwnStream = 2;
/** The end of a child is told by SIGCHLD; this is for one that is not (a thread gets no signals), and it keeps Node from ending meanwhile. */
const lookEvery = 1000;

const attributes = signalsAsUsual();
const waiting = new Map<number, (end: SpawnEnd) => void>();
let watch: NodeJS.Timeout | undefined;

/**
 * Starts a program with default signal actions and none blocked. Returns once it has begun; throws a SystemCallError (`ENOENT`, `EACCES`, ...) when it, or the
 * folder, could not be. This process is held until then: some tenths of a millisecond.
 */
export function spawnProgram(request: SpawnRequest): SpawnedProcess {
  const ended = Promise.withResolvers<SpawnEnd>();
  // Before the start: a short program may have ended when it returns.
  watch ??= watchChildren();
  try {
    const pid = start(request);
    waiting.set(pid, ended.resolve);
    return { pid, ended: ended.promise };
  } finally {
    leaveWatch();
  }
}

function start(request: SpawnRequest): number {
  const actions = new Uint8Array(structureSize);
  demand(native.initActions(actions), request.file);
  try {
    for (const [target, stream] of request.streams.entries()) {
      if (stream === 'nothing') demand(native.addOpen(actions, target, '/dev/null', readWrite, 0), request.file);
      else demand(native.addDuplicate(actions, stream, target), request.file);
      if (stream !== 'nothing' && stream <= lastOwnStream) makeBlocking(stream);
    }
    demand(native.addFolder(actions, request.folder), request.file);
    const pid = new Int32Array(1);
    demand(
      native.spawn(pid, request.file, actions, attributes, [...request.arguments, null], [...request.environment, null]),
      request.file,
    );
    return pid[0] ?? 0;
  } finally {
    native.destroyActions(actions);
  }
}

/** Of its own streams Node makes ones that never wait, which belongs to the open file that the program gets: it would take "nothing yet" for an error. */
function makeBlocking(file: number): void {
  const flags = Number(native.fcntl(file, getFileFlags, 0));
  if (flags >= 0 && (flags & constants.O_NONBLOCK) !== 0) native.fcntl(file, setFileFlags, flags & ~constants.O_NONBLOCK);
}

/** Node ignores SIGPIPE, and a program inherits what is ignored. */
function signalsAsUsual(): Uint8Array {
  const made = new Uint8Array(structureSize);
  demand(native.initAttributes(made), 'attributes');
  demand(native.setFlags(made, setDefaultSignals | setSignalMask), 'attributes');
  demand(native.setDefaultSignals(made, new Uint8Array(signalSetSize).fill(0xff)), 'attributes');
  return made;
}

/** These functions give the error instead of setting errno. */
function demand(error: number, subject: string): void {
  if (error !== 0) throw new SystemCallError('posix_spawn', error, subject);
}

function watchChildren(): NodeJS.Timeout {
  process.on('SIGCHLD', reap);
  return setInterval(reap, lookEvery);
}

/** Without children nothing is listened to: the process may be another program's, see faces/library. */
function leaveWatch(): void {
  if (waiting.size > 0) return;
  clearInterval(watch);
  watch = undefined;
  process.off('SIGCHLD', reap);
}

/** Takes the ends of the children started here and of no others: Node waits for its own by their ids, too. */
function reap(): void {
  for (const [pid, tell] of waiting) {
    const status = new Int32Array(1);
    const found = Number(native.waitpid(pid, status, noHang));
    if (found === 0) continue;
    waiting.delete(pid);
    // An end that somebody else has taken is not known, and must not pass for success.
    tell(found === pid ? endOf(status[0] ?? 0) : { code: 255 });
  }
  leaveWatch();
}

function endOf(status: number): SpawnEnd {
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff } : { signal };
}
