/**
 * One file from the web, for ADD. What was downloaded is kept, and the server is asked only whether it is still the same (RFC 9110, section 13).
 * Redirects are followed a few times; a password in the address goes to that server alone.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import * as v from 'valibot';
import { bootId } from '#ground/base/boot.ts';
import { algorithmOf, createDigester, digestOf, hexOf, isDigest, type Digest } from '#ground/base/digest.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { createTransport, failureOf, type Answer, type Transport, type TransportOptions } from '#stores/registry/transport.ts';
import { headerSecret } from './header-secret.ts';

export type WebFile = {
  /** http or https; may hold a user and a password. */
  readonly url: string;
  /** What the file is to be called: one part of a path. */
  readonly name: string;
  /** What its bytes must be. */
  readonly checksum: Digest | undefined;
};

export type Downloads = Disposable & {
  /**
   * Gives an absolute folder that holds the file alone: mode 600, modified when the server says, else at the beginning of 1970.
   * Throws `context/digest-mismatch`, `context/download-failed`, `context/too-large`, `context/no-space`, `context/bad-secret`.
   */
  fetch(file: WebFile, signal: AbortSignal): Promise<string>;
};

export type DownloadOptions = {
  /** Where downloads are kept; made when missing. */
  readonly folder: string;
  readonly userAgent: string;
  /** For the names of proxies. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** A secret of the build: `HTTP_AUTH_HEADER_` or `HTTP_AUTH_TOKEN_` and the host without its port, as BuildKit names them. */
  readonly secret?: (name: string) => string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Bytes. */
  readonly largest?: number;
} & Pick<TransportOptions, 'timing' | 'onWait'>;

const largestFile = 64 * 2 ** 30;
/** A version that another build may still read stays so long, in milliseconds. */
const oldVersionsStay = 60 * 60 * 1000;

/** What is remembered of an address. `version` is the folder of its file. */
const noteShape = v.object({
  version: v.pipe(v.string(), v.regex(/^[0-9a-z-]+$/u)),
  digest: v.string(),
  etag: v.optional(v.string()),
  lastModified: v.optional(v.string()),
  // The boot in which the file was written. In another one it may have lost bytes, and is read once to see.
  boot: v.optional(v.string()),
});
type Note = v.InferOutput<typeof noteShape>;

type Fetching = { readonly options: DownloadOptions; readonly transport: Transport; readonly file: WebFile; readonly place: string };

export function openDownloads(options: DownloadOptions): Downloads {
  const { userAgent, environment, timing, onWait } = options;
  const transport = createTransport({ userAgent, environment, onWait, ...(timing === undefined ? {} : { timing }) });
  return {
    fetch: async (file, signal) => {
      const place = join(options.folder, hexOf(digestOf(`${file.url}\0${file.name}`)).slice(0, 32));
      const known = readNote(place, file.name);
      if (known !== undefined) noteUse(place, options.now());
      if (known !== undefined && known.digest === file.checksum) return join(place, known.version);
      mkdirSync(place, { recursive: true, mode: 0o700 });
      const fetching = { options, transport, file, place };
      try {
        return join(place, await transport.persist(async () => await attempt(fetching, known, signal), signal));
      } catch (error) {
        throw explainDownload(error);
      }
    },
    [Symbol.dispose]: () => transport[Symbol.dispose](),
  };
}

/** Gives the name of the version's folder. */
async function attempt(fetching: Fetching, known: Note | undefined, signal: AbortSignal): Promise<string> {
  const { file, place, transport, options } = fetching;
  const url = new URL(file.url);
  const own = takeCredentials(url);
  const authorization = authorizationFor(url.hostname, options.secret) ?? own;
  const headers = { accept: '*/*', ...conditions(known, file.checksum) };
  using answer = await transport.send({ method: 'GET', url, headers, authorization }, signal);
  if (answer.status === 304 && known !== undefined) return known.version;
  if (answer.status !== 200) throw await failureOf(answer, 'GET');
  const draft = join(place, `draft-${randomUUID()}`);
  mkdirSync(draft, { mode: 0o700 });
  try {
    const digest = await receive(answer, join(draft, file.name), fetching);
    const lastModified = answer.headers['last-modified'];
    const modified = Math.max(0, Math.floor((Date.parse(lastModified ?? '') || 0) / 1000));
    utimesSync(join(draft, file.name), modified, modified);
    const version = `${hexOf(digest)}-${modified}`;
    // Servers that say neither ETag nor time send the same again and again: what was read when its note was is not read once more.
    if (known?.version !== version) moveInto(draft, join(place, version), { name: file.name, digest });
    const { etag } = answer.headers;
    const note: Note = {
      version,
      digest,
      boot: bootId(),
      ...(etag === undefined ? {} : { etag }),
      ...(lastModified === undefined ? {} : { lastModified }),
    };
    writeNote(place, note);
    forgetVersions(place, version, options.now());
    return version;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** What a known version with the wrong checksum is worth: nothing, so it is asked for in full. */
function conditions(known: Note | undefined, checksum: Digest | undefined): Readonly<Record<string, string>> {
  if (known === undefined || checksum !== undefined) return {};
  if (known.etag !== undefined) return { 'if-none-match': known.etag };
  return known.lastModified === undefined ? {} : { 'if-modified-since': known.lastModified };
}

/** A token wins over a header, as in BuildKit. Throws `context/bad-secret`. */
function authorizationFor(host: string, secret: DownloadOptions['secret']): string | undefined {
  if (secret === undefined) return undefined;
  const token = headerSecret(`HTTP_AUTH_TOKEN_${host}`, secret);
  return token === undefined ? headerSecret(`HTTP_AUTH_HEADER_${host}`, secret) : `Bearer ${token}`;
}

/** User and password of the address as an Authorization header; the address goes on without them. */
export function takeCredentials(url: URL): string | undefined {
  if (url.username === '' && url.password === '') return undefined;
  const pair = `${decoded(url.username)}:${decoded(url.password)}`;
  url.username = '';
  url.password = '';
  return `Basic ${btoa(String.fromCodePoint(...new TextEncoder().encode(pair)))}`;
}

/** A `%` that begins no encoded byte stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

/** Writes the body to `path` and gives its digest. */
async function receive(answer: Answer, path: string, { file, options }: Fetching): Promise<Digest> {
  const largest = options.largest ?? largestFile;
  const tooLarge = (): JettisonError =>
    new JettisonError('context/too-large', `"${answer.url.host}" sends a file of more than ${largest} bytes`, {
      fault: 'environment',
      hint: 'Check the address; a file of that size is better brought in by a build context of its own',
    });
  if (Number(answer.headers['content-length'] ?? 0) > largest) throw tooLarge();
  const digester = createDigester(file.checksum === undefined ? 'sha256' : algorithmOf(file.checksum));
  const output = openSync(path, 'wx', 0o600);
  try {
    let size = 0;
    for await (const chunk of answer.chunks()) {
      size += chunk.length;
      if (size > largest) throw tooLarge();
      digester.update(chunk);
      for (let at = 0; at < chunk.length; at += writeSync(output, chunk, at));
    }
  } finally {
    closeSync(output);
  }
  chmodSync(path, 0o600);
  const digest = digester.finish();
  if (file.checksum === undefined || file.checksum === digest) return digest;
  throw new JettisonError('context/digest-mismatch', `Digest mismatch: the file is ${digest}, --checksum wants ${file.checksum}`, {
    hint: 'If the file was changed on purpose, change the checksum, too',
  });
}

/** Another build may have put the same version there; what a crash of the machine has left of it may not be the same. */
function moveInto(draft: string, version: string, { name, digest }: { readonly name: string; readonly digest: Digest }): void {
  for (;;) {
    try {
      renameSync(draft, version);
      return;
    } catch (error) {
      const code = systemCode(error);
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    }
    if (digestOfFile(join(version, name), algorithmOf(digest)) === digest) return;
    rmSync(version, { recursive: true, force: true });
  }
}

/** undefined when there is none. */
function digestOfFile(path: string, algorithm: ReturnType<typeof algorithmOf>): Digest | undefined {
  if (!existsSync(path)) return undefined;
  const digester = createDigester(algorithm);
  const block = new Uint8Array(1 << 20);
  const file = openSync(path, 'r');
  try {
    for (let count = readSync(file, block); count > 0; count = readSync(file, block)) digester.update(block.subarray(0, count));
  } finally {
    closeSync(file);
  }
  return digester.finish();
}

/** undefined when nothing is known, or the file is not there any more. */
function readNote(place: string, name: string): (Note & { readonly digest: Digest }) | undefined {
  try {
    const note = v.parse(noteShape, JSON.parse(readFileSync(join(place, 'note.json'), 'utf8')));
    const { digest } = note;
    if (!isDigest(digest) || !statSync(join(place, note.version, name)).isFile()) return undefined;
    return isWhole(place, name, { ...note, digest }) ? { ...note, digest } : undefined;
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' && !(error instanceof SyntaxError) && !v.isValiError(error)) throw error;
    return undefined;
  }
}

/** What was written in this boot is there, and what was read once in a later one came from the disk. */
function isWhole(place: string, name: string, note: Note & { readonly digest: Digest }): boolean {
  const { boot, ...seen } = note;
  if (boot === undefined || boot === bootId()) return true;
  const isSame = digestOfFile(join(place, note.version, name), algorithmOf(note.digest)) === note.digest;
  if (isSame) writeNote(place, seen);
  return isSame;
}

function writeNote(place: string, note: Note): void {
  const draft = join(place, `note-${randomUUID()}`);
  writeFileSync(draft, JSON.stringify(note), { mode: 0o600 });
  renameSync(draft, join(place, 'note.json'));
}

/** The note's time says when the file was last of use: see kept-downloads.ts. */
function noteUse(place: string, now: number): void {
  utimesSync(join(place, 'note.json'), now / 1000, now / 1000);
}

/** What is neither new nor young goes: old versions, and drafts of builds that were killed. */
function forgetVersions(place: string, version: string, now: number): void {
  for (const name of readdirSync(place)) {
    if (name === version || name === 'note.json') continue;
    const stats = statSync(join(place, name), { throwIfNoEntry: false });
    if (stats !== undefined && now - stats.ctimeMs > oldVersionsStay) rmSync(join(place, name), { recursive: true, force: true });
  }
}

/** Errors of the transport speak of registries in their codes and hints: the same as `context/download-failed`. */
export function explainDownload(error: unknown): unknown {
  const code = systemCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new JettisonError('context/no-space', 'No space left for a download', { fault: 'environment', cause: error });
  }
  if (!(error instanceof JettisonError) || !error.code.startsWith('registry/')) return error;
  return new JettisonError('context/download-failed', error.message, {
    fault: error.fault,
    cause: error,
    hint: 'Check the address, and that it can be reached from here',
  });
}
