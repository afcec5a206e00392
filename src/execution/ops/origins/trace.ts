/** Follows one file of a step to where it came from. */
import { toText, type ByteString } from '#ground/base/byte-string.ts';
import { asByteString } from '#ground/base/byte-string.ts';
import type { StepPlace, TrailEnd } from '#formats/origins/trail.ts';
import type { TreeEntry } from '#ground/linux/tree.ts';
import { openCopied, type Copied, type CopiedLayer } from './copied.ts';
import { haveSameLook, isSameContent } from './same.ts';
import { openStages, type Known, type Owner, type Stage } from './stage.ts';

export type Followed = {
  /** Of the image, counted from the top. */
  readonly layer: number;
  readonly copies: readonly StepPlace[];
  /** As in `Trail`: what each copy read, and what the end names. */
  readonly paths: readonly string[];
  readonly end: TrailEnd;
};

/** What of a file is asked for: where its bytes come from, or its mode and owner. */
export type Aspect = 'content' | 'metadata';

export type Tracer = {
  /** Of an entry that the stage shows at its path. */
  follow(stage: Stage, entry: TreeEntry, aspect: Aspect): Followed;
};

export function createTracer(known: Known): Tracer {
  const stageAt = openStages(known);
  const layers = new Map<Stage, Map<number, CopiedLayer>>();

  const copiedIn = (stage: Stage, layer: number, at: StepPlace): CopiedLayer => {
    const ofStage = layers.get(stage) ?? new Map<number, CopiedLayer>();
    layers.set(stage, ofStage);
    const copied = ofStage.get(layer) ?? openCopied(known, stage, { layer, at });
    ofStage.set(layer, copied);
    return copied;
  };
  const opOf = ({ record, step }: StepPlace) => known.records[record]?.steps[step]?.op;

  return {
    follow(first, entry, wanted) {
      const copies: StepPlace[] = [];
      const paths: string[] = [];
      const members: string[] = [];
      const found = settle(known, first, entry, wanted);
      const end = (last: TrailEnd): Followed => ({
        layer: found,
        copies,
        paths: [...paths, ...members.toReversed()],
        end: members.length > 0 ? { ...last, isUnpacked: true } : last,
      });
      let [stage, layer, path, aspect] = [first, found, entry.path, wanted];
      let from: StepPlace | undefined;
      for (;;) {
        const owner = stage.owners[layer] ?? { kind: 'unknown' };
        const op = owner.kind === 'unknown' ? undefined : opOf(owner.at);
        if (owner.kind === 'unknown' || op === undefined) return end({ kind: 'unknown', at: undefined });
        if (owner.kind === 'base') return end({ ...endOfBase(owner, op.kind), ...(from === undefined ? {} : { stage: from }) });
        if (op.kind !== 'file') return end({ kind: op.kind === 'container' ? 'container' : 'run', at: owner.at });
        const copied: Copied = copiedIn(stage, layer, owner.at).find(path);
        if (copied.kind === 'made') return end({ kind: 'copy', at: owner.at });
        if (copied.kind === 'heredoc') return end({ kind: 'heredoc', at: owner.at });
        if (aspect === 'metadata' && copied.sets) return end({ kind: 'copy', at: owner.at });
        copies.push(owner.at);
        paths.push(copied.path === undefined ? '' : shown(copied.path));
        if (copied.member !== undefined) members.push(shown(copied.member));
        // What an archive says of its members is in its bytes.
        if (copied.member !== undefined) aspect = 'content';
        const source = opOf(copied.input);
        if (source?.kind === 'context' || source?.kind === 'url') return end({ kind: source.kind, at: copied.input });
        const next = stageAt(copied.input);
        const there = copied.path === undefined ? undefined : next?.below(0).entry(copied.path);
        if (next === undefined || copied.path === undefined || there === undefined) return end(endOfLost(copied.input, source?.kind));
        stage = next;
        from = copied.input;
        path = copied.path;
        layer = settle(known, stage, there, aspect);
      }
    },
  };
}

function shown(path: ByteString): string {
  return `/${toText(path)}`;
}

function endOfBase({ at, layer }: Extract<Owner, { readonly kind: 'base' }>, kind: string): TrailEnd {
  return kind === 'git' ? { kind: 'git', at } : { kind: 'image', at, layer };
}

function endOfLost(at: StepPlace, kind: string | undefined): TrailEnd {
  return { kind: kind === 'image' || kind === 'git' ? kind : 'gone', at };
}

/** The layer, counted from the top, that what is asked for of an entry is of: those above it only have it once more. */
function settle(known: Known, stage: Stage, top: TreeEntry, aspect: Aspect): number {
  let [layer, entry] = [top.layer, top];
  for (;;) {
    if (layer + 1 >= stage.owners.length || stage.owners[layer]?.kind !== 'step') return layer;
    if (entry.kind !== 'folder' && !isProcess(known, stage.owners[layer])) return layer;
    const lower = stage.below(layer + 1).entry(entry.path);
    if (lower === undefined || isHidden(stage, layer, entry)) return layer;
    const isSame = entry.kind === 'folder' ? lower.kind === 'folder' : isSameContent(entry, lower);
    if (!isSame || (aspect === 'metadata' && !haveSameLook(entry, lower, stage.below(0)))) return layer;
    layer += 1 + lower.layer;
    entry = lower;
  }
}

/** What a copy has in its layer it has put there, whatever was below. */
function isProcess({ records }: Known, owner: Owner | undefined): boolean {
  const kind = owner?.kind === 'step' ? records[owner.at.record]?.steps[owner.at.step]?.op.kind : undefined;
  return kind === 'run' || kind === 'container';
}

/** The folder, or one that it lies in, was made anew by this layer. */
function isHidden(stage: Stage, layer: number, { path, kind }: TreeEntry): boolean {
  if (kind === 'folder' && stage.hides(layer, path)) return true;
  for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1))
    if (stage.hides(layer, asByteString(path.slice(0, slash)))) return true;
  return path !== '' && stage.hides(layer, asByteString(''));
}
