/** Will the container start? Looks at what an image starts and at what was copied into it; nothing of it is run. */
import { isCode } from '#ground/base/errors.ts';
import { fromText, toText, type ByteString } from '#ground/base/byte-string.ts';
import type { Closure, World } from './closure.ts';
import { closedFolder, folderOf, joined, type PayloadFiles, type PayloadUser } from './files.ts';
import type { Finding, FindingRoot } from './finding.ts';
import { readLoaderCache } from './loader-cache.ts';
import { lookAt, mostEffort, type Effort } from './look.ts';
import { shebang } from './command.ts';
import { environmentOf, isWhereCommandsAre } from './environment.ts';
import type { Start } from './find-program.ts';
import { startFile } from './start-file.ts';
import { startCommand } from './start.ts';
import { checkSurroundings } from './surroundings.ts';

/** What an image's config says of its start. */
export type StartSettings = {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  /** `NAME=value`. */
  readonly environment: readonly string[];
  /** '' for the root. */
  readonly workingDirectory: string;
  /** Of HEALTHCHECK, with its first word; none for nothing. */
  readonly healthcheck: readonly string[];
  /** Of SHELL; none for the usual one. */
  readonly shell: readonly string[];
  /** As OCI names it. */
  readonly architecture: string;
};

export type PayloadRequest = {
  readonly files: PayloadFiles;
  readonly settings: StartSettings;
  /** Who it runs as; or why nobody knows that. */
  readonly user: PayloadUser | { readonly message: string; readonly hint: string | undefined };
  /** Stages of the same build: those whose files were copied first. */
  readonly stages: readonly { readonly name: string; readonly files: PayloadFiles }[];
  /** Real paths, absolute, of files that were copied into the image. */
  readonly brought: readonly ByteString[];
  /** The file of a stage that was copied to a real path. */
  readonly cameFrom: World['cameFrom'];
};

export type PayloadReport = {
  /** Errors first. */
  readonly findings: readonly Finding[];
  /** How many programs were followed. */
  readonly programs: number;
};

/** Yields after each program and each piece of a file: whoever drives it may do something else meanwhile, or leave it. Throws what `files` throws. */
export function* checkPayload(request: PayloadRequest, effort: Effort = { left: mostEffort }): Generator<undefined, PayloadReport> {
  const closures = new Map<ByteString, Closure>();
  const findings: Finding[] = [];
  try {
    for (const found of findingsOf(request, closures, effort)) {
      findings.push(...found);
      yield;
    }
  } catch (error) {
    // A program asks for more than anyone looks for: what was found before that, and that this is not all.
    if (!isCode(error, 'payload/too-much')) throw error;
    const message = 'Programs of the image ask for so many libraries in so many folders that the rest of it was not looked at';
    findings.push({ ...nowhere, rule: 'not-followed', severity: 'warning', root: 'COPY', message, hint: undefined });
  }
  return { findings: distinct(findings), programs: closures.size };
}

/** `closures`: takes all programs that are followed. */
function* findingsOf(request: PayloadRequest, closures: Map<ByteString, Closure>, effort: Effort): Generator<readonly Finding[]> {
  const { settings } = request;
  const world = worldOf(request, effort);
  const at = (root: FindingRoot, isCertain: boolean): Start => ({
    world,
    architecture: settings.architecture,
    root,
    isCertain,
    onProgram: (closure) => {
      const [program] = closure.objects;
      if (program !== undefined) closures.set(program.path, closure);
    },
  });
  yield userFindings(request);
  yield folderFindings(world);
  yield startFindings(settings, at);
  yield healthFindings(settings, at);
  for (const path of request.brought) yield broughtFindings(path, world, at);
  yield* checkSurroundings([...closures.values()], world);
}

const nowhere = { file: undefined, missing: undefined, remedies: [] } as const;

function worldOf({ files, settings, user, stages, cameFrom }: PayloadRequest, effort: Effort): World {
  return {
    look: lookAt(files, readLoaderCache, effort),
    stages: stages.map((stage) => ({ name: stage.name, look: lookAt(stage.files, readLoaderCache, effort) })),
    environment: environmentOf(settings.environment),
    workingDirectory: joined('/', fromText(settings.workingDirectory)),
    user: 'uid' in user ? user : { uid: 0, gids: [0] },
    cameFrom,
  };
}

function userFindings({ user }: PayloadRequest): readonly Finding[] {
  if ('uid' in user) return [];
  return [{ ...nowhere, rule: 'unknown-user', severity: 'error', root: 'USER', ...user }];
}

/** A folder that is not there is made when the container starts, where what is above it is one. */
function folderFindings(world: World): readonly Finding[] {
  const { look, user } = world;
  let { workingDirectory } = world;
  while (look.find(workingDirectory) === undefined && workingDirectory !== '/') workingDirectory = folderOf(workingDirectory);
  const entry = look.find(workingDirectory);
  if (entry === undefined || (entry.kind === 'folder' && workingDirectory !== world.workingDirectory)) return [];
  const shown = toText(workingDirectory);
  const common = { rule: 'working-directory', root: 'WORKDIR', file: shown, missing: undefined, remedies: [] } as const;
  if (entry.kind !== 'folder')
    return [
      {
        ...common,
        severity: 'error',
        message: `${workingDirectory === world.workingDirectory ? 'The working directory' : 'On the way to the working directory'} "${shown}" is not a folder`,
        hint: 'Name a folder',
      },
    ];
  const closed = closedFolder(user, { ...entry, passed: [...(entry.passed ?? []), entry.path] }, look);
  if (closed === undefined) return [];
  // Runtimes go there before they become the user.
  const message = `The image's user (uid ${user.uid}) may not go into the working directory "${shown}"`;
  return [{ ...common, severity: 'warning', message, hint: `Give "${toText(closed)}" the mode 755, or another owner` }];
}

function startFindings({ entrypoint, command }: StartSettings, at: (root: FindingRoot, isCertain: boolean) => Start): readonly Finding[] {
  if (entrypoint.length > 0) return startCommand([...entrypoint, ...command], at('ENTRYPOINT', true));
  return command.length > 0 ? startCommand(command, at('CMD', true)) : [];
}

function healthFindings({ healthcheck, shell }: StartSettings, at: (root: FindingRoot, isCertain: boolean) => Start): readonly Finding[] {
  const [kind = '', ...words] = healthcheck;
  if (kind === 'CMD' && words.length > 0) return startCommand(words, at('HEALTHCHECK', false));
  if (kind !== 'CMD-SHELL') return [];
  return startCommand([...(shell.length > 0 ? shell : ['/bin/sh', '-c']), ...words], at(shell.length > 0 ? 'SHELL' : 'HEALTHCHECK', false));
}

/** Programs, and scripts where commands lie: in other folders scripts are data as often as not. */
function broughtFindings(path: ByteString, world: World, at: (root: FindingRoot, isCertain: boolean) => Start): readonly Finding[] {
  const entry = world.look.find(path);
  if (entry?.kind !== 'file' || (entry.mode & 0o111) === 0) return [];
  if (shebang(world.look.head(entry)) !== undefined)
    return isWhereCommandsAre(path, world.environment) ? startFile(path, at('COPY', false), 0) : [];
  const elf = world.look.elf(entry);
  if ('fault' in elf || (elf.kind !== 'program' && elf.interpreter === undefined)) return [];
  return startFile(path, at('COPY', false), 0);
}

/** What several roots run into is said once, of the gravest. */
function distinct(findings: readonly Finding[]): readonly Finding[] {
  const ordered = [
    ...findings.filter(({ severity }) => severity === 'error'),
    ...findings.filter(({ severity }) => severity === 'warning'),
  ];
  const seen = new Set<string>();
  return ordered.filter(({ rule, file, missing, message }) => {
    const key =
      rule === 'missing-library' || rule === 'missing-version' || rule === 'missing-loader'
        ? `${rule} ${file ?? ''} ${missing ?? ''}`
        : `${rule} ${message}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
