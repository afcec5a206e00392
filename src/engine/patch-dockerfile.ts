/** `jettison check --fix`: the lines that an image lacks, as a patch of its Dockerfile. */
import { readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { patchStage } from '#languages/dockerfile/add-lines.ts';
import type { Engine } from './open.ts';
import type { PayloadCheck } from './payload-requests.ts';

/** `file`: as typed. Gives '' where there is nothing to add. Throws `engine/cannot-fix`, and the first fault of the Dockerfile. */
export function patchDockerfile({ currentFolder }: Pick<Engine, 'currentFolder'>, { lines, stage }: PayloadCheck, file: string): string {
  if (lines.length === 0) return '';
  const patch = stage === undefined ? undefined : patchStage(readText(resolve(currentFolder, file)), { file, stage, lines });
  if (patch !== undefined) return patch;
  throw new JettisonError('engine/cannot-fix', `"${basename(file)}" has no stage "${stage ?? ''}" that the image was built from`, {
    hint: 'Name the Dockerfile that it was built from: "--file"',
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new JettisonError('engine/cannot-fix', `Cannot read "${path}": ${messageOf(error)}`, {
      hint: 'Name the Dockerfile that the image was built from: "--file"',
    });
  }
}
