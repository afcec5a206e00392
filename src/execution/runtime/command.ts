/** Says before a start why a command cannot be started, in the words people know from Docker: a runtime says it only after the set-up, and each in its own way. */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { asByteString, nodePath, toText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import type { ProcessRequest } from './contract.ts';
import { refusedFormat } from './program-format.ts';
import type { RootTree } from './root.ts';

const maximumInterpreters = 4;

/**
 * Looks for the program of `request` in the root: through PATH, its execute bits, the interpreter of a script, the loader of an ELF program.
 * What lies below a mount of the request is not looked at. Throws `runtime/command-not-found`, `runtime/command-not-executable`, `runtime/no-interpreter`, `runtime/not-a-program`.
 */
export function checkCommand(
  tree: RootTree,
  request: Pick<ProcessRequest, 'arguments' | 'environment' | 'workingDirectory' | 'mounts' | 'user' | 'security' | 'confinement'>,
): void {
  // In a step without a sandbox other users than root have all rights, too.
  const mayAll = request.user.uid === 0 || (request.security === 'insecure' && request.confinement === undefined);
  const isCovered = (path: string): boolean =>
    /^\/(?:proc|sys|dev)\//u.test(path) ||
    request.mounts.some(({ target }) => path === target || path.startsWith(target.endsWith('/') ? target : `${target}/`));
  const look: Look<Program> = (path) => {
    if (isCovered(path)) return { kind: 'unknown' };
    const { path: real, entry } = tree.resolve(path);
    if (isCovered(`/${toText(real)}`)) return { kind: 'unknown' };
    if (!entry) return { kind: 'missing' };
    if (entry.kind !== 'file' || (entry.mode & 0o111) === 0) return { kind: 'not-executable' };
    const way = [entry, ...foldersAbove(real).map((folder) => tree.entry(folder))];
    const isClosed = !mayAll && way.some((one) => one !== undefined && isDenied(one, request.user));
    return isClosed ? { kind: 'closed' } : { kind: 'program', open: () => openEntry(entry) };
  };
  const [name = ''] = request.arguments;
  const seen = assertProgram(request, look);
  if (seen.kind === 'program') checkInterpreter(name, seen, look);
}

/** No execute bit for this user, whatever access control lists say: with one, the group's bits are the most that it gives. */
function isDenied({ mode, uid, gid }: TreeEntry, user: ProcessRequest['user']): boolean {
  if (uid === user.uid) return (mode & 0o100) === 0;
  if (gid === user.gid || user.additionalGids.includes(gid)) return (mode & 0o010) === 0;
  return (mode & 0o011) === 0;
}

/** Of a path without a leading slash; the root first. */
function foldersAbove(path: string): readonly ByteString[] {
  const names = path.split('/').slice(0, -1);
  return [...names.keys(), names.length].map((count) => asByteString(names.slice(0, count).join('/')));
}

function openEntry({ hostPath }: TreeEntry): OpenProgram {
  const file = openSync(nodePath(hostPath), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  return { file, [Symbol.dispose]: () => closeSync(file) };
}

type Asked = Pick<ProcessRequest, 'arguments' | 'environment' | 'workingDirectory'>;

/** Looks for the program of `request` by `look`, and gives what that saw of it. Throws `runtime/command-not-found`, `runtime/command-not-executable`. */
export function assertProgram<S extends { readonly kind: 'unknown' | 'program' }>(request: Asked, look: Look<S>): S {
  const [name = ''] = request.arguments;
  if (name === '')
    throw new JettisonError('runtime/command-not-found', 'No command to run', {
      hint: 'The image has no CMD or ENTRYPOINT: name a command',
    });
  const seen = findProgram(name, request, look);
  if (!isNoProgram(seen)) return seen;
  if (seen.kind === 'missing') throw notFound(name);
  throw new JettisonError('runtime/command-not-executable', `exec: "${name}": permission denied`, {
    hint:
      seen.kind === 'closed'
        ? 'Its user may not start it, or not pass a folder on the way: give them the mode 755, or another owner'
        : 'The file is not executable: chmod +x it',
  });
}

/** `closed`: not for this user. */
export type NoProgram = { readonly kind: 'missing' | 'not-executable' | 'closed' };
export type OpenProgram = Disposable & { readonly file: number };
/** A file that may be run; `open` is to read it, undefined when it is gone by now. */
export type Program = { readonly kind: 'unknown' } | { readonly kind: 'program'; readonly open: () => OpenProgram | undefined };
type Look<S> = (path: string) => S | NoProgram;

function findProgram<S extends { readonly kind: 'unknown' | 'program' }>(
  name: string,
  request: Pick<ProcessRequest, 'environment' | 'workingDirectory'>,
  look: Look<S>,
): S | NoProgram {
  const absolute = (path: string): string => (path.startsWith('/') ? path : `${request.workingDirectory}/${path}`);
  if (name.includes('/')) return look(absolute(name));
  const folders =
    request.environment
      .findLast((each) => each.startsWith('PATH='))
      ?.slice('PATH='.length)
      .split(':') ?? [];
  let refused: NoProgram | undefined;
  for (const folder of folders) {
    const seen = look(`${absolute(folder)}/${name}`);
    if (!isNoProgram(seen)) return seen;
    if (seen.kind !== 'missing') refused ??= seen;
  }
  return refused ?? { kind: 'missing' };
}

function isNoProgram(seen: { readonly kind: string }): seen is NoProgram {
  return seen.kind === 'missing' || seen.kind === 'not-executable' || seen.kind === 'closed';
}

/** Where the program of `request` may be, as execvp(3) looks for it: one file, or one for each folder of PATH. */
export function programPaths({
  arguments: [name = ''],
  environment,
  workingDirectory,
}: Pick<ProcessRequest, 'arguments' | 'environment' | 'workingDirectory'>): readonly string[] {
  const absolute = (path: string): string => (path.startsWith('/') ? path : `${workingDirectory}/${path}`);
  if (name.includes('/')) return [absolute(name)];
  const path = environment.findLast((each) => each.startsWith('PATH='))?.slice('PATH='.length) ?? '';
  return path.split(':').map((folder) => `${absolute(folder)}/${name}`);
}

function notFound(name: string): JettisonError {
  const reason = name.includes('/') ? `stat ${name}: no such file or directory` : 'executable file not found in $PATH';
  const hint = /(?:^|\/)(?:ba|da|a)?sh$/u.test(name)
    ? 'The image has no shell: use the JSON form ["program", "argument"], or a base with a shell'
    : 'The image does not have this program: check its name and PATH';
  return new JettisonError('runtime/command-not-found', `exec: "${name}": ${reason}`, { hint });
}

/** The kernel says "no such file" of a program that is there when it means the program's interpreter: throws `runtime/no-interpreter` then, and `runtime/not-a-program` for what no kernel starts. */
export function checkInterpreter(name: string, program: Extract<Program, { kind: 'program' }>, look: Look<Program>): void {
  let { open } = program;
  let before = name;
  for (let depth = 0; depth < maximumInterpreters; depth++) {
    const interpreter = interpreterOf(open);
    if (interpreter === undefined) return;
    if (interpreter.kind === 'none')
      throw new JettisonError('runtime/not-a-program', `exec ${name}: exec format error`, {
        hint: `"${before}" ${interpreter.why}`,
      });
    before = interpreter.path;
    const seen = look(interpreter.path);
    if (seen.kind === 'missing') {
      throw new JettisonError('runtime/no-interpreter', `exec ${name}: no such file or directory`, { hint: hintFor(name, interpreter) });
    }
    if (seen.kind !== 'program') return;
    ({ open } = seen);
  }
}

type Interpreter = { readonly kind: 'script' | 'loader'; readonly path: string } | { readonly kind: 'none'; readonly why: string };

function hintFor(name: string, { kind, path }: Extract<Interpreter, { path: string }>): string {
  if (kind === 'script') return `"${name}" is a script for "${path}", which the image does not have`;
  const library = path.includes('musl') ? 'musl (an Alpine base)' : 'glibc (a Debian or distroless/base base)';
  return `"${name}" is there, but the loader it was linked for, "${path}", is not: use a base with ${library}, or link the program statically`;
}

/** undefined for a static program, and for what may be one. */
function interpreterOf(open: () => OpenProgram | undefined): Interpreter | undefined {
  using opened = open();
  if (opened === undefined) return undefined;
  const head = readAt(opened.file, 0, 256);
  if (head[0] === 0x23 && head[1] === 0x21) return scriptInterpreter(head);
  const why = refusedFormat(head);
  if (why !== undefined) return { kind: 'none', why };
  const path = loaderOf(opened.file, head);
  return path === undefined ? undefined : { kind: 'loader', path };
}

function scriptInterpreter(head: Uint8Array): Interpreter | undefined {
  const [line = ''] = new TextDecoder().decode(head.subarray(2)).split('\n');
  // Blanks and a NUL end the name, and nothing else does (fs/binfmt_script.c).
  const [path = ''] = line.replace(/^[ \t]+/u, '').split(/[ \t\0]/u);
  return path.startsWith('/') ? { kind: 'script', path } : undefined;
}

const PT_INTERP = 3;

/** elf(5): PT_INTERP of a little-endian program. */
function loaderOf(file: number, head: Uint8Array): string | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (head.length < 64 || view.getUint32(0) !== 0x7f454c46 || head[5] !== 1) return undefined;
  const wide = head[4] === 2;
  const start = wide ? Number(view.getBigUint64(32, true)) : view.getUint32(28, true);
  const size = view.getUint16(wide ? 54 : 42, true);
  const count = Math.min(view.getUint16(wide ? 56 : 44, true), 256);
  if (size < (wide ? 56 : 32)) return undefined;
  const table = readAt(file, start, size * count);
  const headers = new DataView(table.buffer, table.byteOffset, table.byteLength);
  for (let at = 0; at + size <= table.length; at += size) {
    if (headers.getUint32(at, true) !== PT_INTERP) continue;
    const offset = wide ? Number(headers.getBigUint64(at + 8, true)) : headers.getUint32(at + 4, true);
    const text = new TextDecoder().decode(readAt(file, offset, 4096));
    const path = text.slice(0, Math.max(text.indexOf('\0'), 0));
    return path.startsWith('/') ? path : undefined;
  }
  return undefined;
}

function readAt(file: number, position: number, length: number): Uint8Array {
  if (!Number.isSafeInteger(position)) return new Uint8Array(0);
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, readSync(file, bytes, 0, length, position));
}
