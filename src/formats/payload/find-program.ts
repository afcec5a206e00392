/** Where a program is looked for, and who else has one that is missing. */
import { fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { loadProgram, type Closure, type Remedy, type World } from './closure.ts';
import { remediesOf } from './fault-words.ts';
import { shebang } from './command.ts';
import { joined, nameOf, type PayloadEntry } from './files.ts';
import type { Finding, FindingRoot } from './finding.ts';

export type Start = {
  readonly world: World;
  /** As OCI names it: `amd64`. */
  readonly architecture: string;
  readonly root: FindingRoot;
  /** What does not start here keeps the container from starting. */
  readonly isCertain: boolean;
  /** Scripts that led here. */
  readonly scripts?: number;
  /** Told of each dynamic program that is followed, and of static ones. */
  readonly onProgram: (closure: Closure) => void;
};

export type Said = Pick<Finding, 'rule' | 'message'> & Partial<Pick<Finding, 'file' | 'missing' | 'remedies' | 'hint'>>;

/** `said` beside what every finding has. */
export function finding({ root }: Start, severity: Finding['severity'], said: Said): Finding {
  return { severity, root, file: undefined, missing: undefined, remedies: [], hint: undefined, ...said };
}

export type FoundProgram = { readonly path: ByteString } | { readonly findings: readonly Finding[] };

export function findProgram(name: string, start: Start): FoundProgram {
  const { world, isCertain } = start;
  const severity = isCertain ? 'error' : 'warning';
  if (name === '') return { findings: [finding(start, severity, { rule: 'no-command', message: 'The command is an empty word' })] };
  const paths = programPaths(fromText(name), world);
  if (paths.some(isMounted)) return { findings: [] };
  const there = paths.find((path) => isProgram(world.look.find(path)));
  if (there !== undefined) return { path: there };
  const refused = paths.find((path) => world.look.find(path) !== undefined);
  if (refused !== undefined) return { findings: [notExecutable(refused, start)] };
  return { findings: [missingProgram(name, paths, start)] };
}

/** What a container has there nobody knows. */
export function isMounted(path: string): boolean {
  return /^\/(?:proc|sys|dev)\//u.test(path);
}

export function isProgram(entry: PayloadEntry | undefined): boolean {
  return entry?.kind === 'file' && (entry.mode & 0o111) !== 0;
}

/** Where a program of this name is looked for, in order. */
export function programPaths(name: ByteString, { workingDirectory, environment }: World): readonly ByteString[] {
  if (name.includes('/')) return [joined(workingDirectory, name)];
  return (environment.get('PATH') ?? '')
    .split(':')
    .map((folder) => joined(joined(workingDirectory, fromText(folder === '' ? '.' : folder)), name));
}

export function notExecutable(path: ByteString, start: Start): Finding {
  const entry = start.world.look.find(path);
  const shown = toText(path);
  const severity = start.isCertain ? 'error' : 'warning';
  if (entry !== undefined && entry.kind !== 'file') {
    return finding(start, severity, {
      rule: 'not-executable',
      file: shown,
      message: `"${shown}" is a ${entry.kind === 'folder' ? 'folder' : 'device, pipe or socket'}, not a program`,
    });
  }
  const isAny = entry !== undefined && (entry.mode & 0o111) !== 0;
  return finding(start, severity, {
    rule: 'not-executable',
    file: shown,
    message: isAny ? `"${shown}" has no execute bit for the image's user` : `"${shown}" has no execute bit`,
    hint: 'Copy it with "COPY --chmod=755", or run chmod +x before',
  });
}

export function missingProgram(name: string, paths: readonly ByteString[], start: Start): Finding {
  const { world } = start;
  const brought = programElsewhere(paths, world);
  const where = name.includes('/') ? 'is not in the image' : 'is in no folder of PATH';
  return finding(start, start.isCertain ? 'error' : 'warning', {
    rule: 'missing-program',
    missing: name,
    message: `"${name}" ${where}`,
    remedies: brought,
    hint:
      brought.length > 0 ? undefined : name.includes('/') ? 'Copy it there, or correct the path' : 'Install it, or name it with its path',
  });
}

/** A program that some stage has, with all that it is loaded with and the image lacks. */
export function programElsewhere(paths: readonly ByteString[], world: World): readonly Remedy[] {
  for (const stage of world.stages) {
    for (const path of paths) {
      const entry = stage.look.find(path);
      if (entry === undefined || !isProgram(entry)) continue;
      const elf = stage.look.elf(entry);
      const own = { stage: stage.name, source: path, destination: path };
      if ('fault' in elf) return shebang(stage.look.head(entry)) === undefined ? [] : [own];
      if (needsItsOwnFolders(path)) return [];
      const closure = loadProgram(path, elf, {
        ...world,
        cameFrom: (one) => (one === path ? { stage: stage.name, path } : world.cameFrom(one)),
      });
      return [own, ...closure.faults.flatMap(remediesOf)];
    }
  }
  return [];
}

/** Interpreters that start with nothing but libraries, and do nothing without folders of their own. */
export function needsItsOwnFolders(path: string): boolean {
  return /^(?:python|perl|ruby|php|java|guile|tclsh|lua|Rscript|erl|elixir|dotnet)[\d.]*$/u.test(nameOf(path));
}
