/** Keeps beside each new image how it came about. Loaded by builds that make one. */
import { decodeImageConfig, diffIdsOf } from '#formats/oci/image-config.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import { printReference } from '#formats/oci/reference.ts';
import { encodeOrigins, type OriginRecord } from '#formats/origins/record.ts';
import { describeSteps } from '#formats/origins/steps.ts';
import { originVersion } from '#formats/origins/version.ts';
import type { SourceGitOp, SourceImageOp } from '#formats/graph/op.ts';
import { neededFor, type Edge, type Vertex } from '#formats/graph/vertex.ts';
import { clean } from '#ground/base/errors.ts';
import type { Digest } from '#ground/base/digest.ts';
import { openImageOrigins } from '#stores/image/origins.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { Container } from '#execution/container/store.ts';
import type { LayerIdentity, SnapshotId } from '#execution/worker/contract.ts';
import type { BuiltResult, Exporting } from './gather-cache.ts';
import type { Engine } from './open.ts';
import { stepSnapshot } from './step-snapshot.ts';

type Described = {
  readonly made: readonly { readonly imageId: Digest; readonly layers: readonly LayerIdentity[]; readonly result: BuiltResult }[];
  /** See `ImageStore.originsSource`. */
  readonly source: string;
};

/** `keep` is to be called once the images are in the store. */
export type DescribedImages = { readonly records: ReadonlyMap<Digest, OriginRecord>; keep(): void };

export async function keepingOrigins(exporting: Exporting, { made, source }: Described, signal: AbortSignal): Promise<DescribedImages> {
  const { engine } = exporting;
  const records = new Map<Digest, OriginRecord>();
  for (const { imageId, layers, result } of made) records.set(imageId, await originsOf(exporting, { result, layers }, signal));
  const origins = openImageOrigins(engine.database);
  return {
    records,
    keep: () => {
      for (const [imageId, record] of records) origins.keep(imageId, { source, record: encodeOrigins(record) });
    },
  };
}

type Committed = {
  readonly container: Container;
  readonly base: ImageRecord;
  readonly layer: { readonly diffId: Digest; readonly size: number; readonly snapshot: SnapshotId };
};

/** Of an image that a container's files were made to; in the transaction that enters it. */
export function keepCommitOrigins(engine: Engine, { imageId, config }: ImageRecord, { container, base, layer }: Committed): void {
  const platform = printPlatform(decodeImageConfig(config, imageId));
  const [name = container.spec.image] = base.names;
  const nowhere = { stage: null, line: null, lastLine: null };
  const op = { kind: 'image', name, digest: base.imageId, imageId: base.imageId, platform, layers: base.layers.length } as const;
  const record: OriginRecord = {
    version: originVersion,
    platform,
    dockerfile: '',
    layers: [{ ...layer, step: 1 }],
    steps: [
      { text: `FROM ${name}`, ...nowhere, op, inputs: [], snapshot: null },
      {
        text: `commit ${container.name}`,
        ...nowhere,
        op: { kind: 'container', name: container.name },
        inputs: [0],
        snapshot: layer.snapshot,
      },
    ],
  };
  openImageOrigins(engine.database).keep(imageId, { source: '', record: encodeOrigins(record) });
}

async function originsOf(
  exporting: Exporting,
  { result, layers }: { readonly result: BuiltResult; readonly layers: readonly LayerIdentity[] },
  signal: AbortSignal,
): Promise<OriginRecord> {
  const { drafted, platform } = result;
  const { goal, baseImage } = drafted;
  const { origin } = exporting;
  const about = { version: originVersion, platform: printPlatform(platform), dockerfile: origin.source.name } as const;
  if (goal === undefined) return { ...about, layers: [], steps: [] };
  const commits = await commitsOf(exporting, neededFor(goal), signal);
  const { steps, places } = describe(exporting, goal, (op) => commits.get(op));
  const inherited = baseImage === undefined ? 0 : diffIdsOf(baseImage.config).length;
  const own = drafted.layers.flatMap((vertex, index) => {
    const [layer, step] = [layers[inherited + index], places.get(vertex)];
    return layer === undefined || step === undefined ? [] : [{ diffId: layer.diffId, size: layer.size, snapshot: layer.snapshot, step }];
  });
  return { ...about, layers: own, steps: [...steps] };
}

/** The same before its layers are known, without the commits of repositories. */
export function recordOfResult(exporting: Exporting, { drafted: { goal } }: BuiltResult): Pick<OriginRecord, 'steps' | 'layers'> {
  return { layers: [], steps: goal === undefined ? [] : [...describe(exporting, goal, () => undefined).steps] };
}

function describe(exporting: Exporting, goal: Edge, commitOf: (op: SourceGitOp) => string | undefined): ReturnType<typeof describeSteps> {
  const { guard, request } = exporting;
  return describeSteps({
    goal,
    imageOf: (op) => imageOf(exporting, op),
    commitOf,
    snapshotOf: (vertex) => stepSnapshot(exporting, vertex),
    contextAddress: request.context.kind === 'remote' ? guard.mask(clean(request.context.address)) : undefined,
    shown: (text) => guard.mask(clean(text)),
  });
}

function imageOf({ origin }: Exporting, op: SourceImageOp) {
  const { reference, name, platform, digest, imageId } = origin.bases.originOf(op);
  return {
    name: reference === undefined ? name : printReference(reference),
    digest,
    imageId: imageId ?? null,
    platform: printPlatform(platform),
    layers: origin.bases.diffIdsOf(op).length,
  };
}

/** What this build has asked for already: nobody is asked again. */
async function commitsOf(
  { origin }: Exporting,
  vertices: readonly Vertex[],
  signal: AbortSignal,
): Promise<ReadonlyMap<SourceGitOp, string>> {
  const found = new Map<SourceGitOp, string>();
  for (const { op } of vertices) {
    if (op.kind !== 'source-git') continue;
    const { commit, object } = await origin.remote.gitCommit(op, signal);
    found.set(op, commit ?? object);
  }
  return found;
}
