/** What programs of one tree lack in another one, and where it has to be there: the work of `COPY --libs`. The same search that the check does. */
import { asByteString, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import type { ElfFile } from '#formats/elf/read.ts';
import { loadProgram, type LoadFault, type Remedy, type World } from './closure.ts';
import { envCommand, shebang } from './command.ts';
import { environmentOf, isWhereCommandsAre } from './environment.ts';
import { sayFault } from './fault-words.ts';
import { asPath, joined, nameOf, type PayloadEntry } from './files.ts';
import type { Look } from './look.ts';
import { isProgram, needsItsOwnFolders, programPaths } from './find-program.ts';

export type LibraryProgram = {
  /** Real paths, absolute: where it is, and the file of the source that it was copied from. */
  readonly path: ByteString;
  readonly source: ByteString;
  /** Meant by itself. Of what only lies in a folder, scripts count where commands are: in other folders they are data as often as not. */
  readonly isNamed: boolean;
};

export type LibraryWish = {
  /** Where the programs are, with whatever is there beside them. */
  readonly target: Look;
  /** Where everything else is taken from. */
  readonly source: Look;
  readonly programs: readonly LibraryProgram[];
  /** `NAME=value`, of whoever starts them. */
  readonly environment: readonly string[];
  /** '' for the root. */
  readonly workingDirectory: string;
};

/** Something that a program needs and that neither tree has, or not in a form that would do. */
export type LibraryFault = {
  readonly program: LibraryProgram;
  /** It will not start; otherwise it is a library, which others may load with what they have loaded before. */
  readonly isProgram: boolean;
  /** A path, a name, a version. */
  readonly missing: string;
  readonly message: string;
  readonly hint: string | undefined;
};

export type Libraries = {
  /** Each place once, in the order in which they were found to be missing. `stage` says nothing. */
  readonly brought: readonly Remedy[];
  readonly faults: readonly LibraryFault[];
};

type Followed = {
  readonly world: World;
  readonly origins: Map<ByteString, ByteString>;
  readonly brought: Map<ByteString, Remedy>;
  readonly faults: LibraryFault[];
};

/** Interpreters of interpreters that the kernel follows (fs/exec.c). */
const mostInterpreters = 5;

/** Throws `payload/too-much` when the looks have used up their effort. */
export function findLibraries({ target, source, programs, environment, workingDirectory }: LibraryWish): Libraries {
  const origins = new Map(programs.map((program) => [program.path, program.source]));
  const world: World = {
    look: target,
    stages: [{ name: '', look: source }],
    environment: environmentOf(environment),
    workingDirectory: joined('/', fromText(workingDirectory)),
    user: { uid: 0, gids: [0] },
    cameFrom: (path) => {
      const origin = origins.get(path);
      return origin === undefined ? undefined : { stage: '', path: origin };
    },
  };
  const followed: Followed = { world, origins, brought: new Map(), faults: [] };
  for (const program of programs) {
    const entry = target.find(program.path);
    if (entry?.kind === 'file') follow({ path: program.path, entry, look: target, program, depth: 0 }, followed);
  }
  return { brought: [...followed.brought.values()], faults: followed.faults };
}

/** A file that is started or loaded: the path that it has or will have in the target. */
type Started = {
  readonly path: ByteString;
  readonly entry: PayloadEntry;
  /** Of the tree that has it. */
  readonly look: Look;
  /** The program of the wish that it is wanted for. */
  readonly program: LibraryProgram;
  readonly depth: number;
};

function follow(started: Started, followed: Followed): void {
  const script = shebang(started.look.head(started.entry));
  if (script !== undefined) {
    if (isCommand(started, followed.world) && started.depth < mostInterpreters) followScript(started, script, followed);
    return;
  }
  const elf = started.look.elf(started.entry);
  if ('fault' in elf || elf.kind === 'other') return;
  const interpreter = elf.interpreter ?? usualInterpreter(elf, followed.world);
  if (interpreter === undefined) return;
  for (const fault of loadProgram(started.path, { ...elf, interpreter }, followed.world).faults) {
    const remedy = fault.kind === 'version' ? undefined : fault.remedy;
    if (remedy !== undefined) bring(remedy, followed);
    else followed.faults.push(faultOf(fault, started, elf));
  }
}

function isCommand({ entry, path, program }: Started, { environment }: World): boolean {
  return isProgram(entry) && (program.isNamed || program.path !== path || isWhereCommandsAre(path, environment));
}

function faultOf(fault: LoadFault, { path, program }: Started, elf: ElfFile): LibraryFault {
  const { message, hint, missing } = sayFault(fault, path);
  return { program, isProgram: elf.interpreter !== undefined, missing: missing ?? '', message, hint };
}

/** What the first line of a script names, and what `env` looks for. */
function followScript(
  started: Started,
  { interpreter, argument }: { readonly interpreter: string; readonly argument: string },
  followed: Followed,
): void {
  const { world } = followed;
  followInterpreter(started, [joined(world.workingDirectory, interpreter)], followed);
  const behind = nameOf(interpreter) === 'env' ? envCommand([toText(asByteString(argument))], world.environment) : undefined;
  const [name] = behind?.words ?? [];
  if (behind !== undefined && name !== undefined)
    followInterpreter(started, programPaths(fromText(name), { ...world, ...behind }), followed);
}

function followInterpreter(by: Started, paths: readonly ByteString[], followed: Followed): void {
  const { look, stages } = followed.world;
  if (paths.some((path) => isProgram(look.find(path)) || followed.brought.has(path))) return;
  const source = stages[0]?.look;
  const path = paths.find((one) => isProgram(source?.find(one)));
  const entry = path === undefined ? undefined : source?.find(path);
  const refuse = (why: string, hint: string): void => {
    const missing = toText(paths[0] ?? asByteString(''));
    const message = `"${toText(by.path)}" is a script for "${missing.replaceAll('\r', '\\r')}", ${why}`;
    followed.faults.push({ program: by.program, isProgram: true, missing, message, hint });
  };
  if (path === undefined || entry === undefined || source === undefined) {
    refuse('which is in neither of the two', 'Install it in the stage that is copied from, or in the final one');
    return;
  }
  if (needsItsOwnFolders(path)) {
    refuse('which does nothing without folders of its own', 'Start the final stage from an image that has it');
    return;
  }
  followed.origins.set(path, path);
  bring({ stage: '', source: path, destination: path }, followed);
  follow({ path, entry, look: source, program: by.program, depth: by.depth + 1 }, followed);
}

/** The first that is found for a place stays. */
function bring(remedy: Remedy, { brought }: Followed): void {
  if (!brought.has(remedy.destination)) brought.set(remedy.destination, remedy);
}

/** By machine and bits, the loaders that the libraries of glibc and musl ask for: their psABI documents, and arch/ of musl. */
const loaders: Readonly<Record<string, { readonly glibc: string; readonly musl: string }>> = {
  '62/64': { glibc: '/lib64/ld-linux-x86-64.so.2', musl: '/lib/ld-musl-x86_64.so.1' },
  '3/32': { glibc: '/lib/ld-linux.so.2', musl: '/lib/ld-musl-i386.so.1' },
  '183/64': { glibc: '/lib/ld-linux-aarch64.so.1', musl: '/lib/ld-musl-aarch64.so.1' },
  '40/32': { glibc: '/lib/ld-linux-armhf.so.3', musl: '/lib/ld-musl-armhf.so.1' },
  '243/64': { glibc: '/lib/ld-linux-riscv64-lp64d.so.1', musl: '/lib/ld-musl-riscv64.so.1' },
  '21/64': { glibc: '/lib64/ld64.so.2', musl: '/lib/ld-musl-powerpc64le.so.1' },
  '22/64': { glibc: '/lib/ld64.so.1', musl: '/lib/ld-musl-s390x.so.1' },
  '258/64': { glibc: '/lib64/ld-linux-loongarch-lp64d.so.1', musl: '/lib/ld-musl-loongarch64.so.1' },
};

/** A library names no loader: the one that goes with the C library that it wants, and of two the one that is there. */
function usualInterpreter({ machine, bits, needed, versionsNeeded }: ElfFile, { look, stages }: World): ByteString | undefined {
  const both = loaders[`${machine}/${bits}`];
  if (both === undefined || needed.length === 0) return undefined;
  const isGlibc =
    needed.some((name) => name === 'libc.so.6') ||
    versionsNeeded.some(({ versions }) => versions.some(({ name }) => name.startsWith('GLIBC_')));
  if (isGlibc) return asByteString(both.glibc);
  if (needed.some((name) => /^libc\.(?:musl-.*\.)?so(?:\.1)?$/u.test(name))) return asByteString(both.musl);
  const trees = [look, ...stages.map((stage) => stage.look)];
  return [both.glibc, both.musl].map(asByteString).find((path) => trees.some((tree) => tree.find(path) !== undefined));
}

/**
 * What of the source such a wish can take, whatever the target holds: the files by the paths under which they are looked for, and rows of the loader's
 * cache. `look` sees nothing else, so that what is found with it depends on nothing else.
 */
export type LibraryStock = {
  readonly files: ReadonlyMap<ByteString, PayloadEntry>;
  /** Names and paths of /etc/ld.so.cache, for these files. */
  readonly cached: ReadonlyMap<ByteString, readonly ByteString[]>;
};

/** `programs`: real paths in the source. Throws `payload/too-much`. */
export function stockFor(programs: readonly ByteString[], wish: Omit<LibraryWish, 'target' | 'programs'>): LibraryStock {
  const { source } = wish;
  const files = new Map<ByteString, PayloadEntry>();
  const keep = (path: ByteString): void => {
    const entry = source.find(path);
    if (entry?.kind !== 'file') return;
    files.set(path, entry);
    files.set(asPath(entry.path), entry);
  };
  const noting: Look = { ...source, text: (path) => (keep(path), source.text(path)) };
  for (const path of programs) {
    const target = onlyWith(path, source);
    for (const { source: from } of findLibraries({ ...wish, source: noting, target, programs: [{ path, source: path, isNamed: true }] })
      .brought)
      keep(from);
  }
  const rows = [...source.cached()].map(([name, paths]) => [name, paths.filter((path) => files.has(path))] as const);
  return { files, cached: new Map(rows.filter(([, paths]) => paths.length > 0)) };
}

/** A tree in which nothing is but one file of another, as a program. */
function onlyWith(path: ByteString, look: Look): Look {
  const found = look.find(path);
  const program = found && { ...found, mode: found.mode | 0o111 };
  return { ...look, find: (one) => (one === path ? program : undefined), text: () => undefined, cached: () => new Map() };
}
