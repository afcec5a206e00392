/** Images of a store. */
import { resolve } from 'node:path';
import type { BlameDocument } from '#faces/documents/blame.ts';
import type { Engine } from '#engine/open.ts';
import { requireOneOf } from './bad-option.ts';
import type { Calls } from './calls.ts';
import { takeUntil } from './given-streams.ts';
import type { BlameOptions, FilesOf, ImageEntry, ImageFunctions } from './image-functions.ts';

export function imageFunctions(calls: Calls): ImageFunctions {
  return { ...lookingFunctions(calls), ...fileFunctions(calls), ...movingFunctions(calls) };
}

type Looking = 'images' | 'inspectImage' | 'check' | 'blame' | 'ledger' | 'packages' | 'attestations';

function lookingFunctions({ call }: Calls): Pick<ImageFunctions, Looking> {
  return {
    images: async (given) => await call(given, async (engine) => await imageEntries(engine, given?.reference)),
    inspectImage: async (name, given) =>
      await call(given, async (engine) => {
        const { inspect, inspectForPlatform } = await import('#engine/inspect.ts');
        return given?.platform === undefined ? await inspect(engine, name, 'image') : inspectForPlatform(engine, name, given.platform);
      }),
    check: async (name, given) =>
      await call(given, async (engine, signal) => {
        const { checkImage } = await import('#engine/check-payload.ts');
        const { checkDocument } = await import('#faces/documents/make-check.ts');
        return checkDocument(await checkImage(engine, { name, platform: given?.platform }, () => undefined, signal));
      }),
    blame: async (image, given) => await call(given, async (engine, signal) => await blameOf(engine, image, given, signal)),
    ledger: async (name, given) =>
      await call(given, async (engine, signal) => {
        const { ledgerOf, usualFiles } = await import('#engine/ledger.ts');
        const { ledgerDocument } = await import('#faces/documents/make-ledger.ts');
        const wanted = { name, platform: given?.platform, largest: given?.files ?? usualFiles };
        return ledgerDocument(await ledgerOf(engine, wanted, () => undefined, signal));
      }),
    packages: async (image, given) =>
      await call(given, async (engine, signal) => {
        const { sbomOf } = await import('#engine/sbom.ts');
        const { packages, document, unread } = await sbomOf(engine, image, () => undefined, signal);
        const entries = packages.map(({ name, namespace, version, type, foundIn }) => ({
          name: namespace === undefined ? name : `${namespace}/${name}`,
          version,
          type,
          foundIn: `/${foundIn}`,
        }));
        return { packages: entries, document, unread };
      }),
    attestations: async (image, given) =>
      await call(given, async (engine) => {
        const { statementsOf } = await import('#engine/statements-of.ts');
        return statementsOf(engine, image).map((one) => ({ ...one, platform: one.platform ?? null }));
      }),
  };
}

function fileFunctions({ call, stream }: Calls): Pick<ImageFunctions, 'readFiles' | 'copyFiles'> {
  return {
    readFiles: (from, path, given) =>
      stream(given, async (engine, give, signal) => {
        const { copyFrom } = await import('#engine/copy-from.ts');
        const to = async (chunk: Uint8Array): Promise<void> => await give(new Uint8Array(chunk));
        await copyFrom(engine, { source: await sourceOf(from), path, followLink: given?.followLink === true, to }, () => undefined, signal);
      }),
    copyFiles: async (from, path, destination, given) =>
      await call(given, async (engine, signal) => {
        const { copyFrom } = await import('#engine/copy-from.ts');
        const { cleanPath } = await import('#engine/copy-rules.ts');
        const to = cleanPath(destination, resolve(engine.currentFolder));
        await copyFrom(engine, { source: await sourceOf(from), path, followLink: given?.followLink === true, to }, () => undefined, signal);
      }),
  };
}

type Moving = 'tag' | 'removeImage' | 'push' | 'pull' | 'saveImages' | 'loadImages';

function movingFunctions({ call, told, stream }: Calls): Pick<ImageFunctions, Moving> {
  return {
    tag: async (image, name, given) =>
      await call(given, async (engine) => {
        const { tagImage } = await import('#engine/images.ts');
        tagImage(engine, image, name);
      }),
    removeImage: async (name, given) =>
      await call(given, async (engine, signal) => {
        const { removeImages } = await import('#engine/images.ts');
        return await removeImages(engine, [name], { force: given?.force === true }, signal);
      }),
    push: async (image, given) =>
      await told(given, async (engine, report, signal) => {
        const { pushTo } = await import('#engine/push-to.ts');
        const { fullName } = await import('#engine/images.ts');
        const { platform, compression, to = image } = given ?? {};
        requireOneOf('compression', compression, ['gzip', 'zstd', 'estargz', 'uncompressed']);
        const request = { reference: image, platform, compression: compression === 'uncompressed' ? ('tar' as const) : compression };
        const pushed = await pushTo(engine, { to: { kind: 'docker', reference: to }, request }, report, signal);
        return { name: fullName(to), ...pushed };
      }),
    pull: async (name, given) =>
      await told(given, async (engine, report, signal) => {
        const { pull } = await import('#engine/pull.ts');
        const { platform, allPlatforms = false } = given ?? {};
        const { reference, id, digest, upToDate } = await pull(engine, { reference: name, platform, allPlatforms }, report, signal);
        return { name: reference, id, digest, upToDate };
      }),
    saveImages: (names, given) =>
      stream(given, async (engine, give, signal) => {
        const { saveImages } = await import('#engine/save.ts');
        const destination = { kind: 'stream', write: async (chunk: Uint8Array) => await give(new Uint8Array(chunk)) } as const;
        const { platform, format = 'docker' } = given ?? {};
        requireOneOf('format', format, ['docker', 'oci']);
        await saveImages(engine, { names, platform, format, destination }, () => undefined, signal);
      }),
    loadImages: async (from, given) =>
      await told(given, async (engine, report, signal) => {
        const { loadImages } = await import('#engine/load.ts');
        const source =
          typeof from === 'string'
            ? { kind: 'file' as const, path: resolve(engine.currentFolder, from) }
            : { kind: 'stream' as const, chunks: takeUntil(from, signal) };
        return await loadImages(engine, { source, platform: given?.platform }, report, signal);
      }),
  };
}

async function sourceOf(from: FilesOf) {
  const { failedName } = await import('#engine/step-place.ts');
  if ('failedStep' in from) return { kind: 'container', name: failedName } as const;
  if ('container' in from) return { kind: 'container', name: from.container } as const;
  return { kind: 'image', name: from.image, platform: from.platform } as const;
}

async function blameOf(engine: Engine, image: string, options: BlameOptions = {}, signal: AbortSignal): Promise<BlameDocument> {
  const { blameImage } = await import('#engine/blame.ts');
  const { blameDocument } = await import('#faces/documents/make-blame.ts');
  const { platform, path, by = 'origin', files = false, all = false } = options;
  const request = { image, platform, paths: path === undefined ? [] : [path], listsBase: all || path !== undefined, asksRegistry: false };
  const blame = await blameImage(engine, request, () => undefined, signal);
  return blameDocument(blame, { by, listsFiles: files || all || path !== undefined });
}

async function imageEntries(engine: Engine, reference: string | undefined): Promise<readonly ImageEntry[]> {
  const { listImages } = await import('#engine/images.ts');
  const references = reference === undefined ? [] : [reference];
  const all = { references, labels: [], dangling: undefined, all: false, before: [], since: [], until: undefined };
  return listImages(engine, all).map(({ id, repository, tag, digest, created, size }) => ({
    id,
    repository,
    tag,
    digest: digest ?? null,
    created: new Date(created).toISOString(),
    size,
  }));
}
