/**
 * A build's graph in the form that BuildKit gives its own (solver/pb/ops.proto as JSON), so that whoever reads that reads this. What has no place in it is left
 * out: `--parents` of a copy, and what it takes from several sources at once becomes several copies.
 */
import { toBase64 } from '#ground/base/bytes.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import type { Digest } from '#ground/base/digest.ts';
import { unreachable } from '#ground/base/errors.ts';
import type { Span } from '#ground/base/span.ts';
import type { SourceImageOp } from '#formats/graph/op.ts';
import { neededFor, type Edge, type Vertex } from '#formats/graph/vertex.ts';
import type { Platform } from '#formats/oci/platform.ts';
import { execJson } from './exec-step.ts';
import { fileActionsJson } from './file-step.ts';

export type Build = {
  /** The steps, inputs first, and which vertex each is. */
  readonly config: { readonly llbDefinition: readonly Json[]; readonly digestMapping: Readonly<Record<string, string>> };
  /** The text of the Dockerfile, and which of its lines made which step. */
  readonly source: Json;
  /** Layers of the image, by the step that put the last one of them there. */
  readonly layers: Readonly<Record<string, Json>>;
};

export type BuildGraph = {
  readonly goal: Edge;
  /** What is built for. */
  readonly platform: Platform;
  readonly file: { readonly name: string; readonly text: string };
  /** What an image is called, and what it is for. */
  readonly imageOf: (op: SourceImageOp) => { readonly name: string; readonly platform: Platform };
  /** An address as it may be shown. */
  readonly shown: (address: string) => string;
  /** DiffIDs up to and with the one that a vertex made; undefined for a vertex that is no layer of the image. */
  readonly layersUpTo: (vertex: Digest) => readonly Digest[] | undefined;
};

/** The same graph gives the same value. */
export function describeBuild(graph: BuildGraph): Build {
  const vertices = neededFor(graph.goal);
  const ids = new Map(vertices.map(({ digest }, index) => [digest, `step${index}`]));
  const inputsOf = (edges: readonly Edge[]): { readonly inputs?: Json } =>
    edges.length === 0 ? {} : { inputs: edges.map(({ vertex, output }) => `${ids.get(vertex.digest) ?? ''}:${output}`) };
  const steps: Json[] = vertices.map((vertex, index) => ({ id: `step${index}`, op: opJson(vertex, graph), ...inputsOf(vertex.inputs) }));
  return {
    config: {
      // BuildKit's last step is the result: it does nothing.
      llbDefinition: [...steps, { id: `step${steps.length}`, op: { Op: {} }, ...inputsOf([graph.goal]) }],
      digestMapping: Object.fromEntries(ids),
    },
    source: sourceJson(vertices, graph),
    layers: Object.fromEntries(
      vertices.flatMap(({ digest }, index) => {
        const chain = graph.layersUpTo(digest);
        return chain === undefined ? [] : [[`step${index}:0`, [chain.map(layerJson)]] as const];
      }),
    ),
  };
}

/** A layer whose compressed form is not known yet, as moby's own BuildKit names it: by its DiffID. */
function layerJson(diffId: Digest): Json {
  return { mediaType: 'application/vnd.docker.image.rootfs.diff.tar', digest: diffId, size: -1 };
}

function sourceJson(vertices: readonly Vertex[], { file }: BuildGraph): Json {
  const locations = vertices.map(({ label }, index) => [`step${index}`, locationsJson(label.at ?? [])] as const);
  const data = toBase64(new TextEncoder().encode(file.text));
  return { locations: Object.fromEntries(locations), infos: [{ filename: file.name, language: 'Dockerfile', data }] };
}

function locationsJson(spans: readonly Span[]): Json {
  if (spans.length === 0) return {};
  return { locations: spans.map(({ start, end }) => ({ ranges: [{ start: { line: start.line }, end: { line: end.line } }] })) };
}

function opJson(vertex: Vertex, graph: BuildGraph): Json {
  const { op, inputs } = vertex;
  switch (op.kind) {
    case 'source-image': {
      const { name, platform } = graph.imageOf(op);
      return { Op: { source: { identifier: `docker-image://${name}` } }, platform: platformJson(platform), constraints: {} };
    }
    case 'source-local':
      return { Op: { source: { identifier: `local://${op.name}` } }, constraints: {} };
    case 'source-http':
      return { Op: { source: { identifier: graph.shown(op.url), attrs: httpAttributes(op) } }, constraints: {} };
    case 'source-git':
      return { Op: { source: { identifier: gitIdentifier(op, graph), attrs: gitAttributes(op, graph) } }, constraints: {} };
    case 'exec':
      return { Op: { exec: execJson(op) }, platform: platformJson(graph.platform), constraints: {} };
    case 'file':
      return { Op: { file: { actions: fileActionsJson(op, inputs.length) } }, constraints: {} };
    case 'merge':
      return { Op: { merge: { inputs: inputs.map((_, index) => (index === 0 ? {} : { input: index })) } }, constraints: {} };
    default:
      return unreachable(op, 'operation');
  }
}

function platformJson({ os, architecture, variant }: Platform): Json {
  return { Architecture: architecture, OS: os, ...(variant === undefined ? {} : { Variant: variant }) };
}

type HttpOp = Extract<Vertex['op'], { kind: 'source-http' }>;
type GitOp = Extract<Vertex['op'], { kind: 'source-git' }>;

function httpAttributes({ name, checksum }: HttpOp): Json {
  return { 'http.filename': name, ...(checksum === null ? {} : { 'http.checksum': checksum }) };
}

/** `git://host/path#ref:folder`, without the scheme that the address has. */
function gitIdentifier({ remote, ref, subfolder }: GitOp, { shown }: BuildGraph): string {
  const behind = `${ref}${subfolder === '' ? '' : `:${subfolder}`}`;
  return `git://${shown(remote).replace(/^[a-z+]+:\/\//u, '')}${behind === '' ? '' : `#${behind}`}`;
}

function gitAttributes({ remote, checksum, keepGitFolder }: GitOp, { shown }: BuildGraph): Json {
  return {
    'git.fullurl': shown(remote),
    ...(checksum === '' ? {} : { 'git.checksum': checksum }),
    ...(keepGitFolder ? { 'git.keepgitdir': 'true' } : {}),
  };
}
