/** The Dockerfile of a build, with another command in one of its steps. */
import { digestOf } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { replaceRun } from '#languages/dockerfile/replace-run.ts';
import type { BuildRequest } from './build-requests.ts';
import type { BuildSource } from './build-source.ts';

/** Throws `engine/no-such-run`, `engine/cannot-resume`. */
export function editSource(source: BuildSource, { line, command, source: digest }: NonNullable<BuildRequest['edit']>): BuildSource {
  checkSameSource(source.text, digest);
  const replaced = replaceRun(source.text, line, command);
  if (replaced !== undefined) return { ...source, text: replaced.text };
  throw new JettisonError('engine/no-such-run', `No RUN begins at ${source.name}:${line}`, {
    hint: 'A step of ONBUILD cannot be edited: it stands in another Dockerfile',
  });
}

/** Throws `engine/cannot-resume` where the Dockerfile is not the one that failed: another instruction may stand on the line by now. */
function checkSameSource(text: string, digest: string): void {
  if (digestOf(text) === digest) return;
  throw new JettisonError('engine/cannot-resume', 'The Dockerfile was changed since the step failed', {
    hint: 'Put the command there and build, or leave "--run" out',
  });
}
