/** The steps of a build's graph as the record of origins has them. */
import { unreachable } from '#ground/base/errors.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { FileAction, Op, SourceGitOp, SourceImageOp } from '#formats/graph/op.ts';
import { neededFor, type Edge, type Vertex } from '#formats/graph/vertex.ts';
import type { OriginAction, OriginOp, OriginStep } from './record.ts';

export type StepFacts = {
  readonly goal: Edge;
  readonly imageOf: (op: SourceImageOp) => Omit<Extract<OriginOp, { readonly kind: 'image' }>, 'kind'>;
  /** Whole hash of the commit that was read; undefined where it is not known. */
  readonly commitOf: (op: SourceGitOp) => string | undefined;
  readonly snapshotOf: (vertex: Digest) => string | undefined;
  /** Of a build context from elsewhere. */
  readonly contextAddress: string | undefined;
  /** A text as it may be kept. */
  readonly shown: (text: string) => string;
};

/** Characters of an instruction that are kept: who wants more of a long script reads the Dockerfile. */
const longestText = 2000;

/** Inputs before what reads them. `places`: where each vertex is in the list. */
export function describeSteps(facts: StepFacts): { readonly steps: readonly OriginStep[]; readonly places: ReadonlyMap<Digest, number> } {
  const vertices = neededFor(facts.goal);
  const places = new Map(vertices.map(({ digest }, index) => [digest, index]));
  const steps = vertices.map((vertex) => describeStep(vertex, places, facts));
  return { steps, places };
}

function describeStep({ digest, op, inputs, label }: Vertex, places: ReadonlyMap<Digest, number>, facts: StepFacts): OriginStep {
  const shown = facts.shown(label.text);
  const span = label.at?.[0];
  return {
    text: shown.length > longestText ? `${shown.slice(0, longestText)}...` : shown,
    stage: label.stage ?? null,
    line: span?.start.line ?? null,
    lastLine: span === undefined ? null : lastLineOf(span),
    op: describeOp(op, facts),
    inputs: inputs.map(({ vertex }) => places.get(vertex.digest) ?? 0),
    snapshot: facts.snapshotOf(digest) ?? null,
  };
}

/** A span that ends where a line begins does not reach into that line. */
function lastLineOf({
  start,
  end,
}: {
  readonly start: { readonly line: number };
  readonly end: { readonly line: number; readonly column: number };
}): number {
  return end.column === 1 && end.line > start.line ? end.line - 1 : end.line;
}

function describeOp(op: Op, facts: StepFacts): OriginOp {
  switch (op.kind) {
    case 'source-image':
      return { kind: 'image', ...facts.imageOf(op) };
    case 'source-local':
      return { kind: 'context', name: op.name, address: op.name === 'context' ? (facts.contextAddress ?? null) : null };
    case 'source-http':
      return { kind: 'url', url: facts.shown(op.url), name: op.name, checksum: op.checksum };
    case 'source-git': {
      const { remote, ref, subfolder } = op;
      return { kind: 'git', remote: facts.shown(remote), ref, subfolder, commit: facts.commitOf(op) ?? null };
    }
    case 'exec':
      return { kind: 'run', root: op.root };
    case 'file':
      return { kind: 'file', base: op.base, actions: op.actions.map(describeAction) };
    case 'merge':
      return { kind: 'merge' };
    default:
      return unreachable(op, 'operation');
  }
}

/** The text of a here-document is in the image. */
function describeAction(action: FileAction): OriginAction {
  if (action.kind === 'copy') {
    const { libs, ...copy } = action;
    return { ...copy, sources: [...action.sources], exclude: [...action.exclude], ...(libs === undefined ? {} : { libs: true }) };
  }
  if (action.kind === 'make-folder') return { ...action };
  const { text: _, ...rest } = action;
  return rest;
}
