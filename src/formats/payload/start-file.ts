/** Follows the start of a file as the kernel, the loader and `env` go: what it runs into are findings. */
import { asByteString, fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { machineName, startsOn } from '#formats/elf/machines.ts';
import type { ElfFile } from '#formats/elf/read.ts';
import { loadProgram, type World } from './closure.ts';
import { sayFault } from './fault-words.ts';
import { envCommand, shebang } from './command.ts';
import { asPath, closedFolder, joined, may, nameOf, type PayloadEntry } from './files.ts';
import { finding, isProgram, notExecutable, programElsewhere, programPaths, type Said, type Start } from './find-program.ts';
import type { Finding, FindingRule } from './finding.ts';

/** The kernel follows so many interpreters of interpreters (fs/exec.c). */
const mostInterpreters = 5;

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
