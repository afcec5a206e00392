/** Options of commands that ask about a build and do none: those of `build` that say what is built. What becomes of the image afterwards does not matter there. */
import type { ValuesOf } from '../option.ts';
import { buildOptions, type BuildOptions } from './build-request.ts';

const {
  call: _call,
  check: _check,
  cacheMax: _cacheMax,
  format: _format,
  idFile: _idFile,
  metadataFile: _metadataFile,
  outputs: _outputs,
  progress: _progress,
  quiet: _quiet,
  ...questionOptions
} = buildOptions;

export { questionOptions };

export function asBuild(given: ValuesOf<typeof questionOptions>): BuildOptions {
  return {
    ...given,
    call: buildOptions.call.initial,
    check: undefined,
    cacheMax: undefined,
    format: buildOptions.format.initial,
    idFile: undefined,
    metadataFile: undefined,
    outputs: [],
    progress: undefined,
    quiet: false,
  };
}
