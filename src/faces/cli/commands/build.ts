import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from '#engine/build.ts';
import type { BuildRequest } from '#engine/requests.ts';
import { JettisonError, systemCode } from '#ground/base/errors.ts';
import { codeFrame } from '#ground/base/span.ts';
import { defineCommand, type Surroundings } from '../command.ts';
import { engineFor } from '../engine.ts';
import { badValue } from '../option.ts';
import { isTerminal, openScreen, progressModes, type ProgressMode } from '../output/screen.ts';
import { buildOptions, notBuiltOptions, requestOf, type BuildOptions } from './build-request.ts';

/** A Dockerfile larger than this is not quoted in errors. */
const longestQuotedFile = 4 * 1024 * 1024;

export const buildCommand = defineCommand({
  name: 'build',
  summary: 'Build an image from a Dockerfile',
  usage: '[OPTIONS] PATH',
  options: buildOptions,
  notBuilt: notBuiltOptions,
  arguments: [1, 1],
  async run(given, around, signal) {
    if (!given.options.remove) throw new JettisonError('cli/not-built', '"--rm=false" is not built yet');
    const request = requestOf(given.options, given.arguments[0] ?? '', around);
    const call = given.options.check ? { ...given.options.call, kind: 'check' as const } : given.options.call;
    if (call.kind !== 'build') {
      const { callBuild } = await import('./build-call.ts');
      return await callBuild(request, call, around, signal);
    }
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

function progressMode(given: BuildOptions, around: Surroundings): ProgressMode {
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
    throw error.with({ notes: [frame] });
  }
}

/** The lines; of a file that is too large or gone by now just the place. */
function excerpt(file: string, error: JettisonError): string {
  const [place] = error.at;
  const words = place === undefined ? '' : `${place.file}:${place.start.line}`;
  try {
    const source = readFileSync(file);
    return source.length > longestQuotedFile ? words : codeFrame(source.toString('utf8'), error.at);
  } catch (error_) {
    if (systemCode(error_) === undefined) throw error_;
    return words;
  }
}
