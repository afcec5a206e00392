/** Vertices of the build graph: immutable, known by the digest of what they do and of their inputs. */
import { canonicalJson, type Json } from '#ground/base/canonical-json.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import type { Span } from '#ground/base/span.ts';
import type { Op } from './op.ts';

/** What people see of a vertex; never hashed. */
export type Label = {
  /** The instruction as shown: `RUN make`, `[build 2/5] ...` is put before it by the faces. */
  readonly text: string;
  /** Name of the stage, `stage-1` for one without; left out where there is only one. */
  readonly stage?: string;
  /** Of a build for several platforms, in BuildKit's form: `linux/arm64`, `linux/amd64->arm64`. It is shown before the stage. */
  readonly stagePlatform?: string;
  /** Place in the stage, from 1, and how many steps the stage has. */
  readonly step?: number;
  readonly steps?: number;
  readonly at?: readonly Span[];
  /** Forces this vertex to run although its result is known (`--no-cache`). */
  readonly ignoreCache?: boolean;
  /** Belongs to another vertex of the same instruction, which is shown for both. */
  readonly isPart?: boolean;
  /** The instruction as it stands in the source, variables not filled in. */
  readonly written?: string;
  /** Names of the build arguments among the variables in force. */
  readonly argumentNames?: readonly string[];
  /** Variables that the instruction names, with their values. */
  readonly variables?: Readonly<Record<string, string>>;
  /** What the files of an image are for: `linux/arm64`. Of a RUN: what its programs are for, where that is not the platform that builds. */
  readonly platform?: string;
  /** Environment that the process sees but that does not count for the cache (proxy variables). */
  readonly quietEnvironment?: readonly string[];
};

/** The stage as people see it, and by which steps of one build are told apart: for several platforms with the platform. */
export function shownStage({ stagePlatform, stage }: Label): string | undefined {
  return stagePlatform === undefined || stage === undefined ? (stagePlatform ?? stage) : `${stagePlatform} ${stage}`;
}

export type Edge = { readonly vertex: Vertex; readonly output: number };
export type Vertex = { readonly digest: Digest; readonly op: Op; readonly inputs: readonly Edge[]; readonly label: Label };

export function createVertex(op: Op, inputs: readonly Edge[], label: Label): Vertex {
  const body: Json = { op: asJson(op), inputs: inputs.map((edge) => ({ digest: edge.vertex.digest, output: edge.output })) };
  return { digest: digestOf(canonicalJson(body)), op, inputs, label };
}

/** The digest of the op alone, without its inputs. */
export function opDigest(op: Op): Digest {
  return digestOf(canonicalJson(asJson(op)));
}

/** The first (and today only) output of a vertex. */
export function outputOf(vertex: Vertex): Edge {
  return { vertex, output: 0 };
}

/** All that these goals need, inputs before what reads them, each vertex once by digest. Chains may be long: nothing here recurses. */
export function neededFor(...goals: readonly Edge[]): readonly Vertex[] {
  const done = new Map<Digest, Vertex>();
  for (const goal of goals) if (!done.has(goal.vertex.digest)) addNeeded(goal, done);
  return [...done.values()];
}

function addNeeded(goal: Edge, done: Map<Digest, Vertex>): void {
  const path: { readonly vertex: Vertex; next: number }[] = [{ vertex: goal.vertex, next: 0 }];
  for (let top = path.at(-1); top; top = path.at(-1)) {
    const input = top.vertex.inputs[top.next++];
    if (input) {
      if (!done.has(input.vertex.digest)) path.push({ vertex: input.vertex, next: 0 });
      continue;
    }
    done.set(top.vertex.digest, top.vertex);
    path.pop();
  }
}

function asJson(op: Op): Json {
  return op;
}
