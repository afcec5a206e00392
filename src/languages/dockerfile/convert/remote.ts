/** Sources of ADD that are no paths: files from the web and Git repositories. */
import { isDigest, parseDigest } from '#ground/base/digest-form.ts';
import { clean, JettisonError } from '#ground/base/errors.ts';
import type { Span } from '#ground/base/span.ts';
import type { SourceGitOp, SourceHttpOp } from '#formats/graph/op.ts';
import type { Edge } from '#formats/graph/vertex.ts';
import { gitOp, isHashPrefix, parseGitAddress, type GitAddress } from '#languages/frontend/git-address.ts';
import { admitRemote, type Admit } from '#languages/frontend/admit.ts';
import type { AddInstruction, CopyInstruction } from '../ast.ts';
import { expand, placeOf } from './expand.ts';
import type { StepContext } from './state.ts';

/** A source that is no path. */
export type Remote =
  | { readonly kind: 'web'; readonly url: string }
  | { readonly kind: 'git'; readonly text: string; readonly address: GitAddress };
export type Source = { readonly path: string; readonly remote: Remote | undefined };

/** Throws `frontend/bad-git-address`, `dockerfile/bad-url` with the place. */
export function readRemote(path: string, placeOfPath: () => readonly Span[]): Remote | undefined {
  try {
    const address = parseGitAddress(path, { isContext: false });
    if (address !== undefined) return { kind: 'git', text: path, address };
  } catch (error) {
    throw error instanceof JettisonError ? error.with({ at: placeOfPath() }) : error;
  }
  if (!/^https?:\/\//u.test(path)) return undefined;
  if (URL.canParse(path)) return { kind: 'web', url: path };
  throw new JettisonError('dockerfile/bad-url', `Cannot read the URL "${path.slice(0, 200)}"`, { at: placeOfPath() });
}

type RemoteOptions = {
  readonly instruction: CopyInstruction | AddInstruction;
  readonly checksum: string | undefined;
};

/** The tree of a remote source and the path in it to copy: of a URL a file called as the last part of its path, of a repository everything. */
export function remoteTree(
  { conversion, at }: StepContext,
  remote: Remote,
  { instruction, checksum }: RemoteOptions,
): { readonly files: Edge; readonly path: string } {
  const allowed = (op: SourceHttpOp | SourceGitOp): SourceHttpOp | SourceGitOp => admitted(op, conversion.plan.options.admit, at);
  if (remote.kind === 'web') {
    const name = nameInUrl(remote.url);
    const op = { kind: 'source-http', url: remote.url, name, checksum: checksum === undefined ? null : parseDigest(checksum) } as const;
    return { files: conversion.makeEdge(allowed(op), [], { text: clean(remote.url), at }), path: `/${name}` };
  }
  const { address } = remote;
  const keepGitFolder = instruction.kind === 'add' ? instruction.keepGitFolder : undefined;
  if (differs(address.keepGitFolder, keepGitFolder) || differs(address.checksum || undefined, checksum)) {
    throw new JettisonError('dockerfile/git-conflict', 'The options of ADD and the address of the Git repository say different things', {
      at,
      hint: 'Say it in one place only: "--keep-git-dir" or "?keep-git-dir=", "--checksum" or "?checksum="',
    });
  }
  const op = gitOp(address, { keepGitFolder, checksum: checksum ?? '' });
  return { files: conversion.makeEdge(allowed(op), [], { text: clean(remote.text), at }), path: '/' };
}

/** As the source policy has it, where there is one. */
function admitted(op: SourceHttpOp | SourceGitOp, admit: Admit | undefined, at: readonly Span[]): SourceHttpOp | SourceGitOp {
  try {
    return admit === undefined ? op : admitRemote(admit, op);
  } catch (error) {
    throw error instanceof JettisonError ? error.with({ at }) : error;
  }
}

const unnamed = '__unnamed__';

/** BuildKit's rule; a name that would be no name, or lead elsewhere, is none. */
function nameInUrl(url: string): string {
  try {
    const path = decodeURIComponent(new URL(url).pathname).replace(/\/+$/u, '');
    const name = path.slice(path.lastIndexOf('/') + 1);
    return name === '' || name === '.' || name === '..' || /[\0-\x1f\x7f]/u.test(name) || name.length > 200 ? unnamed : name;
  } catch (error) {
    if (error instanceof URIError) return unnamed;
    throw error;
  }
}

/** The digest of a file, or the beginning of a commit's hash, in lower case. */
export function readChecksum(
  context: StepContext,
  instruction: CopyInstruction | AddInstruction,
  sources: readonly Source[],
): string | undefined {
  if (instruction.kind !== 'add' || !instruction.checksum) return undefined;
  const at = placeOf(context, instruction.checksum);
  const text = expand(context, instruction.checksum);
  const [source] = sources;
  if (instruction.sources.length > 1)
    throw new JettisonError('dockerfile/bad-checksum', "Checksum can't be specified for multiple sources", { at });
  if (source?.remote === undefined) throw new JettisonError('dockerfile/bad-checksum', 'Checksum requires HTTP(S) or Git sources', { at });
  const isGit = source.remote.kind === 'git';
  if (isGit ? isHashPrefix(text) : isDigest(text)) return isGit ? text.toLowerCase() : text;
  throw new JettisonError('dockerfile/bad-checksum', `Invalid checksum "${text.slice(0, 120)}"`, {
    at,
    hint: isGit ? 'Write the hash of the commit, or how it begins' : 'Write sha256: and 64 hexadecimal digits',
  });
}

/** URLs and git repositories are no sources for COPY. */
export function refuseRemote(
  instruction: CopyInstruction | AddInstruction,
  remote: Remote | undefined,
  placeOfPath: () => readonly Span[],
): void {
  if (remote === undefined || instruction.kind !== 'copy') return;
  const what = remote.kind === 'git' ? 'a git ref' : 'a URL';
  throw new JettisonError('dockerfile/remote-copy', `Source can't be ${what} for COPY`, { at: placeOfPath(), hint: 'Use ADD' });
}

function differs<T>(one: T | undefined, other: T | undefined): boolean {
  return one !== undefined && other !== undefined && one !== other;
}
