/**
 * How the bundle starts (`scripts/bundle.ts` makes `main.cjs` and `worker.cjs` of it): the chunks beside this file are compiled with V8's code cache.
 * Node's own compile cache keeps a module as it was before it ran, without the functions that are compiled when they are first called; a no-op build
 * spends a fifth of its time on compiling those. What is kept here is taken at the end of a run. A chunk's name has its content's hash, so a file in
 * the cache belongs to one text; V8 itself refuses data of another version or other flags, and then the chunk is compiled as if there were none.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';

/** A kept file begins with its CRC-32, in as many bytes as leave the rest aligned: V8 copies what is not. */
const sumBytes = 8;

/** The chunk to start, written in by the bundler. */
const entry = 'ENTRY-CHUNK';

type Chunk = { exports: unknown };
type Body = (exports: unknown, require: (id: string) => unknown, module: Chunk, filename: string, dirname: string) => void;

const here = import.meta.dirname;
const requireOther = createRequire(import.meta.filename);
const loaded = new Map<string, Chunk>();
/** Compiled in this run without a cache, by chunk name. */
const fresh = new Map<string, Script>();
const cache = cacheFolder();

load(entry);
process.on('exit', keepFresh);

function load(name: string): Chunk {
  const known = loaded.get(name);
  if (known) return known;
  const chunk: Chunk = { exports: {} };
  loaded.set(name, chunk);
  const filename = join(here, name);
  const body = compile(name, filename);
  body(chunk.exports, (id) => (id.startsWith('./') ? load(basename(id)).exports : requireOther(id)), chunk, filename, here);
  return chunk;
}

function compile(name: string, filename: string): Body {
  const source = readFileSync(filename, 'utf8');
  const cachedData = readKept(name);
  const script = new Script(`(function (exports, require, module, __filename, __dirname) {${source}\n})`, {
    filename,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  if (cachedData === undefined || script.cachedDataRejected === true) fresh.set(name, script);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the wrapper is written four lines above
  return script.runInThisContext() as Body;
}

/** Private to the user, as `main.ts` has it: code that others could plant must never be read. */
function cacheFolder(): string | undefined {
  const { NODE_COMPILE_CACHE: given, XDG_CACHE_HOME: caches, HOME: home } = process.env;
  const folder = given || (caches && `${caches}/jettison/compile`) || (home && `${home}/.cache/jettison/compile`);
  return folder ? join(folder, `chunks-${process.version}-${process.arch}`) : undefined;
}

function readKept(name: string): Buffer | undefined {
  if (cache === undefined) return undefined;
  try {
    const kept = readFileSync(join(cache, name));
    const data = kept.subarray(sumBytes);
    // V8 would run damaged data.
    return kept.length > sumBytes && kept.readUInt32LE(0) === crc32(data) ? data : undefined;
  } catch {
    return undefined;
  }
}

function keepFresh(): void {
  if (cache === undefined || fresh.size === 0) return;
  try {
    // What is above it was made with Node's own cache. Not `recursive`: below /proc that never ends.
    if (!existsSync(cache)) mkdirSync(cache, { mode: 0o700 });
    for (const [name, script] of fresh) keep(cache, name, script.createCachedData());
  } catch {
    // A cache that cannot be written (a full disk, a read-only home) costs the next start some milliseconds.
  }
}

function keep(folder: string, name: string, data: Buffer): void {
  const draft = join(folder, `${name}.${process.pid}.tmp`);
  const kept = new Uint8Array(sumBytes + data.length);
  new DataView(kept.buffer).setUint32(0, crc32(data), true);
  kept.set(data, sumBytes);
  try {
    writeFileSync(draft, kept, { flag: 'wx', mode: 0o600 });
    renameSync(draft, join(folder, name));
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
