/**
 * How the bundle starts (`scripts/bundle.ts` makes `main.cjs`, `worker.cjs` and the like of it): the chunks beside this file are compiled with V8's code cache.
 * Node's own compile cache keeps a module as it was before it ran, without the functions that are compiled when they are first called; a no-op build
 * spends a fifth of its time on compiling those. What is kept here is taken at the end of a run. A chunk's name has its content's hash, so a file in
 * the cache belongs to one text; V8 itself refuses data of another version or other flags, and then the chunk is compiled as if there were none.
 *
 * A command loads some forty to a hundred chunks, and opening and compiling these one by one takes longer than what is in them. So the chunks that a first run
 * loaded are put together in a *pack*, one file with texts and code, which later runs read instead.
 */
import {
  closeSync,
  existsSync,
  futimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname } from 'node:path';
import { Script } from 'node:vm';

/**
 * A kept file begins with its CRC-32, the second that it was given as its time, and the boot of the machine in which that was, in as many bytes as leave the rest aligned: V8 copies what
 * is not. What a power cut left of a file shows in the next boot, and what was written to since has another time; a sum over all of it at each start would be a tenth of a short command.
 */
const [timeAt, bootAt, headBytes] = [4, 8, 48];
/** The numbers a pack begins with; with the head before them the code is aligned. */
const packHead = 16;

/** The chunk to start, written in by the bundler. */
const entry = 'ENTRY-CHUNK';

type Chunk = { exports: unknown };
type Body = (exports: unknown, require: (id: string) => unknown, module: Chunk, filename: string, dirname: string) => void;

/** Texts and code of chunks in one file; `uses` counts the runs that its code was taken of. */
type Pack = {
  readonly text: string;
  readonly names: ReadonlySet<string>;
  readonly script: Script;
  readonly bodies: Readonly<Record<string, Body>>;
  readonly uses: number;
};

/** Commands that are called often, or waited for, by their first word; each has a pack of its own. */
const packedCommands = 'build run images image ps container create start stop rm exec logs inspect tag rmi cp'.split(' ');
/** The code is taken anew after each of so many runs: the first ones differ in what they do. */
const learningRuns = 3;
/** So many chunks outside the pack make another one. */
const manyOutside = 8;
/** Milliseconds after which kept code may go: of versions that are gone, mostly, and what else is still used is kept again. */
const keptFor = 30 * 24 * 3_600_000;

const here = import.meta.dirname;
const requireOther = createRequire(import.meta.filename);
const loaded = new Map<string, Chunk>();
const loadedByNode: ReadonlySet<string> = new Set(
  'buffer events fs module path process querystring timers url util vm'.split(' ').map((name) => `node:${name}`),
);
const later = new Map<string, object>();
/** Compiled in this run without a cache, by chunk name. */
const fresh = new Map<string, Script>();
const cache = cacheFolder();
const boot = bootName();

const packFile = packName();
const pack = readPack();

load(entry);
process.on('exit', keepFresh);

function load(name: string): Chunk {
  const known = loaded.get(name);
  if (known) return known;
  const chunk: Chunk = { exports: {} };
  loaded.set(name, chunk);
  const filename = `${here}/${name}`;
  const body = compile(name, filename);
  body(chunk.exports, (id) => (id.startsWith('./') ? load(basename(id)).exports : otherModule(id)), chunk, filename, here);
  return chunk;
}

/** Of Node's own modules, those that its start has loaded are given at once; what a chunk imports of another one is looked up when it is used, and loads it then. */
function otherModule(id: string): unknown {
  return id.startsWith('node:') && !loadedByNode.has(id) ? (later.get(id) ?? loadedLater(id)) : requireOther(id);
}

function loadedLater(id: string): object {
  let real: object | undefined;
  const demand = (): object => (real ??= process.getBuiltinModule(id)) ?? {};
  const stand = new Proxy(
    {},
    {
      get: (_target, name) => Reflect.get(demand(), name),
      has: (_target, name) => name in demand(),
      ownKeys: () => Reflect.ownKeys(demand()),
      getOwnPropertyDescriptor: (_target, name) => {
        const found = Reflect.getOwnPropertyDescriptor(demand(), name);
        return found && { ...found, configurable: true };
      },
    },
  );
  later.set(id, stand);
  return stand;
}

function compile(name: string, filename: string): Body {
  const packed = pack?.bodies[name];
  if (packed !== undefined) return packed;
  const source = readFileSync(filename, 'utf8');
  const cachedData = readKept(name);
  const script = new Script(wrapped(source), {
    filename,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  if (cachedData === undefined || script.cachedDataRejected === true) fresh.set(name, script);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the wrapper is written four lines above
  return script.runInThisContext() as Body;
}

/** Private to the user, as `main.ts` has it: code that others could plant must never be read. Undefined where the folder is another's, or others may write to it. */
function cacheFolder(): string | undefined {
  const { NODE_COMPILE_CACHE: given, XDG_CACHE_HOME: caches, HOME: home } = process.env;
  const compiled = given || (caches && `${caches}/jettison/compile`) || (home && `${home}/.cache/jettison/compile`);
  if (!compiled) return undefined;
  const folder = `${compiled}/chunks-${process.version}-${process.arch}`;
  try {
    return [compiled, folder].every(isPrivate) ? folder : undefined;
  } catch {
    return undefined;
  }
}

/** What is not there yet is made so. */
function isPrivate(folder: string): boolean {
  const found = statSync(folder, { throwIfNoEntry: false });
  return found === undefined || (found.uid === process.geteuid?.() && (found.mode & 0o022) === 0);
}

function readKept(name: string): Buffer | undefined {
  if (cache === undefined) return undefined;
  const path = `${cache}/${name}`;
  try {
    const kept = readFileSync(path);
    const data = kept.subarray(headBytes);
    // V8 would run damaged data.
    return kept.length > headBytes && (isUntouched(path, kept) || isUndamaged(path, kept, data)) ? data : undefined;
  } catch {
    return undefined;
  }
}

/** Empty where it cannot be known: then no file is of it. */
function bootName(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}

function isUntouched(path: string, kept: Buffer): boolean {
  if (boot === '' || kept.toString('latin1', bootAt, bootAt + boot.length) !== boot) return false;
  return statSync(path).mtimeMs === kept.readUInt32LE(timeAt) * 1000;
}

/** Looks at all of it, and notes that for this boot: what was read after its start has been on the disk. */
function isUndamaged(path: string, kept: Buffer, data: Uint8Array): boolean {
  if (kept.readUInt32LE(0) !== sumOf(data)) return false;
  try {
    const seen = headOf(kept.readUInt32LE(0));
    const file = openSync(path, 'r+');
    try {
      writeSync(file, seen.bytes, 0, headBytes, 0);
      futimesSync(file, seen.time, seen.time);
    } finally {
      closeSync(file);
    }
  } catch {
    // It is looked at again.
  }
  return true;
}

function headOf(sum: number): { readonly bytes: Uint8Array; readonly time: number } {
  const bytes = new Uint8Array(headBytes);
  const time = Math.floor(Date.now() / 1000);
  const numbers = new DataView(bytes.buffer);
  numbers.setUint32(0, sum, true);
  numbers.setUint32(timeAt, time, true);
  new TextEncoder().encodeInto(boot, bytes.subarray(bootAt));
  return { bytes, time };
}

/** CRC-32. Loaded here: it takes as long to load as to use. */
function sumOf(data: Uint8Array): number {
  return process.getBuiltinModule('node:zlib').crc32(data);
}

/** Undefined for commands that are not worth it. */
function packName(): string | undefined {
  if (!entry.startsWith('main-')) return `${entry}.pack`;
  const word = process.argv[2] ?? '';
  return packedCommands.includes(word) ? `${entry}.${word}.pack` : undefined;
}

/** A kept pack: three numbers (how often it was used, bytes of the names, bytes of the text), names, text, and the code at a multiple of eight. */
function readPack(): Pack | undefined {
  const kept = packFile === undefined ? undefined : readKept(packFile);
  if (kept === undefined || kept.length < packHead) return undefined;
  const [uses, nameBytes, textBytes] = [kept.readUInt32LE(0), kept.readUInt32LE(4), kept.readUInt32LE(8)];
  const names = kept.toString('latin1', packHead, packHead + nameBytes).split('\n');
  const text = kept.toString('latin1', packHead + nameBytes, packHead + nameBytes + textBytes);
  const code = kept.subarray(aligned(packHead + nameBytes + textBytes));
  const script = new Script(text, { filename: `${here}/chunks`, ...(code.length === 0 ? {} : { cachedData: code }) });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- writePack has made it so
  const bodies = script.runInThisContext() as Readonly<Record<string, Body>>;
  return { text, names: new Set(names), script, bodies, uses: script.cachedDataRejected === true ? 0 : uses };
}

function keepFresh(): void {
  if (cache === undefined) return;
  const outside = [...loaded.keys()].filter((name) => pack?.names.has(name) !== true);
  const makesPack = packFile !== undefined && (pack === undefined || outside.length > manyOutside);
  if (fresh.size === 0 && !makesPack && (pack === undefined || pack.uses >= learningRuns)) return;
  try {
    // What is above it was made with Node's own cache. Not `recursive`: below /proc that never ends.
    if (!existsSync(cache)) mkdirSync(cache, { mode: 0o700 });
    removeDrafts(cache);
    for (const [name, script] of fresh) keep(cache, name, script.createCachedData());
    if (packFile === undefined) return;
    if (makesPack) {
      keep(cache, packFile, newPack([...(pack?.names ?? []), ...outside]));
      removeOld(cache, '');
      removeOld(dirname(cache), 'chunks-');
    } else if (pack !== undefined && pack.uses < learningRuns)
      keep(cache, packFile, packBytes({ ...pack, uses: pack.uses + 1 }, pack.script.createCachedData()));
  } catch {
    // A cache that cannot be written (a full disk, a read-only home) costs the next start some milliseconds.
  }
}

/** Removes what begins with `start` in a folder and was not written to for long. A new pack is the time for it: there is a new version, and this run is a slow one anyway. */
function removeOld(folder: string, start: string): void {
  for (const name of readdirSync(folder)) {
    const path = `${folder}/${name}`;
    if (name.startsWith(start) && Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity) > keptFor)
      rmSync(path, { recursive: true, force: true });
  }
}

/**
 * Of processes that were killed while they kept something: they are older than this run, and such a one lasts for less than that. What was not kept for it is kept now, so that a run
 * which keeps nothing need not look.
 */
function removeDrafts(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = `${folder}/${name}`;
    if (name.endsWith('.tmp') && (statSync(path, { throwIfNoEntry: false })?.ctimeMs ?? Infinity) < performance.timeOrigin)
      rmSync(path, { force: true });
  }
}

/** Without code, which can only be taken of texts that have run together. */
function newPack(names: readonly string[]): Uint8Array {
  const bodies = names.map((name) => `${JSON.stringify(name)}:${wrapped(readFileSync(`${here}/${name}`, 'utf8'))}`);
  // V8 takes a text of single bytes faster. Other letters stand in strings, templates and patterns only, where they can be written so.
  const text = `({${bodies.join(',\n')}})`.replaceAll(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return packBytes({ text, names: new Set(names), uses: 0 }, new Uint8Array());
}

function packBytes({ text, names, uses }: Pick<Pack, 'text' | 'names' | 'uses'>, code: Uint8Array): Uint8Array {
  const words = [...names].join('\n');
  const codeAt = aligned(packHead + words.length + text.length);
  const bytes = new Uint8Array(codeAt + code.length);
  const numbers = new DataView(bytes.buffer);
  for (const [index, number] of [uses, words.length, text.length].entries()) numbers.setUint32(4 * index, number, true);
  new TextEncoder().encodeInto(words + text, bytes.subarray(packHead));
  bytes.set(code, codeAt);
  return bytes;
}

function aligned(length: number): number {
  return Math.ceil(length / 8) * 8;
}

function wrapped(source: string): string {
  return `(function (exports, require, module, __filename, __dirname) {${source}\n})`;
}

function keep(folder: string, name: string, data: Uint8Array): void {
  // Not by the process's number: each worker has the same in its namespace.
  const draft = `${folder}/${name}.${process.hrtime.bigint()}.tmp`;
  const { bytes: head, time } = headOf(sumOf(data));
  const kept = new Uint8Array(headBytes + data.length);
  kept.set(head);
  kept.set(data, headBytes);
  try {
    writeFileSync(draft, kept, { flag: 'wx', mode: 0o600 });
    utimesSync(draft, time, time);
    renameSync(draft, `${folder}/${name}`);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
