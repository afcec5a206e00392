/** Follows the words of a command: programs that start others, shells and their scripts. */
import { fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import { envCommand, scriptCall, shebang, shellCall, startedBehind, type ShellCall, type StartedBehind } from './command.ts';
import { joined, nameOf } from './files.ts';
import { findProgram, isMounted, missingProgram, programPaths, type Start } from './find-program.ts';
import type { Finding, FindingRule } from './finding.ts';
import { shellCommands, type ShellStart, type ShellCommands } from './shell-commands.ts';
import { startFile } from './start-file.ts';

/** `words` as execve(2) gets them, the first looked up in PATH. */
export function startCommand(words: readonly string[], start: Start): readonly Finding[] {
  const found = findProgram(words[0] ?? '', start);
  if ('findings' in found) return found.findings;
  const findings = startFile(found.path, start, 0);
  const behind = startedBehind(words);
  if (behind !== undefined && behind.words.length > 0) return [...findings, ...startBehind(behind, start)];
  const named = nameOf(words[0] ?? '') === 'env' ? envCommand(words.slice(1), start.world.environment) : undefined;
  if (named !== undefined && findings.length === 0)
    return startCommand(named.words, { ...start, world: { ...start.world, environment: named.environment } });
  return findings.some(({ severity }) => severity === 'error') ? findings : [...findings, ...startedByShell(words, found.path, start)];
}

/** What another user may do is not known here. */
function startBehind({ words, isOtherUser }: StartedBehind, start: Start): readonly Finding[] {
  const findings = startCommand(words, start);
  return isOtherUser ? findings.filter(({ rule }) => rule !== 'not-executable' && rule !== 'closed-folder') : findings;
}

/** What the words start where they are a shell, or a script for one. */
function startedByShell(words: readonly string[], path: ByteString, start: Start): readonly Finding[] {
  const script = scriptAt(path, start);
  if (script !== undefined) {
    const real = scriptCall(script, [toText(path), ...words.slice(1)], start.world.environment);
    const inner = real && shellCall(real);
    return real === undefined || inner === undefined || inner.text !== undefined ? [] : startedByScript(path, real, inner, start);
  }
  const call = shellCall(words);
  if (call === undefined) return [];
  if (call.text !== undefined) return startCommands(shellCommands(call.text, shellStart(call, start)), { call, shell: path }, start);
  const [name = ''] = call.parameters;
  const paths = [joined(start.world.workingDirectory, fromText(name)), ...programPaths(fromText(name), start.world)];
  // A shell opens its script itself: beside the working directory some look in PATH.
  const found = paths.find((one) => start.world.look.find(one) !== undefined || isMounted(one));
  return found === undefined ? [missingProgram(name, [], start)] : startedByScript(found, words, call, start);
}

function scriptAt(path: ByteString, { world }: Start): ReturnType<typeof shebang> {
  const entry = world.look.find(path);
  return entry?.kind === 'file' ? shebang(world.look.head(entry)) : undefined;
}

function shellStart({ parameters, isLogin, endsOnFailure }: ShellCall, { world }: Start): ShellStart {
  return { environment: isLogin ? new Map() : world.environment, parameters, endsOnFailure };
}

/** Scripts that start scripts are followed so far. */
const mostScripts = 4;

/** `words`: the shell and what it was given. */
function startedByScript(path: ByteString, words: readonly string[], call: ShellCall, start: Start): readonly Finding[] {
  const { scripts = 0 } = start;
  const text = scripts < mostScripts && !isMounted(path) ? start.world.look.text(path) : undefined;
  const found = findProgram(words[0] ?? '', start);
  // What is called like a shell may be a script itself.
  if (text === undefined || /[\0\r]/u.test(text) || 'findings' in found || scriptAt(found.path, start) !== undefined) return [];
  const commands = shellCommands(text, shellStart(call, start));
  const inner = { ...start, scripts: scripts + 1 };
  const shell = { call, shell: found.path };
  return [...startCommands(commands, shell, inner), ...(commands.isWhole ? [] : startHandedOn(text, shell, inner))];
}

/** What stands behind a script on its command line, where the script hands it on as its last command, whatever it does before. */
function startHandedOn(text: string, shell: StartingShell, start: Start): readonly Finding[] {
  const { parameters, isLogin } = shell.call;
  const lines = text.split('\n').filter((line) => !/^\s*(?:#|$)/u.test(line));
  if (parameters.length < 2 || !/^exec "\$@"\s*$/u.test(lines.at(-1) ?? '') || /\b(?:set\s+--|shift)\b/u.test(text)) return [];
  const environment = isLogin ? new Map<string, string>() : start.world.environment;
  const command = { kind: 'program', words: parameters.slice(1), environment, isCertain: false, mayBeBrought: true } as const;
  return startCommands({ commands: [command], isWhole: true }, shell, start);
}

type StartingShell = { readonly call: ShellCall; readonly shell: ByteString };

function startCommands({ commands }: ShellCommands, { call, shell }: StartingShell, start: Start): readonly Finding[] {
  const findings: Finding[] = [];
  let { world } = start;
  for (const command of commands) {
    if (command.kind === 'folder') {
      const folder = world.look.find(joined(world.workingDirectory, fromText(command.name)));
      if (folder?.kind !== 'folder') break;
      world = { ...world, workingDirectory: folder.path };
      continue;
    }
    const inner = {
      ...start,
      world: { ...world, environment: command.environment },
      isCertain: start.isCertain && command.isCertain && !command.mayBeBrought,
    };
    const found = startInShell(command.words, { isSearched: !call.isLogin, shell }, inner);
    findings.push(...(command.mayBeBrought ? found.filter(({ rule, remedies }) => !isAbsence(rule) || remedies.length > 0) : found));
  }
  return findings;
}

function isAbsence(rule: FindingRule): boolean {
  return rule === 'missing-program' || rule === 'missing-interpreter' || rule === 'not-executable';
}

/** A shell that finds no program ends with 127; a file that is no program it reads as a script; busybox has programs in itself. */
function startInShell(
  words: readonly string[],
  { isSearched, shell }: { readonly isSearched: boolean; readonly shell: ByteString },
  start: Start,
): readonly Finding[] {
  const [name = ''] = words;
  const { look } = start.world;
  const own = look.find(shell);
  const found = findProgram(name, start);
  const isItself = 'path' in found && look.find(found.path)?.path === own?.path;
  // All names of its programs stand in it.
  const mayHave = own !== undefined && nameOf(own.path) === 'busybox' && !isItself && look.mayName(own, fromText(name));
  const isOwn = !name.includes('/') && (!isSearched || mayHave);
  const findings = startCommand(words, isOwn ? { ...start, isCertain: false } : start);
  if (isOwn) return findings.filter(({ rule }) => rule !== 'missing-program');
  return findings.filter(({ rule }) => rule !== 'not-a-program');
}
