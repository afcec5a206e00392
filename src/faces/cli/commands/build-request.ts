/** The options of `jettison build`, and the request that they and the argument make. */
import { resolve } from 'node:path';
import type { BuildRequest, ContextRequest } from '#engine/requests.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Surroundings } from '../command.ts';
import { badValue, choice, flag, list, parsed, text, type ValuesOf } from '../option.ts';
import { toMap, withEnvironment } from '../option-values.ts';
import { progressModes, type ProgressMode } from '../output/screen.ts';
import { readCall, type BuildCall } from './build-call-option.ts';
import { readOutput } from './build-output.ts';
import { readSecret } from './build-secret.ts';

export const buildOptions = {
  addHost: list('add-host', { help: 'Add a custom host-to-IP mapping ("host:ip")' }),
  buildArgs: list('build-arg', { help: 'Set build-time variables: "NAME=VALUE", or "NAME" to pass one on' }),
  call: parsed<BuildCall>(
    'call',
    { initial: readCall('build'), help: 'Instead of building: "check", "targets"; with ",format=json", ",ignorestatus"' },
    readCall,
  ),
  contexts: list('build-context', {
    help: 'Additional build contexts: "NAME=PATH", "NAME=docker-image://IMAGE", "NAME=oci-layout://PATH[:TAG]"',
  }),
  check: flag('check', { help: 'Look for faults without building ("--call=check")' }),
  file: text('file', { short: 'f', help: 'Name of the Dockerfile (default "PATH/Dockerfile")' }),
  forceRemove: flag('force-rm', { help: 'Accepted: no containers are left behind' }),
  idFile: text('iidfile', { help: 'Write the image ID to the file' }),
  jobs: parsed('jobs', { value: 'number', initial: undefined, help: 'How many steps run at once' }, readJobs),
  labels: list('label', { help: 'Set metadata for an image' }),
  load: flag('load', { help: 'Accepted: what is built is always in the image store' }),
  network: choice('network', { words: ['default', 'none', 'host'], initial: 'default', help: 'Network of RUN (default "default")' }),
  noCache: flag('no-cache', { help: 'Do not use cache when building the image' }),
  outputs: list('output', {
    short: 'o',
    value: 'stringArray',
    help: 'Also write an archive: "type=oci|docker,dest=FILE", "compression=gzip|zstd|uncompressed"',
  }),
  platform: text('platform', { help: 'Platform of the image: "os/architecture[/variant]"' }),
  progress: choice<ProgressMode, undefined>('progress', {
    words: progressModes,
    initial: undefined,
    help: 'How progress is shown (default "auto")',
  }),
  pull: flag('pull', { help: 'Always attempt to pull a newer version of the image' }),
  quiet: flag('quiet', { short: 'q', help: 'Suppress the build output and print image ID on success' }),
  remove: flag('rm', { help: 'Accepted: no containers are left behind' }, true),
  secrets: list('secret', { help: 'Secret to expose to the build: "id=NAME,src=FILE" or "id=NAME,env=VARIABLE"' }),
  tags: list('tag', { short: 't', help: 'Name and optionally a tag in the "name:tag" format' }),
  target: text('target', { help: 'Set the target build stage to build' }),
};

/** What the docker CLI has and this command has not yet. */
export const notBuiltOptions = `
  allow annotation attest builder cache-from cache-to cgroup-parent compress D=debug cpu-period
  cpu-quota c=cpu-shares cpuset-cpus cpuset-mems disable-content-trust isolation m=memory memory-swap metadata-file
  no-cache-filter policy provenance push sbom security-opt shm-size squash ssh ulimit`;

export type BuildOptions = ValuesOf<typeof buildOptions>;

/** Throws `cli/...` for values that cannot be used. */
export function requestOf(given: BuildOptions, context: string, around: Surroundings): BuildRequest {
  return {
    context: readContext(context, around.currentFolder),
    file: readFile(given.file),
    tags: given.tags,
    target: given.target,
    buildArgs: toMap(withEnvironment(given.buildArgs, around.environment)),
    labels: toMap(given.labels),
    platform: readPlatform(given.platform),
    noCache: given.noCache,
    pull: given.pull,
    network: given.network,
    extraHosts: given.addHost,
    contexts: new Map(given.contexts.map((named) => readNamedContext(named, around.currentFolder))),
    secrets: new Map(given.secrets.flatMap((secret) => readSecret(secret, around))),
    outputs: given.outputs.map((output) => readOutput(output, around.currentFolder)),
    jobs: given.jobs,
  };
}

/** Contexts that are not folders are refused by name. */
function readContext(context: string, currentFolder: string): string {
  if (context === '')
    throw new JettisonError('cli/usage', 'The path of the build context is empty', { hint: 'Use "." for the current folder' });
  if (context === '-') throw new JettisonError('cli/not-built', 'A build context from standard input is not built yet');
  if (isUrl(context)) {
    throw new JettisonError('cli/not-built', `A build context from a URL ("${context}") is not built yet`, {
      hint: 'Fetch it, then build from the folder',
    });
  }
  return resolve(currentFolder, context);
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
  if (isUrl(value) || /^[a-z][a-z0-9+.-]*:\/\//u.test(value) || value.startsWith('target:')) {
    throw new JettisonError('cli/not-built', `A build context "${value}" is not built yet`, {
      hint: 'Use a folder, docker-image:// or oci-layout://',
    });
  }
  return [name, { kind: 'folder', path: resolve(currentFolder, value) }];
}

function isUrl(value: string): boolean {
  return /^(?:https?|git|ssh|oci-layout|docker-image):\/\/|^git@|^github\.com\//u.test(value);
}

function readFile(file: string | undefined): string | undefined {
  if (file === '-') throw new JettisonError('cli/not-built', 'A Dockerfile from standard input is not built yet');
  if (file !== undefined && /^https?:\/\//u.test(file))
    throw new JettisonError('cli/not-built', 'A Dockerfile from a URL is not built yet');
  return file === '' ? undefined : file;
}

function readPlatform(platform: string | undefined): string | undefined {
  if (platform?.includes(',')) throw new JettisonError('cli/not-built', 'Building for several platforms at once is not built yet');
  return platform === '' ? undefined : platform;
}

function readJobs(word: string): number {
  const jobs = Number(word);
  if (Number.isSafeInteger(jobs) && jobs >= 1 && jobs <= 1024) return jobs;
  throw badValue('jobs', word, 'use a number from 1 to 1024');
}
