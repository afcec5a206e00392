/** Images that a build starts from or copies from: looked up here first, then in their registry; their files come only when a step needs them. */
import { basename } from 'node:path';
import type { SourceImageOp } from '#formats/graph/op.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Report } from '#formats/progress/event.ts';
import { decodeImageConfig, diffIdsOf } from '#formats/oci/image-config.ts';
import { matchPlatform, platformRank, type Platform } from '#formats/oci/platform.ts';
import { familiarReference, nameOf, parseReference, printReference, withDefaultTag, type Reference } from '#formats/oci/reference.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { admitImage } from '#languages/frontend/admit.ts';
import type { Outside, ResolvedImage } from '#languages/frontend/contract.ts';
import { imagesOf } from '#stores/image/indexes.ts';
import { checkConfig, isWhole, type ImageRecord } from '#stores/image/store.ts';
import type { SnapshotId } from '#execution/worker/contract.ts';
import { contextsByName, layoutNamed } from './frontend-options.ts';
import type { Engine } from './open.ts';
import type { BuildRequest, ContextRequest, PullPolicy } from './build-requests.ts';
import type { PulledBase } from './step-follower.ts';

export type BaseImages = Outside & {
  /** DiffIDs of an image that this build resolved. */
  diffIdsOf(op: SourceImageOp): readonly Digest[];
  /** Where an image that this build resolved comes from. */
  originOf(op: SourceImageOp): ImageOrigin;
  /** The layers that its registry has of an image; none for one that is here. */
  layersToPull(op: SourceImageOp): readonly Descriptor[];
  /** What would be downloaded for its files, as people call it; undefined for one that is here. */
  toPull(op: SourceImageOp): PulledBase | undefined;
  /** The image's files as a snapshot, downloaded when they are not here; undefined for an image without layers. */
  unpack(op: SourceImageOp, report: Report, signal: AbortSignal): Promise<SnapshotId | undefined>;
};

export type ImageOrigin = {
  /** As it was asked for, with a tag or a digest; undefined for an image that has no registry. */
  readonly reference: Reference | undefined;
  readonly name: string;
  readonly platform: Platform;
  /** What its name stands for in the registry; where no registry is known to have it, the image's id. */
  readonly digest: Digest;
  /** Digest of its config. */
  readonly imageId: Digest | undefined;
};

type Known = {
  /** undefined for an image that has no registry: it is always here. */
  readonly reference: Reference | undefined;
  readonly platform: Platform;
  readonly image: ResolvedImage;
  readonly record: ImageRecord | undefined;
  readonly layers?: readonly Descriptor[];
  /** What its tag names in the registry. */
  readonly digest?: Digest;
};

/** For one build. */
export function createBaseImages(engine: Engine, request: BuildRequest): BaseImages {
  const contexts = contextsByName(request);
  const byManifest = new Map<Digest, Known>();
  const resolving = new Map<string, Promise<Known>>();

  const keep = (known: Known): Known => {
    byManifest.set(known.image.manifest, known);
    return known;
  };
  const resolve = async (text: string, platform: Platform, signal: AbortSignal): Promise<Known> => {
    const layout = contexts.get(layoutNamed(text) ?? '');
    if (layout?.kind === 'layout') return keep(await loadLayout(engine, layout, platform, signal));
    const reference = withDefaultTag(parseReference(request.admit === undefined ? text : admitImage(request.admit, text)));
    return keep(await findBase(engine, { reference, platform, policy: request.pull }, signal));
  };
  const knownFor = (op: SourceImageOp): Known => {
    const known = byManifest.get(op.manifest);
    if (known === undefined)
      throw new JettisonError('engine/unresolved-image', `Image "${op.name}" was not resolved by this build`, { fault: 'bug' });
    return known;
  };

  return {
    resolveImage: async (text, platform, signal) => {
      const id = `${text} ${JSON.stringify(platform)}`;
      const running = resolving.get(id) ?? resolve(text, platform, signal);
      resolving.set(id, running);
      return (await running).image;
    },
    diffIdsOf: (op) => diffIdsOf(knownFor(op).image.config),
    originOf: (op) => {
      const { reference, image, platform, record, digest } = knownFor(op);
      const known = record === undefined ? [] : engine.images.manifestsOf(record.imageId);
      const there = known.find((one) => one.repository === image.name)?.digest;
      return { reference, name: image.name, platform, digest: digest ?? there ?? image.manifest, imageId: image.imageId };
    },
    layersToPull: (op) => {
      const known = knownFor(op);
      return known.record === undefined ? (known.layers ?? []) : [];
    },
    toPull: (op) => {
      const { record, reference, digest } = knownFor(op);
      if (record !== undefined || reference === undefined || digest === undefined) return undefined;
      const { repository } = reference;
      return { name: familiarReference(reference), tag: reference.tag ?? reference.digest ?? '', repository, digest };
    },
    unpack: async (op, report, signal) => {
      const known = knownFor(op);
      const { fetchImage, unpackImage } = await import('./fetch-image.ts');
      if (known.record !== undefined) return await unpackImage(engine, known.record, report, signal);
      if (known.reference === undefined)
        throw new JettisonError('engine/unresolved-image', `Image "${op.name}" is not in the store`, { fault: 'bug' });
      const { record } = await fetchImage(
        engine,
        { reference: known.reference, platform: known.platform, manifest: known.image.manifest },
        report,
        signal,
      );
      return await unpackImage(engine, record, report, signal);
    },
  };
}

type Wanted = { readonly reference: Reference; readonly platform: Platform; readonly policy: PullPolicy };

/** Here, or in its registry, as the policy has it. Throws `engine/not-local`, `registry/...`. */
async function findBase(engine: Engine, { reference, platform, policy }: Wanted, signal: AbortSignal): Promise<Known> {
  const local = policy === 'always' ? undefined : findLocal(engine, reference, platform);
  if (local !== undefined && policy !== 'newer') return local;
  if (policy === 'never') {
    throw new JettisonError(
      'engine/not-local',
      `Image "${printReference(reference)}" is not in the store, and "--pull=never" forbids to get it`,
      {
        hint: 'Pull or load it first',
      },
    );
  }
  try {
    return await findRemote(engine, reference, platform, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (local !== undefined && error instanceof JettisonError && error.code.startsWith('registry/')) return local;
    throw error;
  }
}

/** An image of the store counts when it is for the platform; it is pinned by its id. */
function findLocal(engine: Engine, reference: Reference, platform: Platform): Known | undefined {
  const name = printReference(reference);
  const index = engine.indexes.find(name);
  const [member] = index === undefined ? [] : matchPlatform(imagesOf(index), platform);
  const record = (member && engine.images.get(member.imageId)) ?? engine.images.find(name);
  if (record === undefined) return undefined;
  if (!isWhole(record)) {
    // What a registry has is fetched again.
    if (engine.images.manifestsOf(record.imageId).length > 0) return undefined;
    checkConfig(record);
  }
  const config = decodeImageConfig(record.config, record.imageId);
  if (platformRank(config, platform) === undefined) return undefined;
  return {
    reference,
    platform,
    record,
    image: { name: nameOf(reference), shown: printReference(reference), manifest: record.imageId, config, imageId: record.imageId },
  };
}

/** Enters the image of an OCI layout into the store; it gets no name there. */
async function loadLayout(
  engine: Engine,
  layout: ContextRequest & { readonly kind: 'layout' },
  platform: Platform,
  signal: AbortSignal,
): Promise<Known> {
  const [{ readLayoutImage }, { enterImage }] = await Promise.all([import('#stores/image/layout.ts'), import('./load.ts')]);
  const image = readLayoutImage(layout, platform);
  const record = await enterImage(engine, image, () => undefined, signal);
  const name = basename(layout.path);
  const config = decodeImageConfig(record.config, record.imageId);
  return {
    reference: undefined,
    platform,
    record,
    image: { name, shown: name, manifest: record.imageId, config, imageId: record.imageId },
  };
}

async function findRemote(engine: Engine, reference: Reference, platform: Platform, signal: AbortSignal): Promise<Known> {
  const { lookUpImage } = await import('./fetch-image.ts');
  const found = await lookUpImage(engine, { reference, platform }, signal);
  const imageId = digestOf(found.configBytes);
  const shown = reference.digest === undefined ? `${printReference(reference)}@${found.manifest.digest}` : printReference(reference);
  return {
    reference,
    platform,
    record: engine.images.get(imageId),
    digest: (found.index ?? found.manifest).digest,
    layers: found.layers,
    image: { name: nameOf(reference), shown, manifest: found.manifest.digest, config: found.config, imageId },
  };
}
