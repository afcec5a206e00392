/** All that a dynamic program is loaded with, what of it the image lacks, and the stages that have that. */
import { asByteString, fromText, type ByteString } from '#ground/base/byte-string.ts';
import type { ElfFile } from '#formats/elf/read.ts';
import { closedFolder, folderOf, joined, may, nameOf, type PayloadEntry, type PayloadUser } from './files.ts';
import {
  candidatesIn,
  expand,
  isInMusl,
  loaderKind,
  ownFolders,
  placesFor,
  type LoadedObject,
  type Loader,
  type LoaderSettings,
  type LoaderView,
} from './loader.ts';
import type { Look } from './look.ts';

export type StageView = { readonly name: string; readonly look: Look };

export type World = {
  /** The image. */
  readonly look: Look;
  /** Stages of the same build, those first that files of the image come from. */
  readonly stages: readonly StageView[];
  /** The image's variables. */
  readonly environment: ReadonlyMap<string, string>;
  /** Absolute. */
  readonly workingDirectory: ByteString;
  readonly user: PayloadUser;
  /** The file of a stage that was copied to a real path of the image. */
  readonly cameFrom: (path: ByteString) => { readonly stage: string; readonly path: ByteString } | undefined;
};

/** A file of a stage, and where it has to be in the image. */
export type Remedy = { readonly stage: string; readonly source: ByteString; readonly destination: ByteString };

export type LoadFault =
  | {
      readonly kind: 'interpreter';
      readonly path: ByteString;
      readonly why: 'missing' | 'refused' | 'other-machine' | 'broken';
      readonly remedy: Remedy | undefined;
    }
  | {
      readonly kind: 'library';
      readonly name: ByteString;
      readonly by: LoadedObject;
      /** `uncached`: it lies where the loader looks only by its cache. */
      readonly why: 'missing' | 'uncached' | 'broken' | 'refused';
      readonly at: ByteString | undefined;
      readonly remedy: Remedy | undefined;
    }
  | { readonly kind: 'version'; readonly version: ByteString; readonly library: LoadedObject; readonly by: LoadedObject };

export type Closure = {
  readonly loader: Loader;
  readonly interpreter: ByteString | undefined;
  /** The program first. Files of stages that remedies bring are among them. */
  readonly objects: readonly LoadedObject[];
  readonly faults: readonly LoadFault[];
};

const mostObjects = 4096;

/** `path`: the real path of the program, absolute. A static program has nothing but itself. */
export function loadProgram(path: ByteString, elf: ElfFile, world: World): Closure {
  const program: LoadedObject = { path, elf, by: undefined, source: world.cameFrom(path) };
  if (elf.interpreter === undefined) return { loader: 'unknown', interpreter: undefined, objects: [program], faults: [] };
  const interpreter = joined(world.workingDirectory, elf.interpreter);
  const found = findInterpreter(interpreter, program, world);
  const faults: LoadFault[] = found.fault === undefined ? [] : [found.fault];
  if (found.loader === undefined) return { loader: 'unknown', interpreter, objects: [program], faults };
  const search = openSearch(interpreter, found.loader, world);
  const objects: LoadedObject[] = [program];
  const known = new Map<string, LoadedObject>([
    [nameOf(interpreter), found.loader.object],
    [interpreter, found.loader.object],
  ]);
  if (found.loader.object.elf.soname !== undefined) known.set(found.loader.object.elf.soname, found.loader.object);
  for (const name of preloads(search.settings, world)) {
    const library = search.find(name, program);
    if (library.object === undefined || library.fault !== undefined || known.has(name)) continue;
    known.set(name, library.object);
    if (library.object.elf.soname !== undefined) known.set(library.object.elf.soname, library.object);
    objects.push(library.object);
  }
  for (let at = 0; at < objects.length && objects.length < mostObjects; at++) {
    const by = objects[at];
    for (const name of by?.elf.needed ?? []) {
      if (by === undefined || known.has(name) || (search.settings.kind === 'musl' && isInMusl(name))) continue;
      const library = search.find(name, by);
      if (library.fault !== undefined) faults.push(library.fault);
      if (library.object === undefined) {
        // Said once, whoever else wants it.
        known.set(name, by);
        continue;
      }
      const same = objects.find((one) => one.path === library.object?.path);
      known.set(name, same ?? library.object);
      if (same !== undefined) continue;
      if (library.object.elf.soname !== undefined) known.set(library.object.elf.soname, library.object);
      objects.push(library.object);
    }
  }
  if (search.settings.kind === 'glibc') for (const fault of versionFaults([...objects, found.loader.object])) faults.push(fault);
  return { loader: search.settings.kind, interpreter, objects, faults };
}

/** Libraries that are loaded before all others; one that is not there is passed over (ld.so(8)). */
function preloads({ kind }: LoaderSettings, { look, environment }: World): readonly ByteString[] {
  const said = fromText(environment.get('LD_PRELOAD') ?? '').split(/[ :]/u);
  const written = kind === 'musl' ? [] : (look.text(asByteString('/etc/ld.so.preload')) ?? '').replaceAll(/#.*/gu, '').split(/[\s:]/u);
  return [...said, ...written].filter((name) => name !== '').map(asByteString);
}

type FoundLoader = { readonly object: LoadedObject; readonly stage: StageView | undefined };

function findInterpreter(
  path: ByteString,
  program: LoadedObject,
  world: World,
): { readonly loader: FoundLoader | undefined; readonly fault: LoadFault | undefined } {
  const entry = world.look.find(path);
  if (entry === undefined) {
    for (const stage of stagesFor(program, world)) {
      const there = stage.look.find(path);
      const elf = there?.kind === 'file' ? stage.look.elf(there) : undefined;
      if (elf === undefined || 'fault' in elf || elf.machine !== program.elf.machine) continue;
      const object = { path, elf, by: program, source: { stage: stage.name, path } };
      const remedy = { stage: stage.name, source: path, destination: path };
      return { loader: { object, stage }, fault: { kind: 'interpreter', path, why: 'missing', remedy } };
    }
    return { loader: undefined, fault: { kind: 'interpreter', path, why: 'missing', remedy: undefined } };
  }
  const fault = (why: 'refused' | 'other-machine' | 'broken') => ({
    loader: undefined,
    fault: { kind: 'interpreter', path, why, remedy: undefined } as const,
  });
  if (entry.kind !== 'file' || !may(world.user, 'execute', entry) || closedFolder(world.user, entry, world.look) !== undefined)
    return fault('refused');
  const elf = world.look.elf(entry);
  if ('fault' in elf) return fault('broken');
  if (elf.machine !== program.elf.machine) return fault('other-machine');
  return { loader: { object: { path, elf, by: program, source: undefined }, stage: undefined }, fault: undefined };
}

/** The stage that a file came from is the likeliest one to have what goes with it. */
function stagesFor({ source }: LoadedObject, { stages }: World): readonly StageView[] {
  return source === undefined
    ? stages
    : [...stages.filter(({ name }) => name === source.stage), ...stages.filter(({ name }) => name !== source.stage)];
}

type Search = {
  readonly settings: LoaderSettings;
  find(name: ByteString, by: LoadedObject): { readonly object?: LoadedObject; readonly fault?: LoadFault };
};

function openSearch(interpreter: ByteString, loader: FoundLoader, world: World): Search {
  const home = loader.stage?.look ?? world.look;
  const kind = loaderKind(interpreter, home);
  const settings = { kind, workingDirectory: world.workingDirectory, libraryPath: world.environment.get('LD_LIBRARY_PATH') };
  // A loader that has to be brought looks by its own folders and by files of the image.
  const own = kind === 'musl' ? ownFolders(kind, interpreter, world.look) : ownFolders(kind, interpreter, home);
  const image: LoaderView = { look: world.look, own, pathOf: ({ path }) => path };
  return {
    settings,
    find(name, by) {
      const here = findIn(image, name, by, settings, world.user);
      if (here.object !== undefined) return { object: { ...here.object, source: world.cameFrom(here.object.path) } };
      const remedied = findElsewhere({ name, by, image, settings, interpreter }, world);
      const why = here.why ?? (isUncached(name, image) ? 'uncached' : 'missing');
      return {
        ...(remedied === undefined ? {} : { object: remedied.object }),
        fault: { kind: 'library', name, by, why, at: here.at, remedy: remedied?.remedy },
      };
    },
  };
}

type FoundIn = {
  readonly object?: Omit<LoadedObject, 'source'>;
  readonly place?: number;
  readonly why?: 'broken' | 'refused';
  readonly at?: ByteString;
};

/** As the loader goes: one for another machine is passed over, one that is none ends the search. */
function findIn(view: LoaderView, name: ByteString, by: LoadedObject, settings: LoaderSettings, user: PayloadUser): FoundIn {
  const isPath = name.includes('/');
  const places = isPath ? [] : placesFor(by, view, settings);
  const lists = isPath
    ? [[joined(settings.workingDirectory, expand(name, by, view))]]
    : places.map((place) => (place.kind === 'cache' && !mayReadCache(view, user) ? [] : candidatesIn(place, name, view)));
  let refused: ByteString | undefined;
  for (const [place, list] of lists.entries()) {
    for (const path of list) {
      const entry = view.look.find(path);
      if (entry === undefined) continue;
      if (!isReadable(entry, view, user)) {
        refused ??= path;
        continue;
      }
      const elf = view.look.elf(entry);
      if ('fault' in elf || elf.kind === 'other') return { why: 'broken', at: path };
      if (elf.machine === by.elf.machine && elf.bits === by.elf.bits) return { object: { path, elf, by }, place };
      if (settings.kind === 'musl') return { why: 'broken', at: path };
    }
  }
  return refused === undefined ? {} : { why: 'refused', at: refused };
}

function mayReadCache(view: LoaderView, user: PayloadUser): boolean {
  const cache = view.look.find(asByteString('/etc/ld.so.cache'));
  return cache === undefined || isReadable(cache, view, user);
}

function isReadable(entry: PayloadEntry, { look }: LoaderView, user: PayloadUser): boolean {
  return entry.kind === 'file' && may(user, 'read', entry) && closedFolder(user, entry, look) === undefined;
}

/** Folders of ld.so.conf count for nothing once the program starts: the cache does. */
function isUncached(name: ByteString, { look }: LoaderView): boolean {
  return (
    !name.includes('/') &&
    ['/usr/local/lib', '/usr/lib', '/lib', '/usr/lib64', '/lib64'].some((folder) => look.find(joined(folder, name))?.kind === 'file')
  );
}

type Wanted = {
  readonly name: ByteString;
  readonly by: LoadedObject;
  readonly image: LoaderView;
  readonly settings: LoaderSettings;
  readonly interpreter: ByteString;
};

const root: PayloadUser = { uid: 0, gids: [0] };

function findElsewhere(
  { name, by, image, settings, interpreter }: Wanted,
  world: World,
): { readonly object: LoadedObject; readonly remedy: Remedy } | undefined {
  const places = name.includes('/') ? [] : placesFor(by, image, settings);
  for (const stage of stagesFor(by, world)) {
    const pathOf = (object: LoadedObject): ByteString => (object.source?.stage === stage.name ? object.source.path : object.path);
    const view = { look: stage.look, own: ownFolders(settings.kind, interpreter, stage.look), pathOf };
    const found = findIn(view, name, by, settings, root);
    if (found.object === undefined) continue;
    const source = found.object.path;
    const said = places[found.place ?? -1];
    const destination = name.includes('/')
      ? joined(settings.workingDirectory, expand(name, by, image))
      : joined(said?.kind === 'said' ? said.folder : destinationFolder(source, image.own), name);
    const remedy = { stage: stage.name, source, destination };
    return { object: { path: destination, elf: found.object.elf, by, source: { stage: stage.name, path: source } }, remedy };
  }
  return undefined;
}

/** The folder it has in the stage, where the image's loader looks there, too. */
function destinationFolder(source: ByteString, own: readonly ByteString[]): ByteString {
  const folder = folderOf(source);
  return own.includes(folder) ? folder : (own.find((one) => one.startsWith('/usr/')) ?? own[0] ?? asByteString('/usr/lib'));
}

function versionFaults(objects: readonly LoadedObject[]): readonly LoadFault[] {
  const bySoname = new Map<ByteString, LoadedObject>();
  for (const object of objects)
    for (const name of [object.elf.soname, nameOf(object.path)]) if (name !== undefined && !bySoname.has(name)) bySoname.set(name, object);
  return objects.flatMap((by) =>
    by.elf.versionsNeeded.flatMap(({ library: soname, versions }) => {
      const library = bySoname.get(soname);
      const defined = library?.elf.versionsDefined;
      if (library === undefined || defined === undefined) return [];
      return versions.flatMap(({ name, isWeak }): readonly LoadFault[] =>
        isWeak || defined.has(name) ? [] : [{ kind: 'version', version: name, library, by }],
      );
    }),
  );
}
