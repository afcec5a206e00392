/** From a program's options to a build request. Nothing that is not known is passed over. */
import { resolve } from 'node:path';
import * as v from 'valibot';
import type { BuildRequest, ContextRequest, ContextSource, ImageForm, OutputRequest, SecretRequest } from '#engine/build-requests.ts';
import type { CacheForm, CacheSource, CacheTarget } from '#engine/cache-requests.ts';
import { isRemoteAddress } from '#engine/remote-address.ts';
import { JettisonError, unreachable } from '#ground/base/errors.ts';
import type { BuildOptions, BuildOutput, BuildTarget, CacheDestination, CacheOrigin } from './build-options.ts';

type Around = { readonly currentFolder: string; readonly environment: Readonly<Record<string, string | undefined>> };

const optional = v.exactOptional;
const filled = v.pipe(v.string(), v.nonEmpty('it is empty'));
const words = v.array(filled);
const texts = v.record(v.string(), v.string());
const cacheMode = optional(v.picklist(['min', 'max']));

const output: v.GenericSchema<BuildOutput> = v.union([
  v.strictObject({ type: v.picklist(['image', 'registry', 'none']) }),
  v.strictObject({ type: v.picklist(['local', 'tar', 'oci', 'docker']), dest: filled }),
]);
const cacheOrigin: v.GenericSchema<CacheOrigin> = v.variant('type', [
  v.strictObject({ type: v.literal('registry'), ref: filled }),
  v.strictObject({ type: v.literal('local'), src: filled }),
]);
const cacheDestination: v.GenericSchema<CacheDestination> = v.variant('type', [
  v.strictObject({ type: v.literal('registry'), ref: filled, mode: cacheMode }),
  v.strictObject({ type: v.literal('local'), dest: filled, mode: cacheMode }),
  v.strictObject({ type: v.literal('inline') }),
]);

const buildTarget: v.GenericSchema<BuildTarget> = v.strictObject({
  target: filled,
  tags: optional(words),
  outputs: optional(v.array(output)),
});

const buildOptions: v.GenericSchema<BuildOptions> = v.strictObject({
  context: filled,
  file: optional(filled),
  dockerfile: optional(v.string()),
  tags: optional(words),
  target: optional(filled),
  targets: optional(v.array(buildTarget)),
  buildArgs: optional(texts),
  labels: optional(texts),
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
  jobs: optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1024))),
});

/** Throws `library/bad-option`, which names the option and never its value: that may be a secret. */
export function buildRequest(given: BuildOptions, around: Around): BuildRequest {
  const options = checked(given);
  const path = (word: string): string => resolve(around.currentFolder, word);
  const { noCache = false } = options;
  return {
    context: readContext(options.context, path),
    text: options.dockerfile,
    file: options.file,
    ...readTargets(options, path),
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
    cacheFrom: (options.cacheFrom ?? []).map((one) => readOrigin(one, path)),
    cacheTo: (options.cacheTo ?? []).map((one) => readDestination(one, path)),
    annotations: [],
    format: 'oci',
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
  const read = v.safeParse(buildOptions, given, { abortEarly: true });
  if (!read.success) {
    const [issue] = read.issues;
    const name = v.getDotPath(issue) ?? 'options';
    const what = issue.expected === 'never' ? 'there is no such option' : 'it is not of the type that it has to have';
    throw badOption(name, what);
  }
  if (given.file !== undefined && given.dockerfile !== undefined) throw badOption('dockerfile', '"file" is given, too');
  if (given.targets !== undefined) checkTargets(given, given.targets);
  return read.output;
}

function checkTargets(given: BuildOptions, targets: readonly BuildTarget[]): void {
  const other = (['target', 'tags', 'outputs'] as const).find((name) => given[name] !== undefined);
  if (other !== undefined) throw badOption('targets', `"${other}" is given, too`);
  if (targets.length === 0) throw badOption('targets', 'it is empty');
  if (new Set(targets.map(({ target }) => target.toLowerCase())).size < targets.length) throw badOption('targets', 'one is given twice');
}

function badOption(name: string, what: string): JettisonError {
  return new JettisonError('library/bad-option', `Bad option "${name.slice(0, 200)}": ${what}`, {
    hint: 'docs/library.md and the types of "jettison/store" say what there is',
  });
}

type ToPath = (word: string) => string;

function readContext(context: string, path: ToPath): ContextSource {
  return isRemoteAddress(context) ? { kind: 'remote', address: context } : { kind: 'folder', path: path(context) };
}

function readTargets(options: BuildOptions, path: ToPath): Pick<BuildRequest, 'target' | 'targets' | 'tags' | 'outputs'> {
  const read = ({ target, tags = [], outputs = [] }: Omit<BuildTarget, 'target'> & Pick<BuildOptions, 'target'>) => ({
    target,
    tags,
    outputs: outputs.map((one) => readOutput(one, path)),
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

const form: ImageForm = {
  compression: undefined,
  level: undefined,
  isForced: false,
  mediaTypes: undefined,
  clampsTimes: false,
  annotations: [],
};

function readOutput(one: BuildOutput, path: ToPath): OutputRequest {
  switch (one.type) {
    case 'none':
      return { kind: 'none' };
    case 'image':
    case 'registry': {
      const isPushed = one.type === 'registry';
      const image = { isStored: true, isPushed, byDigest: false, isCanonical: false, danglingPrefix: undefined };
      return { kind: 'image', names: undefined, form, ...image };
    }
    case 'local':
      return { kind: 'local', destination: { kind: 'folder', path: path(one.dest) }, source: '/', isSplit: undefined };
    case 'tar':
      return { kind: 'tar', destination: { kind: 'file', path: path(one.dest) }, source: '/', isSplit: undefined };
    case 'oci':
    case 'docker':
      return { kind: one.type, destination: { kind: 'file', path: path(one.dest) }, names: undefined, form };
    default:
      return unreachable(one, 'output');
  }
}

function readOrigin(one: CacheOrigin, path: ToPath): CacheSource {
  return one.type === 'registry'
    ? { kind: 'registry', reference: one.ref }
    : { kind: 'folder', path: path(one.src), tag: 'latest', digest: undefined };
}

function readDestination(one: CacheDestination, path: ToPath): CacheTarget {
  if (one.type === 'inline') return { kind: 'inline', isTelling: true };
  const cache: CacheForm = {
    mode: one.mode ?? 'min',
    compression: 'gzip',
    ociTypes: true,
    imageManifest: true,
    isTelling: true,
    ignoreError: false,
  };
  return one.type === 'registry'
    ? { kind: 'registry', reference: one.ref, ...cache }
    : { kind: 'folder', path: path(one.dest), tag: 'latest', ...cache };
}
