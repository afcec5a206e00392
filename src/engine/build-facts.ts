/** What is known of how an image came about: for its provenance, and for `--metadata-file`. */
import { createReadStream } from 'node:fs';
import { basename, join } from 'node:path';
import { neededFor, type Vertex } from '#formats/graph/vertex.ts';
import { printReference } from '#formats/oci/reference.ts';
import { diffIdsOf } from '#formats/oci/image-config.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import { imagePurl } from '#formats/provenance/image-purl.ts';
import type { BuildFacts, Lent, Origin } from '#formats/provenance/predicate.ts';
import { describeBuild, type Build } from '#formats/provenance/steps.ts';
import { createDigester, hexOf, type Digest } from '#ground/base/digest.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { ImageOrigin } from './base-images.ts';
import type { BuiltResult, Exporting } from './gather-cache.ts';
import { contextsByName } from './frontend-options.ts';
import { nativeOrAsked } from './platform.ts';
import { isWebAddress, remoteOp } from './remote-address.ts';
import { readWorkTree } from '#stores/context/work-tree.ts';

type Op = Vertex['op'];
type OfKind<K extends Op['kind']> = Extract<Op, { readonly kind: K }>;

/** Of one platform; `image`: undefined where only files were wanted. Asks again what addresses stand for: throws `context/...`. */
export async function buildFacts(
  exporting: Exporting,
  { result, image }: { readonly result: BuiltResult; readonly image: ImageRecord | undefined },
  signal: AbortSignal,
): Promise<BuildFacts> {
  const { request, origin, engine } = exporting;
  const { goal } = result.drafted;
  const vertices = goal === undefined ? [] : neededFor(goal);
  const execs = opsOf(vertices, 'exec');
  const asked = request.attestations?.provenance;
  return {
    context: await contextOf(exporting, signal),
    file: fileOf(exporting),
    options: optionsOf(exporting),
    secrets: lentBy(execs, 'secret'),
    agents: lentBy(execs, 'ssh'),
    folders: foldersOf(exporting, vertices),
    materials: await materialsOf(exporting, vertices, signal),
    hadNetwork: execs.some(({ network }) => network !== 'none'),
    platform: printPlatform(nativeOrAsked(undefined)),
    builderId: asked?.builderId ?? '',
    buildId: origin.id,
    startedAt: origin.startedAt,
    finishedAt: engine.now(),
    isReproducible: asked?.isReproducible ?? false,
    // What is told without details has no place for it.
    vcs: asked === undefined && request.told !== 'max' ? {} : await vcsOf(exporting, signal),
    build: graphOf(exporting, result, image),
  };
}

function opsOf<K extends Op['kind']>(vertices: readonly Vertex[], kind: K): readonly OfKind<K>[] {
  return vertices.flatMap(({ op }) => (isOfKind(op, kind) ? [op] : []));
}

function isOfKind<K extends Op['kind']>(op: Op, kind: K): op is OfKind<K> {
  return op.kind === kind;
}

/** Each once, by their ids; one that some step needs is needed. */
function lentBy(execs: readonly OfKind<'exec'>[], kind: 'secret' | 'ssh'): readonly Lent[] {
  const found = new Map<string, boolean>();
  for (const mount of execs.flatMap(({ mounts }) => mounts))
    if (mount.kind === kind) found.set(mount.id, (found.get(mount.id) ?? true) && !mount.required);
  return sortedBy(
    [...found].map(([id, isOptional]) => ({ id, isOptional })),
    ({ id }) => id,
  );
}

function sortedBy<T>(values: readonly T[], key: (value: T) => string): readonly T[] {
  return values.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Folders that were read, and that of the Dockerfile. The context counts for one only when it is a folder: what came on standard input is nobody's, too. */
function foldersOf({ request }: Exporting, vertices: readonly Vertex[]): readonly string[] {
  const isRemote = request.context.kind === 'remote';
  const read = opsOf(vertices, 'source-local').flatMap(({ name }) => (name === 'context' && isRemote ? [] : [name]));
  const isFileLocal = !isRemote && !(request.file !== undefined && isWebAddress(request.file));
  return [...new Set([...read, ...(isFileLocal ? ['dockerfile'] : [])])].toSorted();
}

/** As buildx names it: in its folder. */
function fileOf({ request, origin }: Exporting): string {
  return request.context.kind === 'remote' ? origin.source.name : basename(origin.source.name);
}

/** Passwords in addresses are not shown: proxies have them. */
function optionsOf({ request }: Exporting): Readonly<Record<string, string>> {
  const { buildArgs, labels, target, noCache, noCacheStages, extraHosts, shmSize, ulimits, network } = request;
  const named = [...contextsByName(request)].map(([name, context]): readonly [string, string] => {
    if (context.kind === 'folder') return [`context:${name}`, `local:${name}`];
    if (context.kind === 'image') return [`context:${name}`, `docker-image://${context.reference}`];
    return [`context:${name}`, context.kind === 'remote' ? withoutPassword(context.address) : `oci-layout://${name}`];
  });
  return Object.fromEntries([
    ...[...buildArgs].map(([name, value]) => [`build-arg:${name}`, withoutPassword(value)] as const),
    ...[...labels].map(([name, value]) => [`label:${name}`, value] as const),
    ...named,
    ...(target === undefined ? [] : [['target', target] as const]),
    ...(noCache || noCacheStages.length > 0 ? [['no-cache', noCache ? '' : noCacheStages.join(',')] as const] : []),
    ...(extraHosts.length === 0 ? [] : [['add-hosts', extraHosts.map((line) => line.replace(':', '=')).join(',')] as const]),
    ...(network === 'default' ? [] : [['force-network-mode', network] as const]),
    ...(shmSize === undefined ? [] : [['shm-size', String(shmSize)] as const]),
    ...(ulimits.length === 0 ? [] : [['ulimit', ulimits.map(({ name, soft, hard }) => `${name}=${soft}:${hard}`).join(',')] as const]),
  ]);
}

/** What stands in addresses for a server alone: user and password. */
function withoutPassword(text: string): string {
  return text.replaceAll(/(:\/\/)[^/?#\s]+@/gu, '$1');
}

async function contextOf({ request, origin }: Exporting, signal: AbortSignal): Promise<BuildFacts['context']> {
  const { context, admit } = request;
  if (context.kind !== 'remote') return undefined;
  const op = remoteOp(context.address, { keepGitFolder: false, admit });
  const [found] = op.kind === 'source-git' ? [await gitOrigin(origin, op, signal)] : [await webOrigin(origin, op, signal)];
  return { ...found, uri: withoutPassword(context.address) };
}

/** Images, repositories and files of the web, each once, in this order, each sorted; the context, too, when it came from elsewhere. */
async function materialsOf(exporting: Exporting, vertices: readonly Vertex[], signal: AbortSignal): Promise<readonly Origin[]> {
  const { origin, request } = exporting;
  const { context, admit } = request;
  const images = opsOf(vertices, 'source-image').map((op) => imageOrigin(origin.bases.originOf(op)));
  const main = context.kind === 'remote' ? [remoteOp(context.address, { keepGitFolder: false, admit })] : [];
  const repositories: Origin[] = [];
  const files: Origin[] = [];
  for (const op of [...main, ...vertices.map((vertex) => vertex.op)]) {
    if (op.kind === 'source-git') repositories.push(await gitOrigin(origin, op, signal));
    if (op.kind === 'source-http') files.push(await webOrigin(origin, op, signal));
  }
  return [images, repositories, files].flatMap((some) => [
    ...new Map(sortedBy(some, ({ uri }) => uri).map((one) => [`${one.uri} ${JSON.stringify(one.digest)}`, one])).values(),
  ]);
}

function imageOrigin({ reference, name, platform, digest }: ImageOrigin): Origin {
  const uri =
    reference === undefined
      ? `pkg:oci/${encodeURIComponent(name)}?platform=${encodeURIComponent(printPlatform(platform))}`
      : imagePurl(reference, platform);
  return { uri, digest: { sha256: hexOf(digest) } };
}

async function gitOrigin({ remote }: Exporting['origin'], op: OfKind<'source-git'>, signal: AbortSignal): Promise<Origin> {
  const { commit, object } = await remote.gitCommit(op, signal);
  const hash = commit ?? object;
  return {
    uri: `${withoutPassword(op.remote)}${op.ref === '' ? '' : `#${op.ref}`}`,
    digest: { [hash.length === 64 ? 'sha256' : 'sha1']: hash },
  };
}

async function webOrigin({ remote }: Exporting['origin'], op: OfKind<'source-http'>, signal: AbortSignal): Promise<Origin> {
  const digest = op.checksum ?? (await digestOfFile(join(await remote.download(op, signal), op.name)));
  return { uri: withoutPassword(op.url), digest: { [digest.slice(0, digest.indexOf(':'))]: hexOf(digest) } };
}

async function digestOfFile(path: string): Promise<Digest> {
  const digester = createDigester();
  for await (const chunk of createReadStream(path)) if (chunk instanceof Uint8Array) digester.update(chunk);
  return digester.finish();
}

/** Nothing for a context that is no folder of a work tree. BUILDX_GIT_INFO and BUILDX_GIT_CHECK_DIRTY as in buildx. */
async function vcsOf({ request, engine, origin }: Exporting, signal: AbortSignal): Promise<BuildFacts['vcs']> {
  const { environment } = engine;
  if (request.context.kind !== 'folder' || isSwitched(environment['BUILDX_GIT_INFO'], false)) return {};
  const wish = { environment, looksForChanges: isSwitched(environment['BUILDX_GIT_CHECK_DIRTY'], true) };
  const tree = await readWorkTree(origin.context, wish, signal);
  if (tree === undefined) return {};
  const { folder, revision, source } = tree;
  return {
    'localdir:context': folder,
    ...(request.text === undefined && request.file === undefined ? { 'localdir:dockerfile': folder } : {}),
    ...(revision === undefined ? {} : { revision }),
    ...(source === undefined ? {} : { source: withoutPassword(source) }),
  };
}

function isSwitched(word: string | undefined, wanted: boolean): boolean {
  return (wanted ? ['1', 't', 'T', 'TRUE', 'true', 'True'] : ['0', 'f', 'F', 'FALSE', 'false', 'False']).includes(word ?? '');
}

function graphOf({ origin }: Exporting, { drafted, platform }: BuiltResult, image: ImageRecord | undefined): Build | undefined {
  const { goal, layers, baseImage } = drafted;
  if (goal === undefined) return undefined;
  const inherited = baseImage === undefined ? [] : diffIdsOf(baseImage.config);
  const diffIds = image?.layers.map(({ diffId }) => diffId) ?? [];
  const { bases, source } = origin;
  return describeBuild({
    goal,
    platform,
    file: { name: basename(source.name), text: source.text },
    imageOf: (op) => {
      const found = bases.originOf(op);
      return { name: found.reference === undefined ? found.name : printReference(found.reference), platform: found.platform };
    },
    shown: withoutPassword,
    layersUpTo: (vertex) => {
      const at = layers.indexOf(vertex);
      if (at >= 0) return diffIds.slice(0, inherited.length + at + 1);
      const isBase =
        inherited.length > 0 &&
        neededFor(goal).some(({ digest, op }) => digest === vertex && op.kind === 'source-image' && op.manifest === baseImage?.manifest);
      return isBase ? inherited : undefined;
    },
  });
}
