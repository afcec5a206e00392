/**
 * Where the loader of a program looks for libraries: ld.so(8) and elf/dl-load.c of glibc 2.41, ldso/dynlink.c of musl 1.2.5.
 * The same search is done in the image and in a stage that has what the image lacks.
 */
import { asByteString, type ByteString } from '#ground/base/byte-string.ts';
import type { ElfFile } from '#formats/elf/read.ts';
import { platformName } from '#formats/elf/machines.ts';
import { folderOf, joined, nameOf } from './files.ts';
import type { Look } from './look.ts';

export type Loader = 'glibc' | 'musl' | 'unknown';

/** A program or library that is mapped. */
export type LoadedObject = {
  /** As the loader knows it in the image. */
  readonly path: ByteString;
  readonly elf: ElfFile;
  /** Who wanted it; undefined for the program. */
  readonly by: LoadedObject | undefined;
  /** Where it lies in the stage that it comes from, as far as that is known. */
  readonly source: { readonly stage: string; readonly path: ByteString } | undefined;
};

/** One tree as a loader sees it. `pathOf`: where an object lies in it. */
export type LoaderView = {
  readonly look: Look;
  /** Folders that the loader knows by itself. */
  readonly own: readonly ByteString[];
  readonly pathOf: (object: LoadedObject) => ByteString;
};

export type LoaderSettings = {
  readonly kind: Loader;
  /** Absolute. */
  readonly workingDirectory: ByteString;
  /** LD_LIBRARY_PATH. */
  readonly libraryPath: string | undefined;
};

/** A folder to look in, or all that the cache names. Two views of the same object have the same places up to those of the loader itself. */
export type Place = { readonly kind: 'said' | 'own'; readonly folder: ByteString } | { readonly kind: 'cache' };

export function loaderKind(interpreter: string, look: Look): Loader {
  if (/(?:^|\/)ld-musl-[^/]*$/u.test(interpreter)) return 'musl';
  const entry = look.find(asByteString(interpreter));
  if (entry?.kind !== 'file') return 'unknown';
  const elf = look.elf(entry);
  // Other C libraries stand in for it under its name.
  return 'fault' in elf || elf.versionsDefined?.has(asByteString('GLIBC_PRIVATE')) !== true ? 'unknown' : 'glibc';
}

/** Folders that the loader of this name knows by itself in this tree. */
export function ownFolders(kind: Loader, interpreter: string, look: Look): readonly ByteString[] {
  const entry = look.find(asByteString(interpreter));
  if (kind !== 'musl') {
    const found = entry?.kind === 'file' ? look.loaderFolders(entry) : [];
    return found.length > 0 ? found : ['/lib64', '/usr/lib64', '/lib', '/usr/lib'].map(asByteString);
  }
  const architecture = /ld-musl-(?<name>[^/]*)\.so\.1$/u.exec(interpreter)?.groups?.['name'] ?? '';
  const prefix = interpreter.slice(0, Math.max(interpreter.lastIndexOf('/lib/ld-musl-'), 0));
  const written = look.text(asByteString(`${prefix}/etc/ld-musl-${architecture}.path`));
  return (written ?? '/lib:/usr/local/lib:/usr/lib').split(/[:\n]/u).flatMap((one) => (one === '' ? [] : asByteString(one)));
}

/** In the order in which the loader goes through them. */
export function placesFor(by: LoadedObject, view: LoaderView, settings: LoaderSettings): readonly Place[] {
  const said = (text: string | undefined, object: LoadedObject): readonly Place[] =>
    text === undefined ? [] : foldersOf(text, object, view, settings).map((folder) => ({ kind: 'said', folder }));
  const environment = settings.libraryPath === undefined || settings.libraryPath === '' ? [] : said(settings.libraryPath, by);
  const own = view.own.map((folder): Place => ({ kind: 'own', folder }));
  const chain = chainOf(by);
  if (settings.kind === 'musl') return [...environment, ...chain.flatMap((one) => said(one.elf.runpath ?? one.elf.rpath, one)), ...own];
  const rpaths =
    by.elf.runpath === undefined ? chain.flatMap((one) => (one.elf.runpath === undefined ? said(one.elf.rpath, one) : [])) : [];
  const defaults: readonly Place[] = by.elf.skipsDefaultFolders ? [] : [{ kind: 'cache' }, ...own];
  return [...rpaths, ...environment, ...said(by.elf.runpath, by), ...defaults];
}

/** The object, who wanted it, and so on to the program. */
function chainOf(object: LoadedObject): readonly LoadedObject[] {
  const chain: LoadedObject[] = [];
  for (let one: LoadedObject | undefined = object; one !== undefined; one = one.by) chain.push(one);
  return chain;
}

function foldersOf(text: string, object: LoadedObject, view: LoaderView, settings: LoaderSettings): readonly ByteString[] {
  return text.split(settings.kind === 'musl' ? /[:\n]/u : /[:;]/u).map((one) => {
    const folder = expand(one, object, view);
    return folder === '' ? settings.workingDirectory : joined(settings.workingDirectory, folder);
  });
}

/** $ORIGIN, $LIB and $PLATFORM, with braces or without. */
export function expand(text: string, object: LoadedObject, view: LoaderView): ByteString {
  const { own, pathOf } = view;
  const values: Readonly<Record<string, string | undefined>> = {
    ORIGIN: folderOf(pathOf(object)).replace(/^\/$/u, ''),
    LIB: own[0]?.replace(/^\/(?:usr\/)?/u, ''),
    PLATFORM: platformName(object.elf.machine),
  };
  return asByteString(
    text.replaceAll(
      /\$(?:\{(?<braced>ORIGIN|LIB|PLATFORM)\}|(?<bare>ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))/gu,
      (whole: string, braced?: string, bare?: string) => values[braced ?? bare ?? ''] ?? whole,
    ),
  );
}

/** Files of this name in a place; more than one where there are builds of it for certain processors. */
export function candidatesIn(place: Place, name: ByteString, view: LoaderView): readonly ByteString[] {
  if (place.kind === 'cache')
    return (view.look.cached().get(name) ?? []).filter((path) => !/\/glibc-hwcaps\/(?!x86-64-v[234]\/|power\d+\/|z1\d\/)/u.test(path));
  const levels = ['', 'glibc-hwcaps/x86-64-v2/', 'glibc-hwcaps/x86-64-v3/', 'glibc-hwcaps/x86-64-v4/'];
  return levels.map((level) => joined(place.folder, `${level}${name}`));
}

/** musl has these in itself. */
export function isInMusl(name: string): boolean {
  return /^lib(?:c|pthread|rt|m|dl|util|xnet)\./u.test(nameOf(name));
}
