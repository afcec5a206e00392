/**
 * Checks the rules of docs/architecture.md that concern imports: prints each fault as `file:line: what` and exits 1 when there is one.
 * `--mermaid` prints the picture of the rooms instead.
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { drawMermaid, floors, purePackages, pureRooms, reservedModules, rooms } from './house.ts';

type Place = { readonly floor: string; readonly room: string; readonly path: string };
type Fault = { readonly file: string; readonly line: number; readonly text: string };

const forbiddenFolders = new Set(['utils', 'util', 'helpers', 'common', 'shared', 'lib', 'misc', 'core']);
const importPattern =
  /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|(?:^|\n)\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;
const roomOrder = Object.keys(rooms);

/** Where a file of `src/` lives; `engine` is a floor and a room at once. */
function placeOf(path: string): Place | undefined {
  const parts = path.split('/');
  const floor = parts[0] ?? '';
  if (floor === 'engine') return { floor, room: 'engine', path: parts.slice(1).join('/') };
  if (parts.length < 3) return undefined;
  return { floor, room: parts[1] ?? '', path: parts.slice(2).join('/') };
}

function isOnFloor(place: Place): boolean {
  const list: readonly string[] | undefined = (floors as Record<string, readonly string[]>)[place.floor];
  return list?.includes(place.room) === true && place.room in rooms;
}

/** Faults of one import `specifier` written in `from`, or none. */
function judge(from: Place, specifier: string, isTest: boolean): string | undefined {
  if (specifier.startsWith('node:')) return judgeNodeModule(from, specifier, isTest);
  if (specifier.startsWith('#test/')) return isTest ? undefined : 'only tests may import #test/';
  if (specifier.startsWith('#')) return judgeRoomImport(from, specifier.slice(1), isTest);
  if (!specifier.startsWith('.'))
    return pureRooms.has(from.room) && !isTest && !purePackages.has(specifier)
      ? `room "${from.room}" is pure and may not import the package "${specifier}"`
      : undefined;
  const target = normalize(join(dirname(from.path), specifier));
  return target.startsWith('..') ? `the relative path "${specifier}" leaves room "${from.room}"` : undefined;
}

function judgeNodeModule(from: Place, specifier: string, isTest: boolean): string | undefined {
  if (isTest) return undefined;
  if (pureRooms.has(from.room)) return `room "${from.room}" is pure and may not import "${specifier}"`;
  const allowed = reservedModules[specifier];
  if (allowed && !allowed.includes(from.room)) return `"${specifier}" is reserved for: ${allowed.join(', ') || 'no room yet'}`;
  return undefined;
}

function judgeRoomImport(from: Place, target: string, isTest: boolean): string | undefined {
  const to = placeOf(target);
  if (!to || !isOnFloor(to)) return `"#${target}" is in no room of the house`;
  if (to.room === from.room) return `room "${from.room}" imports itself by "#"; use a relative path`;
  if (!isTest && !(rooms[from.room] ?? '').split(' ').includes(to.room)) return `room "${from.room}" may not import room "${to.room}"`;
  if (to.path.includes('/')) return `"#${target}" is private to room "${to.room}"`;
  return undefined;
}

function checkFile(file: string): readonly Fault[] {
  if (file === 'main.ts' || file === 'launch.ts') return [];
  const place = placeOf(file);
  const at = (line: number, text: string): Fault => ({ file: `src/${file}`, line, text });
  if (!place || !isOnFloor(place)) return [at(1, 'this file is in no room of the house (scripts/house.ts)')];
  const faults: Fault[] = [];
  for (const folder of file.split('/').slice(0, -1)) {
    if (forbiddenFolders.has(folder)) faults.push(at(1, `a folder may not be named "${folder}"`));
  }
  const text = readFileSync(join('src', file), 'utf8');
  const isTest = file.endsWith('.test.ts');
  for (const match of text.matchAll(importPattern)) {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    const wrong = judge(place, specifier, isTest);
    if (wrong) faults.push(at(text.slice(0, match.index + match[0].indexOf(specifier)).split('\n').length, wrong));
  }
  return faults;
}

/** A room that is in the list has a folder: it comes with its first file. */
function checkFolders(): readonly Fault[] {
  return Object.entries(floors).flatMap(([floor, list]) =>
    list
      .filter((room) => globSync(join('src', floor, floor === room ? '' : room, '*.ts')).length === 0)
      .map((room) => ({ file: 'scripts/house.ts', line: 1, text: `room "${room}" has no files` })),
  );
}

/** The list in house.ts must itself be in bottom-to-top order. */
function checkOrder(): readonly Fault[] {
  return Object.entries(rooms).flatMap(([room, list], index) =>
    list
      .split(' ')
      .filter((other) => other !== '' && roomOrder.indexOf(other) >= index)
      .map((other) => ({ file: 'scripts/house.ts', line: 1, text: `room "${room}" names "${other}", which does not stand below it` })),
  );
}

if (process.argv.includes('--mermaid')) {
  console.log(drawMermaid());
} else {
  const faults = [...checkOrder(), ...checkFolders(), ...globSync('**/*.ts', { cwd: 'src' }).toSorted().flatMap(checkFile)];
  for (const fault of faults) console.error(`${fault.file}:${fault.line}: ${fault.text}`);
  if (faults.length > 0) process.exitCode = 1;
}
