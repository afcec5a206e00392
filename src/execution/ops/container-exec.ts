/** One more process in a container that runs: what `exec` and health checks start. What is in the container may change while it is looked at, and is only ever looked at from inside its root. */
import { fstatSync } from 'node:fs';
import { asByteString, fromText } from '#ground/base/byte-string.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { openIfThere, openRoot, readTextIn, type Root } from '#ground/linux/rooted-path.ts';
import { openFlags } from '#ground/linux/syscall.ts';
import { assertProgram, checkInterpreter, type NoProgram, type Program } from '#execution/runtime/command.ts';
import type { ExtraCall, ProcessRequest } from '#execution/runtime/contract.ts';
import { accountFileLimit, resolveUser, withGroups } from '#execution/runtime/user.ts';
import type { ContainerRequest, ContainerTools } from './container.ts';
import { defaultPath, withDefaults } from './exec/process.ts';

export type ExecRequest = {
  readonly arguments: readonly string[];
  /** Beside the container's, which they replace. */
  readonly environment: readonly string[];
  /** undefined: the container's. */
  readonly user?: string | undefined;
  readonly workingDirectory?: string | undefined;
  readonly terminal: boolean;
  readonly terminalSize?: ProcessRequest['terminalSize'];
  readonly isPrivileged: boolean;
};

/**
 * How to start it in the container whose first process is `first`, as this process counts; undefined when that has ended. Throws `runtime/command-not-found`,
 * `runtime/command-not-executable`, `runtime/no-interpreter`, `runtime/not-a-program`, `runtime/unknown-user` and its like, `runtime/not-in-chroot`, `ops/no-working-directory`.
 */
export function prepareExec(
  request: ExecRequest,
  { container, first }: { readonly container: ContainerRequest; readonly first: number },
  { runtime }: Pick<ContainerTools, 'runtime'>,
): ExtraCall | undefined {
  using root = tryRoot(first);
  if (root === undefined) return undefined;
  const files = {
    passwd: readTextIn(root, asByteString('etc/passwd'), accountFileLimit),
    group: readTextIn(root, asByteString('etc/group'), accountFileLimit),
  };
  const user = withGroups(resolveUser(request.user ?? container.user, files), container.held?.groups ?? [], files);
  const environment = withDefaults(replaceVariables(container.environment, request.environment), [
    defaultPath,
    `HOSTNAME=${container.hostname}`,
    `HOME=${user.home}`,
    ...(request.terminal ? ['TERM=xterm'] : []),
  ]);
  const workingDirectory = request.workingDirectory ?? container.workingDirectory;
  if (kindOf(root, workingDirectory) !== 'folder')
    throw new JettisonError(
      'ops/no-working-directory',
      `chdir to cwd ("${workingDirectory}") set in config.json failed: no such file or directory`,
      { hint: 'Name a folder that the container has with "-w"' },
    );
  const { arguments: words, terminal, terminalSize, isPrivileged } = request;
  const lookInside = (path: string): Program | NoProgram => look(root, path);
  const program = assertProgram({ arguments: words, environment, workingDirectory }, lookInside);
  if (program.kind === 'program') checkInterpreter(words[0] ?? '', program, lookInside);
  return runtime.exec(container.id, { arguments: words, environment, workingDirectory, user, terminal, terminalSize, isPrivileged });
}

/** The last of a name counts; it stands where the first stood. */
function replaceVariables(before: readonly string[], more: readonly string[]): readonly string[] {
  const all = new Map<string, string>();
  for (const variable of [...before, ...more]) all.set(variable.split('=')[0] ?? '', variable);
  return [...all.values()];
}

function tryRoot(first: number): Root | undefined {
  try {
    return openRoot(`/proc/${first}/root`);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ESRCH') return undefined;
    throw error;
  }
}

function look(root: Root, path: string): Program | NoProgram {
  const kind = kindOf(root, path);
  if (kind === undefined) return { kind: 'missing' };
  if (kind !== 'program') return { kind: 'not-executable' };
  return { kind: 'program', open: () => openIfThere(root, fromText(path), openFlags.readOnly | openFlags.nonBlocking) };
}

function kindOf(root: Root, path: string): 'folder' | 'program' | 'other' | undefined {
  using file = openIfThere(root, fromText(path), openFlags.path);
  if (file === undefined) return undefined;
  const stats = fstatSync(file.file);
  if (stats.isDirectory()) return 'folder';
  return stats.isFile() && (stats.mode & 0o111) !== 0 ? 'program' : 'other';
}
