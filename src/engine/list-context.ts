/** `jettison context`: what is in the folders that a build may copy from, which rule decided that it is, and who takes it. Nothing is built. */
import { setImmediate as turn } from 'node:timers/promises';
import { copyFolder } from '#formats/graph/copy.ts';
import type { CopyAction } from '#formats/graph/op.ts';
import { neededFor, type Vertex } from '#formats/graph/vertex.ts';
import { asByteString, toText, type ByteString } from '#ground/base/byte-string.ts';
import { isCode, JettisonError, messageOf } from '#ground/base/errors.ts';
import { parsePatterns, type PatternSet, type PatternState } from '#ground/base/patterns.ts';
import { openLocalContext, type LocalContext } from '#stores/context/local.ts';
import { selectedEntries, selectForCopy } from '#stores/context/select.ts';
import { createBaseImages } from './base-images.ts';
import type { ContextFolder } from './build-contexts.ts';
import type { BuildRequest } from './build-requests.ts';
import { contextFolders, readBuildSource } from './build-source.ts';
import type { ContextListing, ListedContext, ListedFile, ListedUse } from './context-requests.ts';
import { openContext } from './open-context.ts';
import type { Engine } from './open.ts';
import { draftOthers, goalsOf, stageDrafter, type DraftedStage } from './other-stages.ts';
import { lazyRemoteSources } from './remote-sources.ts';
import { requestsOf } from './targets.ts';

/** Throws what the build itself would say of Dockerfile, context and base images, but for sources that are not there. */
export async function listContext(engine: Engine, request: BuildRequest, signal: AbortSignal): Promise<ContextListing> {
  await using remote = lazyRemoteSources(engine, request);
  using context = await openContext(engine, { request, remote }, signal);
  const source = readBuildSource(request, context, engine.currentFolder);
  const draftStage = stageDrafter({ engine, request, source, bases: createBaseImages(engine, request) }, signal);
  const requests = requestsOf(request);
  const main: DraftedStage[] = [];
  for (const { target } of requests) main.push(...(await draftStage(target)));
  const others = await draftOthers({ ...request, targets: requests.flatMap(({ target }) => target ?? []) }, main, draftStage);
  const goals = [...main.flatMap(({ drafted }) => drafted.goal ?? []), ...goalsOf(others)];
  const copies = neededFor(...goals).flatMap(copiesOf);
  const missing: string[] = [];
  const contexts: ListedContext[] = [];
  for (const [name, folder] of contextFolders(request, context, source)) {
    const uses = await usesOf(
      openLocalContext({ folder: folder.path, ignore: folder.ignore, ignoreFile: folder.ignoreFile }),
      copies.filter((copy) => copy.context === name),
      missing,
      signal,
    );
    contexts.push(await listFolder(name, folder, uses, signal));
  }
  return { file: source.name, contexts, missing };
}

/** One thing that a step takes of a folder of the client. */
type Copy = { readonly context: string; readonly action: CopyAction; readonly use: ListedUse };

function copiesOf({ op, inputs, label }: Vertex): readonly Copy[] {
  const use = { text: label.text, stage: label.stage, line: label.at?.[0]?.start.line };
  const from = (input: number | null, action: CopyAction): readonly Copy[] => {
    const tree = input === null ? undefined : inputs[input]?.vertex.op;
    return tree?.kind === 'source-local' ? [{ context: tree.name, action, use }] : [];
  };
  if (op.kind === 'file') return op.actions.flatMap((action) => (action.kind === 'copy' ? from(action.input, action) : []));
  if (op.kind !== 'exec') return [];
  return op.mounts.flatMap((mount) => (mount.kind === 'bind' || mount.kind === 'cache' ? from(mount.input, copyFolder(mount.source)) : []));
}

async function usesOf(
  context: LocalContext,
  copies: readonly Copy[],
  missing: string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<ByteString, readonly ListedUse[]>> {
  const uses = new Map<ByteString, ListedUse[]>();
  for (const { action, use } of copies) {
    await orEnded(signal);
    try {
      for (const { path, kind } of selectedEntries(selectForCopy(context, action))) {
        if (kind === 'folder') continue;
        const known = uses.get(path);
        if (known === undefined) uses.set(path, [use]);
        else if (known.at(-1) !== use) known.push(use);
      }
    } catch (error) {
      if (!isCode(error, 'context/missing-source')) throw error;
      const hint = error instanceof JettisonError && error.hint !== undefined ? `: ${error.hint}` : '';
      missing.push(`${use.text}${use.line === undefined ? '' : ` (line ${use.line})`}: ${messageOf(error)}${hint}`);
    }
  }
  return uses;
}

/** All of the folder, whatever the ignore file says. */
async function listFolder(
  name: string,
  { path, ignore, ignoreFile }: ContextFolder,
  uses: ReadonlyMap<ByteString, readonly ListedUse[]>,
  signal: AbortSignal,
): Promise<ListedContext> {
  const whole = openLocalContext({ folder: path, ignore: [] });
  const patterns = parsePatterns(ignore);
  const files: ListedFile[] = [];
  const closed: string[] = [];
  const waiting: { readonly path: ByteString; readonly state: PatternState }[] = [{ path: asByteString(''), state: patterns.start }];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    await orEnded(signal);
    const inside: typeof waiting = [];
    for (const entry of entriesIn(whole, folder, patterns, closed)) {
      const state = patterns.enter(entry.path, folder.state);
      if (entry.kind === 'folder') {
        inside.push({ path: entry.path, state });
        continue;
      }
      const rule = patterns.decider(state);
      const line = ignoreFile?.lines[rule];
      files.push({
        path: toText(entry.path),
        kind: entry.kind === 'file' || entry.kind === 'symlink' ? entry.kind : 'other',
        size: entry.kind === 'file' ? entry.size : 0,
        isIgnored: patterns.leavesOut(state),
        rule: ignoreFile === undefined || line === undefined ? undefined : { file: ignoreFile.name, line, pattern: ignore[rule] ?? '' },
        takenBy: uses.get(entry.path) ?? [],
      });
    }
    waiting.push(...inside.toReversed());
  }
  return { name, folder: path, ignoreFile: ignoreFile?.name, files, closed };
}

/** A folder that is left out with all that is in it need not be readable. */
function entriesIn(
  whole: LocalContext,
  { path, state }: { readonly path: ByteString; readonly state: PatternState },
  patterns: PatternSet,
  closed: string[],
): ReturnType<LocalContext['list']> {
  try {
    return whole.list(path);
  } catch (error) {
    if (!isCode(error, 'context/no-permission') || !patterns.leavesOut(state) || patterns.mayKeepBelow(path)) throw error;
    closed.push(toText(path));
    return [];
  }
}

/** Lets whoever wants to end this be heard. */
async function orEnded(signal: AbortSignal): Promise<void> {
  await turn();
  signal.throwIfAborted();
}
