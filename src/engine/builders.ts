/**
 * Names for the one builder. Tutorials make a builder and use it by its name; here each name means this program, its cache and its store. A name is an empty file
 * in `builders/` of the store, so that making one twice, or two at once, needs no lock; `.current` says which one is used.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { parsePlatform, printPlatform } from '#formats/oci/platform.ts';
import { makeName } from '#execution/container/names.ts';
import { platformsHere } from './info.ts';
import { findPaths } from './paths.ts';
import { nativeOrAsked } from './platform.ts';
import { makeStoreFolder } from './store-folder.ts';

export type BuilderNames = {
  /** Without `default`, in order. */
  readonly names: readonly string[];
  /** `default`, or one of them. */
  readonly current: string;
};

type Environment = Readonly<Record<string, string | undefined>>;

export const defaultBuilder = 'default';
const currentFile = '.current';
const mostNames = 1000;

/** What was made; nothing is written or made. `$BUILDX_BUILDER` is the current one where it is set. */
export function builderNames(environment: Environment): BuilderNames {
  const folder = folderOf(environment);
  const names = listNames(folder);
  const current = environment['BUILDX_BUILDER'] || readCurrent(folder);
  return { names, current: current !== undefined && names.includes(current) ? current : defaultBuilder };
}

/** Throws `engine/no-builder` unless there is a builder of this name. */
export function checkBuilder(name: string, environment: Environment): void {
  if (name === defaultBuilder || listNames(folderOf(environment)).includes(name)) return;
  throw noBuilder(name);
}

/** Gives the name: the one that was asked for, else one that nobody has. Throws `engine/bad-builder-name`, `engine/builder-exists`, `engine/bad-store`. */
export function createBuilder(wanted: string | undefined, environment: Environment): string {
  const folder = folderOf(environment);
  const taken = new Set(listNames(folder));
  const name =
    wanted ??
    makeName(
      Math.floor(Math.random() * 256)
        .toString(16)
        .padStart(2, '0'),
      (one) => taken.has(one),
    );
  if (name === defaultBuilder)
    throw new JettisonError('engine/bad-builder-name', `default is a reserved name and cannot be used to identify builder instance`);
  if (!/^[a-zA-Z][a-zA-Z0-9._-]{0,127}$/u.test(name))
    throw new JettisonError(
      'engine/bad-builder-name',
      `invalid name ${name}, name needs to start with a letter and may not contain symbols, except ._-`,
    );
  if (taken.size >= mostNames) throw new JettisonError('engine/bad-builder-name', `there are ${mostNames} names of the builder already`);
  makeStoreFolder(findPaths(environment).store);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  try {
    writeFileSync(join(folder, name), '', { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    throw new JettisonError('engine/builder-exists', `existing instance for "${name}" but no append mode`, {
      hint: `Use it with "jettison buildx use ${name}", or remove it with "jettison buildx rm ${name}"`,
      cause: error,
    });
  }
  return name;
}

/** Throws `engine/no-builder`. */
export function selectBuilder(name: string, environment: Environment): void {
  checkBuilder(name, environment);
  const folder = folderOf(environment);
  if (name === defaultBuilder) return rmSync(join(folder, currentFile), { force: true });
  const draft = join(folder, `${currentFile}.${process.pid}`);
  writeFileSync(draft, name, { mode: 0o600 });
  renameSync(draft, join(folder, currentFile));
}

/** The name alone goes, and with it that it was the current one: the cache is that of all names. Throws `engine/no-builder`, `engine/default-builder`. */
export function removeBuilder(name: string, environment: Environment): void {
  if (name === defaultBuilder)
    throw new JettisonError('engine/default-builder', 'failed to remove default: it is jettison itself', {
      hint: 'To remove what it keeps: "jettison builder prune"',
    });
  checkBuilder(name, environment);
  const folder = folderOf(environment);
  if (readCurrent(folder) === name) rmSync(join(folder, currentFile), { force: true });
  rmSync(join(folder, name), { force: true });
}

/** Of these platforms, those whose programs cannot run here. Throws `oci/invalid-platform`. */
export function platformsNotHere(platforms: readonly string[]): readonly string[] {
  const here = new Set(platformsHere().map(({ platform }) => platform));
  return platforms.map((text) => printPlatform(parsePlatform(text, nativeOrAsked(undefined)))).filter((one) => !here.has(one));
}

function folderOf(environment: Environment): string {
  return join(findPaths(environment).store, 'builders');
}

function listNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => !name.startsWith('.'))
      .toSorted();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function readCurrent(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, currentFile), 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function noBuilder(name: string): JettisonError {
  return new JettisonError('engine/no-builder', `no builder "${name}" found`, {
    hint: 'There are "default" and what "jettison buildx create" made: "jettison buildx ls" lists them',
  });
}
