/** Which of the files that a COPY, ADD or WORKDIR read a file of its layer came from: by the selection that the copy itself makes, or what it noted when it was made. */
import { asByteString, fromText, type ByteString } from '#ground/base/byte-string.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { OriginAction } from '#formats/origins/record.ts';
import type { StepPlace } from '#formats/origins/trail.ts';
import { selectForCopy, type SelectedSource } from '#stores/context/select.ts';
import type { Tree } from '#ground/linux/tree.ts';
import { librariesIn } from '../libraries.ts';
import { findTaken, type TakenSource } from '../file/taken.ts';
import { joinPath } from '../file/upper.ts';
import { openStage, snapshotAt, type Known, type Stage } from './stage.ts';

/** `made`: by the instruction itself; `source`: `path` in the files of `input`, undefined where it is not known; `member`: in the archive that is at `path`. */
export type Copied =
  | { readonly kind: 'made' }
  | { readonly kind: 'heredoc'; readonly name: string }
  | {
      readonly kind: 'source';
      readonly input: StepPlace;
      readonly path: ByteString | undefined;
      readonly member: ByteString | undefined;
      /** The instruction gives it an owner or a mode. */
      readonly sets: boolean;
    };

export type CopiedLayer = { find(path: ByteString): Copied };

type CopyAction = Extract<OriginAction, { readonly kind: 'copy' }>;

/** Something that was put somewhere: at a path, or below one. Gives what a path comes from, undefined when this does not have it. */
type Put = (path: ByteString) => Copied | undefined;

/** `layer`: of the stage, counted from the top; made by the file operation at `at`. */
export function openCopied(known: Known, stage: Stage, { layer, at }: { readonly layer: number; readonly at: StepPlace }): CopiedLayer {
  const step = known.records[at.record]?.steps[at.step];
  const op = step?.op;
  if (step === undefined || op?.kind !== 'file') throw new JettisonError('ops/no-copy', 'The step is no file operation', { fault: 'bug' });
  // What was made over nothing was placed without a look at what is below it.
  const tree = op.base === null ? stage.own(layer) : stage.below(layer);
  const content = stage.contents[layer];
  const taken = content === undefined ? undefined : findTaken(known.snapshots, content);
  const puts = op.actions.flatMap((action, index): readonly Put[] => {
    if (action.kind === 'make-folder') return [];
    if (action.kind === 'write-file') {
      const place = placeIn(tree, action.path, { ...action, name: fromText(action.name) });
      return [(path) => (path === place ? { kind: 'heredoc', name: action.name } : undefined)];
    }
    const input = action.input === null ? undefined : step.inputs[action.input];
    if (input === undefined) return [];
    const noted = taken?.filter((one) => one.action === index);
    const place = { record: at.record, step: input };
    const libraries = action.libs === true && content !== undefined ? (librariesIn(known.snapshots, content) ?? []) : [];
    return [
      ...putsOf({ known, tree, own: stage.own(layer), action, input: place, noted }),
      ...libraries.map((library): Put => {
        const [to, from] = [clean(library.destination), clean(library.source)];
        return (path) => (path === to ? { kind: 'source', input: place, path: from, member: undefined, sets: false } : undefined);
      }),
    ];
  });
  const lastFirst = puts.toReversed();
  return {
    find(path) {
      for (const put of lastFirst) {
        const found = put(path);
        if (found !== undefined) return found;
      }
      return { kind: 'made' };
    },
  };
}

type Copying = {
  readonly known: Known;
  /** As it was when the layer was complete. */
  readonly tree: Tree;
  readonly own: Tree;
  readonly action: CopyAction;
  readonly input: StepPlace;
  /** What was noted when it was copied; undefined where nothing was. */
  readonly noted: readonly TakenSource[] | undefined;
};

/** A source with what lies below it: `has` undefined where that is not known. */
type Source = Pick<TakenSource, 'name' | 'path' | 'kind'> & { readonly has: ((path: ByteString) => boolean | undefined) | undefined };

function putsOf({ known, tree, own, action, input, noted }: Copying): readonly Put[] {
  const sets = action.owner !== null || action.mode !== null;
  const found = (path: ByteString | undefined, member?: ByteString): Copied => ({ kind: 'source', input, path, member, sets });
  const folder = resolved(tree, clean(action.destination));
  const sources = selectedSources(known, { action, input, noted, own, folder }) ?? notedSources(noted);
  // Nothing is known but that it came from there.
  if (sources === undefined) return [(path) => (path === folder || isBelow(path, folder) ? found(undefined) : undefined)];
  return sources.map((source): Put => {
    if (source.kind === 'file') {
      const place = placeIn(tree, action.destination, { ...action, name: source.name });
      return (path) => (path === place ? found(source.path) : undefined);
    }
    return (path) => {
      if (!isBelow(path, folder)) return undefined;
      const below = folder === '' ? path : asByteString(path.slice(folder.length + 1));
      const has = sources.length === 1 || source.has === undefined ? true : source.has(below);
      if (has === false) return undefined;
      if (has === undefined) return found(undefined);
      return source.kind === 'archive' ? found(source.path, below) : found(joinPath(source.path, below));
    };
  });
}

type Selecting = Pick<Copying, 'action' | 'input' | 'noted' | 'own'> & { readonly folder: ByteString };

/** By the very selection of the copy; undefined where the files that it read are not here. */
function selectedSources(known: Known, { action, input, noted, own, folder }: Selecting): readonly Source[] | undefined {
  const top = snapshotAt(known, input);
  const tree = top === undefined ? undefined : openStage(known, input, top)?.below(0);
  const sources = tree === undefined ? undefined : select(tree, action, known.checkpoint);
  return sources?.map((source) => {
    const { name, top: entry } = source;
    const isNoted = noted?.some(({ path, kind }) => path === entry.path && kind === 'archive');
    const isArchive = action.unpack && entry.kind === 'file' && (isNoted ?? own.entry(joinPath(folder, name)) === undefined);
    const kind = entry.kind === 'folder' ? 'folder' : isArchive ? 'archive' : 'file';
    return { name, path: entry.path, kind, has: kind === 'folder' ? hasOf(source) : undefined };
  });
}

function select(tree: Tree, action: CopyAction, checkpoint: Known['checkpoint']): readonly SelectedSource[] | undefined {
  try {
    return selectForCopy(tree, action, checkpoint === undefined ? {} : { checkpoint }).sources;
  } catch (error) {
    // Another step's files gave the same result once: they had what was wanted under other names.
    if (error instanceof JettisonError && error.code.startsWith('context/')) return undefined;
    throw error;
  }
}

function hasOf({ below }: SelectedSource): (path: ByteString) => boolean {
  let names: ReadonlySet<ByteString> | undefined;
  return (path) => {
    names ??= new Set([...below].map((selected) => selected.path));
    return names.has(path);
  };
}

function notedSources(noted: readonly TakenSource[] | undefined): readonly Source[] | undefined {
  if (noted === undefined) return undefined;
  const folders = new Set(noted.flatMap(({ kind, path }) => (kind === 'file' ? [] : [path]))).size;
  const files = new Set(noted.flatMap(({ kind, name }) => (kind === 'file' ? [name] : [])));
  return noted.map(({ name, path, kind, names }) => {
    const own = names === undefined ? undefined : new Set(names);
    return { name, path, kind, has: (below) => (folders > 1 || files.has(below) ? own?.has(below) : true) };
  });
}

type Naming = { readonly destinationIsFolder: boolean; readonly name: ByteString };

/** Where a file went; the tree is as it was afterwards. */
function placeIn(tree: Tree, destination: string, { destinationIsFolder, name }: Naming): ByteString {
  const path = resolved(tree, clean(destination));
  return destinationIsFolder || tree.entry(path)?.kind === 'folder' ? joinPath(path, name) : path;
}

function resolved(tree: Tree, path: ByteString): ByteString {
  return tree.resolve(path, true).path;
}

/** Relative to the root. */
function clean(path: string): ByteString {
  return asByteString(fromText(path).replaceAll(/^\/+|\/+$/gu, ''));
}

function isBelow(path: ByteString, folder: ByteString): boolean {
  return folder === '' ? path !== '' : path.startsWith(`${folder}/`);
}
