import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from '#engine/build.ts';
import type { BuildRequest } from '#engine/requests.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { codeFrame } from '#ground/base/span.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { engineFor } from '../engine.ts';
import { badValue, choice, flag, list, parsed, text } from '../option.ts';
import { toMap, withEnvironment } from '../option-values.ts';
import { isTerminal, openScreen, progressModes, type ProgressMode } from '../output/screen.ts';
import { readOutput } from './build-output.ts';

/** A Dockerfile larger than this is not quoted in errors. */
const longestQuotedFile = 4 * 1024 * 1024;

const options = {
  addHost: list('add-host', { help: 'Add a custom host-to-IP mapping ("host:ip")' }),
  buildArgs: list('build-arg', { help: 'Set build-time variables: "NAME=VALUE", or "NAME" to pass one on' }),
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
  tags: list('tag', { short: 't', help: 'Name and optionally a tag in the "name:tag" format' }),
  target: text('target', { help: 'Set the target build stage to build' }),
};

export const buildCommand = defineCommand({
  name: 'build',
  summary: 'Build an image from a Dockerfile',
  usage: '[OPTIONS] PATH',
  options,
  notBuilt: `
    allow annotation attest build-context builder cache-from cache-to call cgroup-parent check compress D=debug cpu-period
    cpu-quota c=cpu-shares cpuset-cpus cpuset-mems disable-content-trust isolation m=memory memory-swap metadata-file
    no-cache-filter policy provenance push sbom secret security-opt shm-size squash ssh ulimit`,
  arguments: [1, 1],
  async run(given, around, signal) {
    if (!given.options.remove) throw new JettisonError('cli/not-built', '"--rm=false" is not built yet');
    const request = requestOf(given.options, given.arguments[0] ?? '', around);
    const mode = progressMode(given.options, around);
    const outcome = await withExcerpt(request, around, async () => {
      await using engine = await engineFor(around);
      using screen = await openScreen(mode, around);
      const made = await build(engine, request, screen.report, signal);
      screen.finish({ imageId: made.imageId, names: made.tags });
      return made;
    });
    if (given.options.idFile !== undefined) writeAtomically(resolve(around.currentFolder, given.options.idFile), outcome.imageId);
    // Nothing else goes to stdout.
    if (mode === 'quiet') around.streams.stdout.write(`${outcome.imageId}\n`);
    return 0;
  },
});

type Options = Parameters<Parameters<typeof defineCommand<typeof options>>[0]['run']>[0]['options'];

function requestOf(given: Options, context: string, around: Surroundings): BuildRequest {
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
    outputs: given.outputs.map((output) => readOutput(output, around.currentFolder)),
    jobs: given.jobs,
  };
}

/** Contexts that are not folders are refused by name. */
function readContext(context: string, currentFolder: string): string {
  if (context === '')
    throw new JettisonError('cli/usage', 'The path of the build context is empty', { hint: 'Use "." for the current folder' });
  if (context === '-') throw new JettisonError('cli/not-built', 'A build context from standard input is not built yet');
  if (/^(?:https?|git|ssh|oci-layout|docker-image):\/\/|^git@|^github\.com\//u.test(context)) {
    throw new JettisonError('cli/not-built', `A build context from a URL ("${context}") is not built yet`, {
      hint: 'Fetch it, then build from the folder',
    });
  }
  return resolve(currentFolder, context);
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

function progressMode(given: Options, around: Surroundings): ProgressMode {
  if (given.quiet) return 'quiet';
  const asked = given.progress ?? progressModes.find((mode) => mode === around.environment['BUILDKIT_PROGRESS']) ?? 'auto';
  if (asked === 'tty' && !isTerminal(around.streams.stderr, around.environment)) {
    throw badValue('progress', 'tty', 'standard error is not a terminal');
  }
  return asked;
}

function writeAtomically(file: string, content: string): void {
  const draft = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(draft, content, { flag: 'wx' });
    renameSync(draft, file);
  } catch (error) {
    rmSync(draft, { force: true });
    throw new JettisonError('cli/cannot-write', `Cannot write the image ID to "${file}"`, { fault: 'environment', cause: error });
  }
}

/** Adds the Dockerfile's lines to an error that names places in it. */
async function withExcerpt<T>(request: BuildRequest, around: Surroundings, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof JettisonError) || error.at.length === 0 || error.notes.some((note) => note.includes('| >>> '))) throw error;
    const frame = excerpt(
      request.file === undefined ? join(request.context, 'Dockerfile') : resolve(around.currentFolder, request.file),
      error,
    );
    throw frame === '' ? error : error.with({ notes: [frame] });
  }
}

function excerpt(file: string, error: JettisonError): string {
  try {
    const source = readFileSync(file);
    return source.length > longestQuotedFile ? '' : codeFrame(source.toString('utf8'), error.at);
  } catch {
    return '';
  }
}
