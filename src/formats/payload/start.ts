/** Follows the start of a program as the kernel, the loader and `env` go: what it runs into are findings. */
import { asByteString, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { machineName, startsOn } from '#formats/elf/machines.ts';
import type { ElfFile } from '#formats/elf/read.ts';
import { loadProgram, type Closure, type Remedy, type World } from './closure.ts';
import { remediesOf, sayFault } from './fault-words.ts';
import { behindInit, envCommand, shebang, shellCommand, shellScript } from './command.ts';
import { asPath, closedFolder, joined, may, nameOf, type PayloadEntry } from './files.ts';
import type { Finding, FindingRoot, FindingRule } from './finding.ts';

export type Start = {
  readonly world: World;
  /** As OCI names it: `amd64`. */
  readonly architecture: string;
  readonly root: FindingRoot;
  /** What does not start here keeps the container from starting. */
  readonly isCertain: boolean;
  /** Told of each dynamic program that is followed, and of static ones. */
  readonly onProgram: (closure: Closure) => void;
};

/** The kernel follows so many interpreters of interpreters (fs/exec.c). */
const mostInterpreters = 5;

type Said = Pick<Finding, 'rule' | 'message'> & Partial<Pick<Finding, 'file' | 'missing' | 'remedies' | 'hint'>>;

function finding({ root }: Start, severity: Finding['severity'], said: Said): Finding {
  return { severity, root, file: undefined, missing: undefined, remedies: [], hint: undefined, ...said };
}

/** `words` as execve(2) gets them, the first looked up in PATH. */
export function startCommand(words: readonly string[], start: Start): readonly Finding[] {
  const found = findProgram(words[0] ?? '', start);
  if ('findings' in found) return found.findings;
  const findings = startFile(found.path, start, 0);
  const behind = behindInit(words);
  if (behind !== undefined && behind.length > 0) return [...findings, ...startCommand(behind, start)];
  const named = nameOf(words[0] ?? '') === 'env' ? envCommand(words.slice(1), start.world.environment) : undefined;
  if (named !== undefined && findings.length === 0)
    return startCommand(named.words, { ...start, world: { ...start.world, environment: named.environment } });
  if (findings.some(({ severity }) => severity === 'error')) return findings;
  const script = shellScript(words);
  if (script !== undefined) return [...findings, ...scriptFindings(script, start)];
  const inner = shellCommand(words, start.world.environment);
  return inner === undefined
    ? findings
    : [...findings, ...startInShell(inner.words, { isSearched: inner.isSearched, shell: found.path }, start)];
}

/** A script that a shell opens itself: beside the working directory some look in PATH. */
function scriptFindings(name: string, start: Start): readonly Finding[] {
  const { look, workingDirectory } = start.world;
  const paths = [joined(workingDirectory, fromText(name)), ...programPaths(fromText(name), start.world)];
  return paths.some((path) => look.find(path) !== undefined || isMounted(path)) ? [] : [missingProgram(name, [], start)];
}

/** A shell that finds no program ends with 127; a file that is no program it reads as a script; busybox has programs in itself. */
function startInShell(
  words: readonly string[],
  { isSearched, shell }: { readonly isSearched: boolean; readonly shell: ByteString },
  start: Start,
): readonly Finding[] {
  const [name = ''] = words;
  const own = start.world.look.find(shell)?.path ?? '';
  const found = findProgram(name, start);
  const isItself = 'path' in found && start.world.look.find(found.path)?.path === own;
  const isOwn = !name.includes('/') && (!isSearched || (nameOf(own) === 'busybox' && !isItself));
  const findings = startCommand(words, isOwn ? { ...start, isCertain: false } : start);
  if (isOwn) return findings.filter(({ rule }) => rule !== 'missing-program');
  return findings.filter(({ rule }) => rule !== 'not-a-program');
}

type FoundProgram = { readonly path: ByteString } | { readonly findings: readonly Finding[] };

function findProgram(name: string, start: Start): FoundProgram {
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
function isMounted(path: string): boolean {
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

function notExecutable(path: ByteString, start: Start): Finding {
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

function missingProgram(name: string, paths: readonly ByteString[], start: Start): Finding {
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
function programElsewhere(paths: readonly ByteString[], world: World): readonly Remedy[] {
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

/** A file that is there and has an execute bit. */
export function startFile(path: ByteString, start: Start, depth: number): readonly Finding[] {
  const { world } = start;
  const { look, user } = world;
  const entry = look.find(path);
  const severity = start.isCertain ? 'error' : 'warning';
  if (entry === undefined) return [];
  const closed = closedFolder(user, entry, look);
  if (closed !== undefined) {
    const message = `The image's user (uid ${user.uid}) may not pass the folder "${toText(closed)}" on the way to "${toText(path)}"`;
    return [
      finding(start, severity, {
        rule: 'closed-folder',
        file: toText(closed),
        message,
        hint: 'Give the folder the mode 755, or another owner',
      }),
    ];
  }
  if (!may(user, 'execute', entry)) return [notExecutable(path, start)];
  const head = look.head(entry);
  const script = shebang(head);
  if (script !== undefined) return startScript(path, { ...script, entry, depth }, start);
  const elf = look.elf(entry);
  if ('fault' in elf) return [notAProgram(path, entry, elf.fault, start)];
  return startElf(path, entry, elf, start);
}

function notAProgram(path: ByteString, entry: PayloadEntry, fault: 'not-elf' | 'broken', start: Start): Finding {
  const shown = toText(path);
  const what =
    entry.size === 0
      ? 'is empty'
      : fault === 'broken'
        ? 'is an ELF file that is cut off or damaged'
        : 'is neither an ELF program nor a script that begins with "#!"';
  const hint = fault === 'broken' ? 'Make or copy it again' : 'Begin it with "#!/bin/sh", or start it through its interpreter';
  return finding(start, start.isCertain ? 'error' : 'warning', {
    rule: 'not-a-program',
    file: shown,
    message: `"${shown}" ${what}: the kernel cannot start it`,
    hint,
  });
}

type Script = { readonly interpreter: string; readonly argument: string; readonly entry: PayloadEntry; readonly depth: number };

function startScript(path: ByteString, { interpreter, argument, entry, depth }: Script, start: Start): readonly Finding[] {
  const { world } = start;
  const shown = toText(path);
  const severity = start.isCertain ? 'error' : 'warning';
  const say = (rule: FindingRule, message: string, more: Partial<Said> = {}): readonly Finding[] => [
    finding(start, severity, { rule, file: shown, message, ...more }),
  ];
  const named = toText(asByteString(interpreter));
  if (interpreter === '') return say('not-a-program', `The first line of "${shown}" names no interpreter`);
  if (depth >= mostInterpreters) return say('missing-interpreter', `"${shown}" is the interpreter of too many scripts in a row`);
  const lineEnds = 'Save it with line ends of Unix: "dos2unix", or "sed -i \'s/\\r$//\'", or "text eol=lf" in .gitattributes';
  const target = joined(world.workingDirectory, interpreter);
  const found = world.look.find(target);
  if (interpreter.endsWith('\r') && found === undefined) {
    const message = `The first line of "${shown}" ends in a carriage return: the kernel looks for an interpreter "${named.slice(0, -1)}\\r"`;
    return say('carriage-return', message, { missing: `${named.slice(0, -1)}\\r`, hint: lineEnds });
  }
  if (found === undefined) return [missingInterpreter(path, { target, argument }, start)];
  if (found.kind !== 'file' || (found.mode & 0o111) === 0) return [notExecutable(target, start)];
  const inner = startFile(target, start, depth + 1);
  if (inner.length > 0) return inner;
  if (!may(world.user, 'read', entry))
    return say('not-executable', `"${shown}" is a script that the image's user may not read`, { hint: 'Give it the mode 755' });
  if (argument.endsWith('\r') && /^(?:ba|da|a)?sh$/u.test(nameOf(interpreter)) && /^[-+]/u.test(argument)) {
    return say('carriage-return', `The first line of "${shown}" ends in a carriage return: its interpreter takes it for an option`, {
      hint: lineEnds,
    });
  }
  return nameOf(interpreter) === 'env' ? startByEnv(path, argument, start, lineEnds) : [];
}

function startByEnv(path: ByteString, argument: string, start: Start, lineEnds: string): readonly Finding[] {
  const behind = envCommand([toText(asByteString(argument))], start.world.environment);
  const [name] = behind?.words ?? [];
  if (behind === undefined || name === undefined) return [];
  const world = { ...start.world, environment: behind.environment };
  const paths = programPaths(fromText(name), world);
  const there = paths.find((one) => isProgram(world.look.find(one)));
  if (there !== undefined) return startFile(there, { ...start, world }, 1).filter(({ rule }) => rule !== 'not-a-program');
  const shown = toText(path);
  const severity = start.isCertain ? 'error' : 'warning';
  const missing = name;
  if (name.endsWith('\r')) {
    const message = `The first line of "${shown}" ends in a carriage return: env looks for a program "${missing.slice(0, -1)}\\r"`;
    return [
      finding(start, severity, { rule: 'carriage-return', file: shown, message, missing: `${missing.slice(0, -1)}\\r`, hint: lineEnds }),
    ];
  }
  const remedies = programElsewhere(paths, world);
  const hint = /[ \t]/u.test(name)
    ? 'The kernel hands all that stands behind "env" to it as one word: write "#!/usr/bin/env -S"'
    : remedies.length > 0
      ? undefined
      : interpreterHint(paths, world);
  return [
    finding(start, severity, {
      rule: 'missing-interpreter',
      file: shown,
      missing,
      message: `"${shown}" is a script for "${missing}", which is in no folder of PATH`,
      remedies,
      hint,
    }),
  ];
}

function missingInterpreter(
  path: ByteString,
  { target, argument }: { readonly target: ByteString; readonly argument: string },
  start: Start,
): Finding {
  const { world } = start;
  const shown = toText(path);
  // With env alone the script would not start either.
  const behind = nameOf(target) === 'env' ? envCommand([toText(asByteString(argument))], world.environment) : undefined;
  const [name] = behind?.words ?? [];
  const more = behind === undefined || name === undefined ? [] : programPaths(fromText(name), { ...world, ...behind });
  const remedies = [
    ...programElsewhere([target], world),
    ...(more.some((one) => isProgram(world.look.find(one))) ? [] : programElsewhere(more, world)),
  ];
  return finding(start, start.isCertain ? 'error' : 'warning', {
    rule: 'missing-interpreter',
    file: shown,
    missing: toText(target),
    message: `"${shown}" is a script for "${toText(target)}", which is not in the image`,
    remedies,
    hint: remedies.length > 0 ? undefined : interpreterHint([target], world),
  });
}

function interpreterHint(paths: readonly ByteString[], { stages }: World): string {
  const name = nameOf(paths[0] ?? '');
  const stage = stages.find(({ look }) => paths.some((path) => isProgram(look.find(path))));
  const has =
    stage === undefined ? '' : ` (stage "${stage.name}" has it, with folders of its own: start the final stage from the same image)`;
  return `Install ${toText(name)} in the final stage, or use a base that has it${has}`;
}

function startElf(path: ByteString, entry: PayloadEntry, elf: ElfFile, start: Start): readonly Finding[] {
  const { world, architecture } = start;
  const shown = toText(path);
  const severity = start.isCertain ? 'error' : 'warning';
  const fits = startsOn(architecture, elf.machine);
  if (fits === 'no' || fits === 'perhaps') {
    const message = `"${shown}" is a program for ${machineName(elf.machine)}, the image is for ${architecture}`;
    const hint = 'Build it for the platform of the image: TARGETARCH says which that is';
    const wrong = finding(start, fits === 'no' ? severity : 'warning', { rule: 'wrong-machine', file: shown, message, hint });
    if (fits === 'no') return [wrong];
    return [wrong, ...loaded(path, elf, { ...start, isCertain: false })];
  }
  if (elf.kind === 'other') return [notAProgram(path, entry, 'broken', start)];
  return loaded(path, elf, start, world.user.uid !== 0 && (entry.mode & 0o6000) !== 0);
}

/** `isSecure`: its loader may leave variables and `$ORIGIN` aside (AT_SECURE), so that it finds no more than is found here, and perhaps something else. */
function loaded(path: ByteString, elf: ElfFile, start: Start, isSecure = false): readonly Finding[] {
  const real = asPath(start.world.look.find(path)?.path ?? path);
  const closure = loadProgram(real, elf, start.world);
  start.onProgram(closure);
  return closure.faults.map((fault) => {
    const isMissing = fault.kind === 'interpreter' || (fault.kind === 'library' && (fault.why === 'missing' || fault.why === 'uncached'));
    const isKnown = (fault.kind === 'interpreter' || closure.loader !== 'unknown') && (isMissing || !isSecure);
    return { severity: start.isCertain && isKnown ? 'error' : 'warning', root: start.root, ...sayFault(fault, path) };
  });
}
