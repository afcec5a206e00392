/** What can be said against outputs before anything is built. */
import { JettisonError } from '#ground/base/errors.ts';
import { annotationsFor } from './annotations.ts';
import type { BuildRequest } from './build-requests.ts';
import { platformsOf } from './platform.ts';

/** `tags`: names of the build. Throws `engine/no-name` for a push without a name, `engine/index-annotation`, `engine/unsplit-platforms`, `oci/...`. */
export function checkOutputs(request: BuildRequest, tags: readonly string[]): void {
  const platforms = platformsOf(request);
  for (const output of request.outputs) {
    if ('isSplit' in output && output.isSplit === false && platforms.length > 1) {
      throw new JettisonError(
        'engine/unsplit-platforms',
        'Files of several platforms cannot share a folder: "platform-split=false" is for one',
        {
          hint: 'Leave "platform-split" out, or build for one platform at a time',
        },
      );
    }
    if (!('form' in output)) continue;
    for (const platform of platforms) annotationsFor(request, platform, output.form.annotations);
    const lost = output.form.annotations.find(({ place }) => place === 'index' || place === 'index-descriptor');
    if (lost !== undefined && platforms.length === 1) {
      throw new JettisonError(
        'engine/index-annotation',
        `index annotations are not supported for an image of a single platform: it has no index for "${lost.key}"`,
        { hint: 'Annotate the manifest: "annotation-manifest.KEY=VALUE"' },
      );
    }
    if (output.kind !== 'image' || !output.isPushed || (output.names ?? tags).length > 0) continue;
    throw new JettisonError('engine/no-name', 'A tag is needed when pushing to a registry', {
      hint: 'Name the image with "-t NAME" or "name=NAME"',
    });
  }
}
