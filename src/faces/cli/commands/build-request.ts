/** The options of `jettison build`, and the request that they and the argument make. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { platformsOf } from '#engine/platform.ts';
import { isRemoteAddress } from '#engine/remote-address.ts';
import type { BuildRequest, ContextRequest, ContextSource, PullPolicy, ReportRequest } from '#engine/build-requests.ts';
import { orAborted } from '#ground/base/abort.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Surroundings } from '../command.ts';
import { badValue, choice, flag, list, parsed, text, type Option, type ValuesOf } from '../option.ts';
import { readSize, toMap } from '../option-values.ts';
import { progressModes, type ProgressMode } from '../output/screen.ts';
import { readAnnotation } from './build-annotation.ts';
import { readAttestations } from './build-attest.ts';
import { readBuildArgs } from './build-args.ts';
import { limitOptions, readLimits } from './build-limits.ts';
import { readCacheSource, readCacheTarget } from './build-cache.ts';
import { readCall, type BuildCall } from './build-call-option.ts';
import { readAllow } from './build-allow.ts';
import { readSecret } from './build-secret.ts';
import { readSsh } from './build-ssh.ts';
import { readTargets } from './build-targets.ts';
import { builderOption, checkBuilderOption } from './builder-option.ts';
import { checkOption } from './check-option.ts';
import { foldOption } from './fold-option.ts';
import { isolationOption } from './isolation-option.ts';
import { retryOptions } from './retry-options.ts';

export const buildOptions = {
  addHost: list('add-host', { help: 'Add a custom host-to-IP mapping ("host:ip")' }),
  allow: list('allow', { value: 'stringArray', help: 'Allow steps more than the usual: "network.host", "security.insecure"' }),
  allowedSecrets: list('allow-secret-in-image', {
    value: 'id',
    help: 'Let the image hold the value of this secret: the id of "--secret", "ssh:ID", "registry:HOST"',
  }),
  annotations: list('annotation', {
    value: 'stringArray',
    help: 'Add an annotation to the manifest: "KEY=VALUE", "manifest-descriptor:KEY=VALUE"',
  }),
  attest: list('attest', {
    value: 'stringArray',
    help: 'Say something about the image, beside it: "type=provenance,mode=max", "type=sbom"',
  }),
  budgets: list('budget', {
    value: 'limits',
    help: 'Keep the image without a name, and end with 4, if it is more than this: "final<=20MB layer<=10MB layers<=12 growth<=5% file<=8MB"; in the Dockerfile: "# jettison:budget ..."',
  }),
  buildArgs: list('build-arg', { help: 'Set build-time variables: "NAME=VALUE", or "NAME" to pass one on' }),
  buildArgFiles: list('build-arg-file', { value: 'file', help: 'Read build-time variables from a file, one a line; "--build-arg" wins' }),
  call: parsed<BuildCall>(
    'call',
    { initial: readCall('build'), help: 'Instead of building: "check", "outline", "targets"; with ",format=json", ",ignorestatus"' },
    readCall,
  ),
  compress: flag('compress', { help: 'Accepted, changes nothing: the build context is not sent anywhere' }),
  contexts: list('build-context', {
    help: 'Additional build contexts: "NAME=PATH", "NAME=ADDRESS" (of a Git repository or a file), "NAME=docker-image://IMAGE", "NAME=oci-layout://PATH[:TAG]"',
  }),
  cacheMax: text('cache-max', {
    value: 'size',
    help: 'What the build cache may take up afterwards: "10g", "20%" of the disk, "none" for no limit',
  }),
  check: checkOption(),
  cacheFrom: list('cache-from', {
    value: 'stringArray',
    help: 'Caches of other builds: "type=registry,ref=IMAGE", "type=local,src=FOLDER", "type=gha", "type=s3,...", or the name of an image with a cache in it',
  }),
  builder: builderOption(),
  cacheTo: list('cache-to', {
    value: 'stringArray',
    help: 'Where this build\'s cache goes: "type=registry,ref=IMAGE", "type=local,dest=FOLDER", "type=gha", "type=s3,...", "type=inline"; "mode=max" for all stages',
  }),
  file: text('file', { short: 'f', help: 'Name or web address of the Dockerfile (default "PATH/Dockerfile")' }),
  fold: foldOption(),
  format: choice('format', { words: ['oci', 'docker'], initial: 'oci', help: 'Form of the manifest (default "oci")' }),
  forceRemove: flag('force-rm', { help: 'Accepted, changes nothing: no containers are left behind' }),
  gates: list('gate', {
    value: 'stages',
    help: 'Build these stages, too ("test,lint"), and name, push or write nothing unless they succeed; in the Dockerfile: "# jettison:gate" above a FROM; "none" for none of those',
  }),
  idFile: text('iidfile', { help: 'Write the image ID to the file' }),
  isolation: isolationOption(),
  jobs: parsed('jobs', { value: 'number', initial: undefined, help: 'How many steps run at once' }, readJobs),
  labels: list('label', { help: 'Set metadata for an image' }),
  metadataFile: text('metadata-file', { help: 'Write what was built to the file, as JSON' }),
  load: flag('load', { help: 'Beside other outputs, keep the image in the store, as without any ("-o type=docker")' }),
  network: choice('network', { words: ['default', 'none', 'host'], initial: 'default', help: 'Network of RUN (default "default")' }),
  noCache: flag('no-cache', { help: 'Do not use cache when building the image' }),
  noCacheStages: list('no-cache-filter', { help: 'Do not use cache for these stages' }),
  outputs: list('output', {
    short: 'o',
    value: 'stringArray',
    help: 'Where what is built goes: a folder for its files, "-" for a tar of them, "type=local|tar|oci|docker,dest=PATH", "type=image|registry,name=NAME", "type=cacheonly"',
  }),
  platforms: list('platform', { value: 'stringArray', help: 'Platform of the image: "os/architecture[/variant]"; several make one index' }),
  progress: parsed(
    'progress',
    {
      value: 'string',
      initial: undefined,
      help: 'How progress is shown: "auto", "plain", "tty", "quiet", "none", "rawjson", "classic" (the steps as before BuildKit, an image for each), "classic-v25" (in the words of Docker 25) (default "auto")',
    },
    readProgress,
  ),
  provenance: text('provenance', {
    help: 'How the image came about, beside it: "true", "mode=min", "mode=max,version=v0.2" ("--attest type=provenance")',
  }),
  pull: pullOption(),
  push: flag('push', { help: 'Push the image to a registry, under its names ("-o type=registry")' }),
  quiet: flag('quiet', { short: 'q', help: 'Suppress the build output and print image ID on success' }),
  replays: flag('replay', { help: 'Print once more what cached steps said when they ran; "--progress" is "plain" then unless it is said' }),
  reports: list('report', {
    value: 'stringArray',
    help: 'Write files of a stage to a folder, whether the build succeeds or fails: "STAGE:/PATH=FOLDER"; the stage is built, too',
  }),
  remove: flag('rm', { help: 'Accepted, changes nothing: no containers are left behind' }, true),
  sbom: text('sbom', { help: 'Which packages the image has, beside it: "true" ("--attest type=sbom")' }),
  secrets: list('secret', { help: 'Secret to expose to the build: "id=NAME,src=FILE" or "id=NAME,env=VARIABLE"' }),
  policyFile: text('source-policy-file', {
    help: "Which sources may be used, and what stands for others: BuildKit's source policy (also EXPERIMENTAL_BUILDKIT_SOURCE_POLICY)",
  }),
  ssh: list('ssh', {
    value: 'stringArray',
    help: 'SSH agent or keys to expose to the build: "default" for the agent of SSH_AUTH_SOCK, "ID=SOCKET" or "ID=KEY[,KEY]"',
  }),
  shmSize: parsed('shm-size', { value: 'bytes', initial: undefined, help: 'Size of "/dev/shm"' }, (size) => readSize('shm-size', size)),
  tags: list('tag', { short: 't', help: 'Name and optionally a tag in the "name:tag" format' }),
  target: text('target', { help: 'Set the target build stage to build; several ("a,b") with "-t a=NAME" and "-o a=..."' }),
  ...limitOptions,
  ...retryOptions,
};

/** What the docker CLI has and this command has not yet. */
export const notBuiltOptions = `
  D=debug disable-content-trust
  policy save-stages security-opt squash stage-labels`;

export type BuildOptions = ValuesOf<typeof buildOptions>;

/** Throws `cli/...` for values that cannot be used. */
export async function requestOf(given: BuildOptions, context: string, around: Surroundings, signal: AbortSignal): Promise<BuildRequest> {
  if (given.file === '-' && context === '-')
    throw new JettisonError('cli/usage', 'Context and Dockerfile cannot both come from standard input', {
      hint: 'Put the Dockerfile into the archive',
    });
  await checkBuilderOption(given.builder, around.environment);
  const attestations = readAttestations(given);
  const targets = readTargets(given, around, signal);
  const admit = await readPolicy(given.policyFile, around);
  return {
    context: readContext(context, around),
    text: given.file === '-' ? await orAborted(readText(around.streams.stdin), signal) : undefined,
    file: readFile(given.file),
    ...targets,
    tags: targets.tags.map(checkTag),
    buildArgs: readBuildArgs(given, around),
    labels: toMap(given.labels),
    platforms: platformWords(given),
    noCache: given.noCache,
    pull: given.pull,
    network: given.network,
    extraHosts: given.addHost.map(readHost),
    shmSize: given.shmSize,
    ...readLimits(given),
    noCacheStages: given.noCacheStages.flatMap((stages) => stages.split(',')).filter((stage) => stage !== ''),
    contexts: new Map(given.contexts.map((named) => readNamedContext(named, around.currentFolder))),
    secrets: new Map(given.secrets.map((secret) => readSecret(secret, around))),
    allowedSecrets: given.allowedSecrets,
    ssh: readSsh(given.ssh, around.currentFolder),
    allow: readAllow(given.allow),
    cacheFrom: given.cacheFrom.map((source) => readCacheSource(source, around)),
    cacheTo: given.cacheTo.map((target) => readCacheTarget(target, around)),
    annotations: readAnnotations(given),
    ...(admit === undefined ? {} : { admit }),
    ...(attestations === undefined ? {} : { attestations }),
    format: given.format,
    jobs: given.jobs,
    ...(given.fold === undefined ? {} : { fold: given.fold }),
    replays: given.replays,
    budgets: given.budgets,
    gates: given.gates.flatMap((stages) => stages.split(',')).filter((stage) => stage !== ''),
    reports: await readReports(given.reports, around.currentFolder),
  };
}

/** Loaded for who wants some. */
async function readReports(given: readonly string[], currentFolder: string): Promise<readonly ReportRequest[]> {
  if (given.length === 0) return [];
  const { readReport } = await import('./build-report.ts');
  return given.map((report) => readReport(report, currentFolder));
}

/** Buildah writes to places by `-t`; a name there that no image can have would only be called badly written. */
function checkTag(tag: string): string {
  if (!/^(?:(?:docker-archive|oci-archive|containers-storage|docker-daemon):|(?:oci|dir):.*[/:]|docker:\/\/)/u.test(tag)) return tag;
  throw new JettisonError('cli/not-built', `"--tag ${tag}" is a place, and "--tag" names images`, {
    hint: 'Use "--output type=oci,dest=FILE" or "type=docker,dest=FILE", "--push", or "jettison push NAME PLACE" afterwards',
  });
}

/** buildx's variable, and the option of Buildah and Podman, which wins. */
async function readPolicy(given: string | undefined, { environment, currentFolder }: Surroundings): Promise<BuildRequest['admit']> {
  const file = given ?? environment['EXPERIMENTAL_BUILDKIT_SOURCE_POLICY'];
  if (file === undefined || file === '') return undefined;
  const { readPolicyFile } = await import('#engine/source-policy.ts');
  return readPolicyFile(resolve(currentFolder, file), file);
}

/** A folder that is there wins over an address that looks like it (`github.com/user/name`). */
function readContext(context: string, { currentFolder, streams }: Surroundings): ContextSource {
  if (context === '')
    throw new JettisonError('cli/usage', 'The path of the build context is empty', { hint: 'Use "." for the current folder' });
  if (context === '-') return { kind: 'stream', chunks: streams.stdin };
  const path = resolve(currentFolder, context);
  if (!isFolder(path) && isRemoteAddress(context)) return { kind: 'remote', address: context };
  return { kind: 'folder', path };
}

const longestDockerfile = 2 * 1024 * 1024;

/** The Dockerfile on standard input. */
async function readText(stdin: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stdin) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > longestDockerfile) throw new JettisonError('cli/bad-value', 'The Dockerfile on standard input is longer than 2 MiB');
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** `name:address` or `name=address`. */
function readHost(given: string): string {
  const at = given.search(/[:=]/u);
  const [name, address] = [given.slice(0, at), given.slice(at + 1).replaceAll(/^\[|\]$/gu, '')];
  if (at < 1 || /\s/u.test(name)) throw badValue('add-host', given, 'use "name:address"');
  // Steps have the host's own network.
  if (address === 'host-gateway') return `${name}:127.0.0.1`;
  if (!isAddress(address)) throw badValue('add-host', given, `"${address}" is no IP address`);
  return `${name}:${address}`;
}

function isAddress(word: string): boolean {
  if (word.includes(':')) return /^[\da-f:.]+$/iu.test(word) && URL.canParse(`http://[${word}]/`);
  return /^\d{1,3}(?:\.\d{1,3}){3}$/u.test(word) && word.split('.').every((part) => Number(part) <= 255);
}

/** `NAME=...` of `--build-context`. */
function readNamedContext(given: string, currentFolder: string): readonly [string, ContextRequest] {
  const equals = given.indexOf('=');
  const [name, value] = [given.slice(0, equals), given.slice(equals + 1)];
  if (equals < 1 || value === '') throw badValue('build-context', given, 'use "NAME=PATH"');
  if (value.startsWith('docker-image://')) return [name, { kind: 'image', reference: value.slice('docker-image://'.length) }];
  if (value.startsWith('oci-layout://')) {
    const [place = '', digest] = value.slice('oci-layout://'.length).split('@', 2);
    const [path = '', tag] = place.split(':', 2);
    return [name, { kind: 'layout', path: resolve(currentFolder, path), tag, digest }];
  }
  const folder = resolve(currentFolder, value);
  if (!isFolder(folder) && isRemoteAddress(value)) return [name, { kind: 'remote', address: value }];
  if (/^[a-z][a-z0-9+.-]*:\/\//u.test(value) || value.startsWith('target:')) {
    throw new JettisonError('cli/not-built', `A build context "${value}" is not built yet`, {
      hint: 'Use a folder, an address of a Git repository or a file, docker-image:// or oci-layout://',
    });
  }
  return [name, { kind: 'folder', path: folder }];
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function readFile(file: string | undefined): string | undefined {
  return file === '' || file === '-' ? undefined : file;
}

function platformWords({ platforms }: Pick<BuildOptions, 'platforms'>): readonly string[] {
  return platforms
    .flatMap((words) => words.split(','))
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

const pullPolicies: ReadonlyMap<string, PullPolicy> = new Map([
  ['always', 'always'],
  ['missing', 'missing'],
  ['ifmissing', 'missing'],
  ['never', 'never'],
  ['newer', 'newer'],
  ['ifnewer', 'newer'],
]);

/** A switch as docker has it, and with a policy as Buildah has it. */
function pullOption(): Option<PullPolicy> {
  const standing = flag('pull', { help: '' });
  return {
    ...standing,
    help: 'Always ask the registry for base images; "--pull=missing", "--pull=never", "--pull=newer" (ask, but go on without an answer)',
    initial: 'missing',
    add: (_, word) => pullPolicies.get(word) ?? (standing.add(false, word) ? 'always' : 'missing'),
  };
}

function readAnnotations(given: BuildOptions): BuildRequest['annotations'] {
  const { annotations, outputs, format } = given;
  const hasIndex = platformsOf({ platforms: platformWords(given) }).length > 1 || readAttestations(given) !== undefined;
  const read = annotations.filter((one) => one !== '').flatMap((one) => readAnnotation(one, hasIndex));
  if (format === 'docker' && read.length > 0)
    throw new JettisonError('cli/usage', "A manifest in Docker's form has no annotations", { hint: 'Leave "--format docker" out' });
  const descriptor = hasIndex ? 'index-descriptor' : 'manifest-descriptor';
  if (outputs.length === 0 && read.some(({ place }) => place === descriptor))
    throw new JettisonError('cli/usage', 'An annotation of the descriptor has no place without an archive', {
      hint: 'Write one: "-o type=oci,dest=FILE"',
    });
  return read;
}

function readProgress(word: string): ProgressMode {
  const mode = progressModes.find((one) => one === word);
  if (mode !== undefined) return mode;
  throw badValue('progress', word, `use ${progressModes.map((one) => `"${one}"`).join(', ')}`);
}

function readJobs(word: string): number {
  const jobs = Number(word);
  if (Number.isSafeInteger(jobs) && jobs >= 1 && jobs <= 1024) return jobs;
  throw badValue('jobs', word, 'use a number from 1 to 1024');
}
