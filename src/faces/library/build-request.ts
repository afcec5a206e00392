/** From a program's options to a build request. Nothing that is not known is passed over. */
import { resolve } from 'node:path';
import * as v from 'valibot';
import type {
  BuildRequest,
  ContextRequest,
  ContextSource,
  ImageForm,
  OutputRequest,
  ProvenanceRequest,
  SecretRequest,
} from '#engine/build-requests.ts';
import { actionsService, s3Credentials } from '#engine/cache-defaults.ts';
import type { ActionsCachePlace, CacheForm, CacheSource, CacheTarget, S3CachePlace } from '#engine/cache-requests.ts';
import { isRemoteAddress } from '#engine/remote-address.ts';
import { unreachable } from '#ground/base/errors.ts';
import { badOption, checkOptions } from './bad-option.ts';
import type {
  ActionsCache,
  BuildAttestations,
  BuildOptions,
  BuildOutput,
  BuildTarget,
  CacheDestination,
  CacheOrigin,
  Destination,
  LayerCompression,
  S3Cache,
} from './build-options.ts';
import { takeUntil, writeUntil } from './given-streams.ts';

/** Milliseconds: a layer that is there already is made new when it is older. */
const usualRefresh = 24 * 60 * 60 * 1000;

type Around = { readonly currentFolder: string; readonly environment: Readonly<Record<string, string | undefined>> };

/** What reading an option needs: where paths begin, and until when streams of the program are waited for. */
type Reading = { readonly path: (word: string) => string; readonly signal: AbortSignal };

const optional = v.exactOptional;
const filled = v.pipe(v.string(), v.nonEmpty('it is empty'));
const words = v.array(filled);
const texts = v.record(v.string(), v.string());
const cacheMode = optional(v.picklist(['min', 'max']));

const write = v.custom<(chunk: Uint8Array) => Promise<void>>((value) => typeof value === 'function');
const bytes = v.custom<AsyncIterable<Uint8Array>>((value) => typeof value === 'object' && value !== null && Symbol.asyncIterator in value);
const compression = optional(v.picklist(['gzip', 'zstd', 'estargz', 'uncompressed']));

const output: v.GenericSchema<BuildOutput> = v.union([
  v.strictObject({ type: v.literal('none') }),
  v.strictObject({ type: v.picklist(['image', 'registry']), compression }),
  v.strictObject({ type: v.literal('local'), dest: filled }),
  v.strictObject({ type: v.literal('tar'), dest: filled }),
  v.strictObject({ type: v.literal('tar'), write }),
  v.strictObject({ type: v.picklist(['oci', 'docker']), compression, dest: filled }),
  v.strictObject({ type: v.picklist(['oci', 'docker']), compression, write }),
]);
const actions = {
  type: v.literal('gha'),
  scope: optional(v.pipe(filled, v.maxLength(480), v.excludes(','))),
  url: optional(filled),
  token: optional(filled),
  version: optional(v.picklist([1, 2])),
  // Longer than a timer can be set for.
  timeout: optional(v.pipe(v.number(), v.minValue(1), v.maxValue(2 ** 31 - 1))),
};
const s3 = {
  type: v.literal('s3'),
  bucket: optional(v.pipe(v.string(), v.regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}$/u))),
  region: optional(v.pipe(v.string(), v.regex(/^[a-zA-Z0-9-]{1,64}$/u))),
  name: optional(filled),
  prefix: optional(v.string()),
  endpoint: optional(filled),
  usePathStyle: optional(v.boolean()),
  credentials: optional(v.strictObject({ keyId: filled, secretKey: filled, sessionToken: optional(filled) })),
};

const cacheOrigin: v.GenericSchema<CacheOrigin> = v.variant('type', [
  v.strictObject({ type: v.literal('registry'), ref: filled }),
  v.strictObject({ type: v.literal('local'), src: filled }),
  v.strictObject(actions),
  v.strictObject(s3),
]);
const cacheDestination: v.GenericSchema<CacheDestination> = v.variant('type', [
  v.strictObject({ type: v.literal('registry'), ref: filled, mode: cacheMode }),
  v.strictObject({ type: v.literal('local'), dest: filled, mode: cacheMode }),
  v.strictObject({ ...actions, mode: cacheMode }),
  v.strictObject({ ...s3, mode: cacheMode }),
  v.strictObject({ type: v.literal('inline') }),
]);

const buildTarget: v.GenericSchema<BuildTarget> = v.strictObject({
  target: filled,
  tags: optional(words),
  outputs: optional(v.array(output)),
});

const attestations: v.GenericSchema<BuildAttestations> = v.strictObject({
  provenance: optional(
    v.union([
      v.boolean(),
      v.strictObject({
        mode: optional(v.picklist(['min', 'max'])),
        version: optional(v.picklist(['v1', 'v0.2'])),
        builderId: optional(v.string()),
        reproducible: optional(v.boolean()),
      }),
    ]),
  ),
  sbom: optional(v.boolean()),
});

const buildOptions: v.GenericSchema<BuildOptions> = v.strictObject({
  context: v.union([filled, bytes]),
  file: optional(filled),
  dockerfile: optional(v.string()),
  tags: optional(words),
  target: optional(filled),
  targets: optional(v.array(buildTarget)),
  buildArgs: optional(texts),
  labels: optional(texts),
  annotations: optional(texts),
  attestations: optional(attestations),
  platforms: optional(words),
  noCache: optional(v.union([v.boolean(), words])),
  pull: optional(v.picklist(['missing', 'always', 'never', 'newer'])),
  network: optional(v.picklist(['default', 'none', 'host'])),
  extraHosts: optional(v.array(v.pipe(v.string(), v.regex(/^[^\s:]+:[\da-f:.]+$/iu, 'it is no "name:address"')))),
  contexts: optional(
    v.record(filled, v.union([v.strictObject({ folder: filled }), v.strictObject({ image: filled }), v.strictObject({ address: filled })])),
  ),
  secrets: optional(
    v.record(filled, v.union([v.strictObject({ file: filled }), v.strictObject({ value: v.union([v.string(), v.instance(Uint8Array)]) })])),
  ),
  ssh: optional(v.record(filled, words)),
  allow: optional(v.array(v.picklist(['network.host', 'security.insecure']))),
  outputs: optional(v.array(output)),
  cacheFrom: optional(v.array(cacheOrigin)),
  cacheTo: optional(v.array(cacheDestination)),
  gates: optional(words),
  reports: optional(v.array(v.strictObject({ stage: filled, path: v.pipe(v.string(), v.startsWith('/')), folder: filled }))),
  check: optional(v.picklist(['error', 'warn', 'off'])),
  fold: optional(v.picklist(['auto', 'off'])),
  budgets: optional(words),
  replay: optional(v.boolean()),
  jobs: optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1024))),
});

/** Throws `library/bad-option`, which names the option and never its value: that may be a secret. */
export function buildRequest(given: BuildOptions, around: Around, signal: AbortSignal): BuildRequest {
  const options = checked(given);
  const path = (word: string): string => resolve(around.currentFolder, word);
  const reading: Reading = { path, signal };
  const { noCache = false } = options;
  const { environment } = around;
  return {
    context: readContext(options.context, reading),
    text: options.dockerfile,
    file: options.file,
    ...readTargets(options, reading),
    buildArgs: readBuildArgs(options, around),
    labels: mapOf(options.labels),
    platforms: options.platforms ?? [],
    noCache: noCache === true,
    noCacheStages: typeof noCache === 'boolean' ? [] : noCache,
    pull: options.pull ?? 'missing',
    network: options.network ?? 'default',
    extraHosts: options.extraHosts ?? [],
    shmSize: undefined,
    ulimits: [],
    limits: undefined,
    cgroupParent: undefined,
    contexts: new Map(Object.entries(options.contexts ?? {}).map(([name, one]) => [name, readNamed(one, path)])),
    secrets: new Map(Object.entries(options.secrets ?? {}).map(([id, one]) => [id, readSecret(one, path)])),
    allowedSecrets: [],
    ssh: new Map(Object.entries(options.ssh ?? {}).map(([id, paths]) => [id, paths.map(path)])),
    allow: options.allow ?? [],
    cacheFrom: (options.cacheFrom ?? []).map((one, at) => readOrigin(one, { path, name: `cacheFrom.${at}`, environment })),
    cacheTo: (options.cacheTo ?? []).map((one, at) => readDestination(one, { path, name: `cacheTo.${at}`, environment })),
    annotations: Object.entries(options.annotations ?? {}).map(([key, value]) => ({ place: 'manifest', platform: undefined, key, value })),
    ...readAttestations(options),
    format: 'oci',
    replays: options.replay === true,
    jobs: options.jobs,
    ...(options.fold === undefined ? {} : { fold: options.fold }),
    tellsHidden: true,
    budgets: options.budgets ?? [],
    gates: options.gates ?? [],
    reports: (options.reports ?? []).map(({ stage, path: inside, folder }) => ({ stage, path: inside, folder: path(folder) })),
    check: options.check ?? 'warn',
  };
}

function checked(given: BuildOptions): BuildOptions {
  const options = checkOptions(buildOptions, given);
  if (given.file !== undefined && given.dockerfile !== undefined) throw badOption('dockerfile', '"file" is given, too');
  if (given.targets !== undefined) checkTargets(given, given.targets);
  return options;
}

function checkTargets(given: BuildOptions, targets: readonly BuildTarget[]): void {
  const other = (['target', 'tags', 'outputs'] as const).find((name) => given[name] !== undefined);
  if (other !== undefined) throw badOption('targets', `"${other}" is given, too`);
  if (targets.length === 0) throw badOption('targets', 'it is empty');
  if (new Set(targets.map(({ target }) => target.toLowerCase())).size < targets.length) throw badOption('targets', 'one is given twice');
}

type ToPath = (word: string) => string;

function readContext(context: BuildOptions['context'], { path, signal }: Reading): ContextSource {
  if (typeof context !== 'string') return { kind: 'stream', chunks: takeUntil(context, signal) };
  return isRemoteAddress(context) ? { kind: 'remote', address: context } : { kind: 'folder', path: path(context) };
}

function readTargets(options: BuildOptions, reading: Reading): Pick<BuildRequest, 'target' | 'targets' | 'tags' | 'outputs'> {
  const read = ({ target, tags = [], outputs = [] }: Omit<BuildTarget, 'target'> & Pick<BuildOptions, 'target'>) => ({
    target,
    tags,
    outputs: outputs.map((one) => readOutput(one, reading)),
  });
  const [first, ...others] = options.targets ?? [];
  if (first === undefined || others.length === 0) return read(first ?? options);
  const targets = [first, ...others].map((one) => ({ ...read(one), target: one.target }));
  return {
    target: undefined,
    targets,
    tags: targets.flatMap(({ tags }) => tags),
    outputs: targets.flatMap(({ outputs }) => outputs),
  };
}

function mapOf(values: Readonly<Record<string, string>> = {}): ReadonlyMap<string, string> {
  return new Map(Object.entries(values));
}

function readBuildArgs({ buildArgs }: BuildOptions, { environment }: Around): ReadonlyMap<string, string> {
  const given = mapOf(buildArgs);
  const epoch = environment['SOURCE_DATE_EPOCH'] ?? '';
  return epoch === '' || given.has('SOURCE_DATE_EPOCH') ? given : new Map([...given, ['SOURCE_DATE_EPOCH', epoch]]);
}

function readNamed(one: NonNullable<BuildOptions['contexts']>[string], path: ToPath): ContextRequest {
  if ('folder' in one) return { kind: 'folder', path: path(one.folder) };
  return 'image' in one ? { kind: 'image', reference: one.image } : { kind: 'remote', address: one.address };
}

function readSecret(one: NonNullable<BuildOptions['secrets']>[string], path: ToPath): SecretRequest {
  if ('file' in one) return { kind: 'file', path: path(one.file) };
  return { kind: 'value', value: typeof one.value === 'string' ? new TextEncoder().encode(one.value) : one.value };
}

function readAttestations({ attestations: given = {} }: BuildOptions): Pick<BuildRequest, 'attestations'> {
  const { provenance = false, sbom = false } = given;
  if (provenance === false && !sbom) return {};
  const wish = typeof provenance === 'boolean' ? {} : provenance;
  const asked: ProvenanceRequest = {
    mode: wish.mode ?? 'max',
    version: wish.version ?? 'v1',
    builderId: wish.builderId ?? '',
    isReproducible: wish.reproducible === true,
    isInlineOnly: false,
    fileName: 'provenance.json',
  };
  return { attestations: { provenance: provenance === false ? undefined : asked, sbom } };
}

function formOf(given: LayerCompression | undefined): ImageForm {
  return {
    compression: given === 'uncompressed' ? 'tar' : given,
    level: undefined,
    isForced: false,
    mediaTypes: undefined,
    clampsTimes: false,
    annotations: [],
  };
}

function readOutput(one: BuildOutput, reading: Reading): OutputRequest {
  switch (one.type) {
    case 'none':
      return { kind: 'none' };
    case 'image':
    case 'registry': {
      const isPushed = one.type === 'registry';
      const image = { isStored: true, isPushed, byDigest: false, isCanonical: false, danglingPrefix: undefined };
      return { kind: 'image', names: undefined, form: formOf(one.compression), ...image };
    }
    case 'local':
      return { kind: 'local', destination: { kind: 'folder', path: reading.path(one.dest) }, source: '/', isSplit: undefined };
    case 'tar':
      return { kind: 'tar', destination: destinationOf(one, reading), source: '/', isSplit: undefined };
    case 'oci':
    case 'docker':
      return { kind: one.type, destination: destinationOf(one, reading), names: undefined, form: formOf(one.compression) };
    default:
      return unreachable(one, 'output');
  }
}

function destinationOf(one: Destination, { path, signal }: Reading) {
  return 'dest' in one
    ? { kind: 'file' as const, path: path(one.dest) }
    : { kind: 'stream' as const, write: writeUntil(one.write, signal) };
}

/** `name`: of the option, for errors. */
type CacheAround = { readonly path: ToPath; readonly name: string; readonly environment: Around['environment'] };

function readOrigin(one: CacheOrigin, around: CacheAround): CacheSource {
  switch (one.type) {
    case 'registry':
      return { kind: 'registry', reference: one.ref };
    case 'local':
      return { kind: 'folder', path: around.path(one.src), tag: 'latest', digest: undefined };
    case 'gha':
      return readActions(one, around);
    case 's3':
      return readS3(one, around);
    default:
      return unreachable(one, 'cache');
  }
}

function readDestination(one: CacheDestination, around: CacheAround): CacheTarget {
  if (one.type === 'inline') return { kind: 'inline', isTelling: true };
  const cache: CacheForm = {
    mode: one.mode ?? 'min',
    compression: 'gzip',
    ociTypes: true,
    imageManifest: true,
    isTelling: true,
    ignoreError: false,
  };
  switch (one.type) {
    case 'registry':
      return { kind: 'registry', reference: one.ref, ...cache };
    case 'local':
      return { kind: 'folder', path: around.path(one.dest), tag: 'latest', ...cache };
    case 'gha':
      return { ...cache, ...readActions(one, around), imageManifest: false, listing: undefined };
    case 's3':
      return { ...cache, ...readS3(one, around), imageManifest: false, touchRefresh: usualRefresh, parallel: 4 };
    default:
      return unreachable(one, 'cache');
  }
}

function readActions({ scope = 'buildkit', url, token, version, timeout }: ActionsCache, { environment }: CacheAround): ActionsCachePlace {
  const wish = { url, newerUrl: version === 2 ? url : undefined, token, version, timeout };
  return { kind: 'actions', scope, service: actionsService(wish, environment) };
}

function readS3(given: S3Cache, { environment, name }: CacheAround): S3CachePlace {
  const { bucket = environment['AWS_BUCKET'] ?? '', region = environment['AWS_REGION'] ?? '', credentials } = given;
  if (bucket === '') throw badOption(`${name}.bucket`, 'it is not given, and there is no AWS_BUCKET');
  if (region === '') throw badOption(`${name}.region`, 'it is not given, and there is no AWS_REGION');
  return {
    kind: 's3',
    bucket,
    region,
    names: [given.name ?? 'buildkit'],
    prefix: given.prefix ?? '',
    blobsPrefix: 'blobs/',
    manifestsPrefix: 'manifests/',
    endpoint: given.endpoint,
    usePathStyle: given.usePathStyle === true,
    credentials: s3Credentials(credentials && { sessionToken: undefined, ...credentials }, environment),
  };
}
