/** COPY, ADD and WORKDIR: one file operation, one layer. */
import { clean, JettisonError } from '#ground/base/errors.ts';
import type { Span } from '#ground/base/span.ts';
import type { CopyAction, CopyLibs, FileAction, FileOp } from '#formats/graph/op.ts';
import type { Edge } from '#formats/graph/vertex.ts';
import type { WordRules } from '#languages/frontend/words.ts';
import type { AddInstruction, CopyInstruction, Word, WorkdirInstruction } from '../ast.ts';
import { bodyOf } from '../syntax/heredoc.ts';
import type { Origin } from './plan.ts';
import { cleanPath, resolvePath } from './paths.ts';
import { readChecksum, readRemote, refuseRemote, remoteTree, type Remote, type Source } from './remote.ts';
import { copiedBy } from '#languages/frontend/copied.ts';
import { expand, placeOf } from './expand.ts';
import { noCommand, record } from './history.ts';
import { addLayer, addLinkedLayer, filesOf, spend, type StageState, type StepContext } from './state.ts';

/** COPY and ADD. With `--link` the copy is made over nothing, and its layer put over the stage's (see `standsAlone`). */
export function convertCopy(context: StepContext, instruction: CopyInstruction | AddInstruction): void {
  const { state, step, at, conversion } = context;
  const chown = instruction.chown && expand(context, instruction.chown);
  const chmod = instruction.chmod && expand(context, instruction.chmod);
  const paths: { readonly word: Word; readonly path: string }[] = [];
  for (const source of instruction.sources) {
    if (source.kind === 'path') paths.push({ word: source.path, path: expand(context, source.path) });
  }
  const written = expand(context, instruction.destination);
  const mode = chmod === undefined || chmod === '' ? null : readMode(chmod, instruction.chmod ? placeOf(context, instruction.chmod) : at);
  const owner = chown === undefined || chown === '' ? null : chown;
  const sources = readSources(context, instruction, paths);
  const checksum = readChecksum(context, instruction, sources);
  const [origin = { kind: 'context' } as const] = step.origins;
  if (origin.kind === 'context')
    context.facts.contextPaths = sources.flatMap(({ path, remote }) => (remote === undefined ? [cleanPath(path)] : []));
  const from = instruction.kind === 'copy' && instruction.from ? placeOf(context, instruction.from) : at;
  if (instruction.kind === 'copy') refuseLibs(instruction, origin, at);
  const readTree = (): Edge | undefined => filesOf(origin, { state, conversion, at: from });
  if (conversion.isDry && paths.length === instruction.sources.length && sources.every(({ remote }) => remote === undefined)) {
    readTree();
    return;
  }
  const isAlone = instruction.link && standsAlone(owner, mode) && !bringsLibs(instruction);
  const base = isAlone ? undefined : state.files;
  const inputs: Edge[] = base ? [base] : [];
  const actions = actionsOf({ context, instruction, sources, checksum, written, owner, mode, inputs, readTree });
  if (base) addLayer(context, () => ({ kind: 'file', base: 0, actions }), inputs);
  else addLinkedLayer(context, () => ({ kind: 'file', base: null, actions }), inputs);
  record(context, () => `${shownCopy({ instruction, sources, written, owner, chmod: mode === null ? undefined : chmod })} # buildkit`, {
    isLayer: true,
    classic: () => classicCopy(state, { instruction, written, owner, chmod: mode === null ? undefined : chmod }),
  });
}

function readSources(
  context: StepContext,
  instruction: CopyInstruction | AddInstruction,
  paths: readonly { readonly word: Word; readonly path: string }[],
): readonly Source[] {
  const sources = paths.map(({ word, path }) => ({ path, remote: readRemote(path, () => placeOf(context, word)) }));
  for (const [index, { word }] of paths.entries()) refuseRemote(instruction, sources[index]?.remote, () => placeOf(context, word));
  return sources;
}

type Copying = {
  readonly context: StepContext;
  readonly instruction: CopyInstruction | AddInstruction;
  readonly sources: readonly Source[];
  readonly checksum: string | undefined;
  /** The destination, expanded. */
  readonly written: string;
  readonly owner: string | null;
  readonly mode: number | string | null;
  /** The trees that are read are added to it. */
  readonly inputs: Edge[];
  /** What paths are in. */
  readonly readTree: () => Edge | undefined;
};

function actionsOf({ context, instruction, sources, checksum, written, owner, mode, inputs, readTree }: Copying): readonly FileAction[] {
  const destinationIsFolder = written === '' || written.endsWith('/') || /(?:^|\/)\.{1,2}$/u.test(written);
  const destination = resolvePath(context.state.draft.workingDirectory || '/', written);
  // Patterns are no place for variables: https://docs.docker.com/reference/dockerfile/#environment-replacement
  const exclude = instruction.exclude.map((word) => word.text);
  const parents = instruction.kind === 'copy' && instruction.parents;
  const inputOf = (tree: Edge | undefined): number | null => (tree ? inputs.push(tree) - 1 : null);
  const common = { destination, destinationIsFolder, owner, mode } as const;
  const actions: FileAction[] = [];
  for (const group of groupSources(sources)) {
    if ('kind' in group) {
      const tree = remoteTree(context, group, { instruction, checksum });
      actions.push({
        kind: 'copy',
        input: inputOf(tree.files),
        sources: [tree.path],
        wildcards: false,
        ...common,
        destinationIsFolder: destinationIsFolder || group.kind === 'git',
        unpack: group.kind === 'web' && instruction.kind === 'add' && (instruction.unpack ?? false),
        exclude: group.kind === 'git' ? exclude : [],
        parents: false,
      });
      continue;
    }
    actions.push({
      kind: 'copy',
      input: inputOf(readTree()),
      sources: group.map((path) => (parents ? pivotPath(path) : cleanPath(path))),
      wildcards: true,
      ...common,
      unpack: instruction.kind === 'add' && (instruction.unpack ?? true),
      exclude,
      parents,
      ...(bringsLibs(instruction) ? { libs: libsOf(context.state) } : {}),
    } satisfies CopyAction);
  }
  for (const source of instruction.sources) {
    if (source.kind !== 'heredoc') continue;
    const { heredoc } = source;
    const body = { text: bodyOf(heredoc), span: heredoc.span };
    const text = heredoc.expand ? expand(context, body, bodyRules) : body.text;
    actions.push({ kind: 'write-file', path: destination, name: heredoc.name, destinationIsFolder, text, mode, owner });
  }
  return actions;
}

function bringsLibs(instruction: CopyInstruction | AddInstruction): boolean {
  return instruction.kind === 'copy' && instruction.libs !== undefined;
}

/** Libraries are looked for in the root file system that programs were made for: a folder of the client and files from elsewhere are none. */
function refuseLibs({ libs }: CopyInstruction, { kind }: Origin, at: readonly Span[]): void {
  if (libs === undefined || kind === 'stage' || kind === 'image' || kind === 'scratch') return;
  throw new JettisonError(
    'dockerfile/libs-without-stage',
    '"--libs" brings libraries of a stage or an image, and this copies from neither',
    {
      at,
      hint: 'Write "COPY --from=STAGE --libs ...", or leave "--libs" out',
    },
  );
}

/** By these, programs and libraries are found; others would only make the step new. */
const wayVariables: ReadonlySet<string> = new Set(['PATH', 'LD_LIBRARY_PATH']);

function libsOf({ draft }: StageState): CopyLibs {
  const named = [...draft.variables].filter(([name]) => wayVariables.has(name));
  return { environment: named.map(([name, value]) => `${name}=${value}`), workingDirectory: draft.workingDirectory };
}

const bodyRules: WordRules = { escape: '\\', plainQuotes: true };

/** The instruction as history has it; `chmod` undefined for none. */
function shownCopy({
  instruction,
  sources,
  written,
  owner,
  chmod,
}: Pick<Copying, 'instruction' | 'sources' | 'written' | 'owner'> & { readonly chmod: string | undefined }): string {
  return [
    instruction.kind.toUpperCase(),
    ...(instruction.kind === 'copy' && instruction.parents ? ['--parents'] : []),
    ...(bringsLibs(instruction) ? ['--libs'] : []),
    ...(owner === null ? [] : [`--chown=${owner}`]),
    ...(chmod === undefined ? [] : [`--chmod=${chmod}`]),
    ...sources.map(({ path }) => clean(path)),
    ...instruction.sources.flatMap((source) => (source.kind === 'heredoc' ? [`<<${source.heredoc.name}`] : [])),
    written,
  ].join(' ');
}

/** As the builder before BuildKit has it: the digest of what is copied, which is known when it was read, in the place of its name. */
function classicCopy(
  { draft, layers }: StageState,
  { instruction, written, owner, chmod }: Pick<Copying, 'instruction' | 'written' | 'owner'> & { readonly chmod: string | undefined },
): string {
  const layer = layers.at(-1);
  const flags = [...(owner === null ? [] : [`--chown=${owner} `]), ...(chmod === undefined ? [] : [`--chmod=${chmod} `])].join('');
  return noCommand(draft, `${instruction.kind.toUpperCase()} ${flags}${layer === undefined ? '' : copiedBy(layer)} in ${written} `);
}

/**
 * Can a copy be made without its base? Names of users but root are in the base's /etc/passwd. With --chmod BuildKit copies over the base as without --link, and it
 * shows: folders that are there keep their looks, links in the destination are followed.
 */
function standsAlone(owner: string | null, mode: number | string | null): boolean {
  return mode === null && /^(?:\d+|root)?(?::(?:\d+|root)?)?$/u.test(owner ?? '');
}

/** WORKDIR: sets the working directory and makes it, owned by the user in force. */
export function convertWorkdir(context: StepContext, instruction: WorkdirInstruction): void {
  const { state, facts } = context;
  const written = expand(context, instruction.path);
  facts.path = written;
  state.hasWorkdir = true;
  const folder = joinWorkdir(state.draft.workingDirectory || '/', written);
  // Paths that are joined grow with every step, and one with many ".." is many folders.
  spend(context.conversion, folder.length * (8 + folder.split('..').length), context.at);
  state.draft.workingDirectory = folder;
  if (folder !== '/') {
    const makeOp = (): FileOp => {
      const owner = state.draft.user === '' ? null : state.draft.user;
      const actions = foldersTo(folder).map((path) => ({ kind: 'make-folder', path, mode: 0o755, owner }) as const);
      return { kind: 'file', base: state.files ? 0 : null, actions };
    };
    addLayer(context, makeOp, state.files ? [state.files] : []);
  } else state.step++;
  record(context, () => `WORKDIR ${folder}`, { isLayer: folder !== '/', classic: () => noCommand(state.draft, `WORKDIR ${folder}`) });
}

/** What `mkdir -p` makes of an absolute path as it is written: also the folders that a `..` leaves again. */
function foldersTo(written: string): readonly string[] {
  const left = [...written.matchAll(/[^/]\/+\.\.(?=\/|$)/gu)].map(({ index }) => cleanPath(written.slice(0, index + 1)));
  return [...new Set([...left, cleanPath(written)])];
}

/** As BuildKit keeps it in the image: an absolute path as it is written, with a slash at its end, too; a relative one joined and clean. */
function joinWorkdir(from: string, written: string): string {
  if (written === '') return from;
  return written.startsWith('/') ? written : resolvePath(from, written);
}

/** An octal mode as a number, a symbolic one as text. */
function readMode(text: string, at: readonly Span[]): number | string {
  const mode = /^[0-7]{1,10}$/u.test(text) ? Number.parseInt(text, 8) : undefined;
  if (mode !== undefined && mode <= 0o7777) return mode;
  const clauses = text.split(',');
  if (mode === undefined && clauses.every((clause) => /^[ugoa]*(?:[-+=][rwxXstugo]*)+$/u.test(clause))) return text;
  throw new JettisonError('dockerfile/bad-mode', `Invalid chmod parameter: '${text}'. It should be octal string and between 0 and 07777`, {
    at,
    hint: 'Write an octal mode (755) or a symbolic one (u+rwx,go=rX)',
  });
}

/** With --parents the part of a source behind `/./` is what is kept; both parts are cleaned, the pivot stays. */
function pivotPath(path: string): string {
  const pivot = path.indexOf('/./');
  if (pivot < 0) return cleanPath(path);
  const before = cleanPath(path.slice(0, pivot));
  return `${before === '/' ? '' : before}/.${cleanPath(path.slice(pivot + 2))}`;
}

/** Sources of the tree together, each remote one on its own, in order. */
function groupSources(sources: readonly Source[]): readonly (Remote | readonly string[])[] {
  const groups: (Remote | string[])[] = [];
  for (const { path, remote } of sources) {
    const last = groups.at(-1);
    if (remote !== undefined) groups.push(remote);
    else if (Array.isArray(last)) last.push(path);
    else groups.push([path]);
  }
  return groups;
}
