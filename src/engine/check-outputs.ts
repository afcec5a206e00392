/** What can be said against outputs before anything is built. */
import { JettisonError } from '#ground/base/errors.ts';
import { annotationsFor } from './annotations.ts';
import type { BuildRequest, OutputRequest } from './build-requests.ts';
import { checkDestinations } from './check-destinations.ts';
import { platformsOf } from './platform.ts';

/** `tags`: names of the build. Throws `engine/attested-archive`, `engine/attested-docker-form`, `engine/no-name` for a push without a name, `engine/index-annotation`, `engine/unsplit-platforms`, `engine/bad-destination`, `engine/not-a-folder`, `oci/...`. */
export function checkOutputs(request: BuildRequest, tags: readonly string[]): void {
  const platforms = platformsOf(request);
  checkDestinations(request.outputs);
  if (request.outputs.length === 0) checkForm(request, request.format);
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
    checkStatements(request, output);
    checkForm(request, output.form.mediaTypes ?? (output.kind === 'docker' ? 'oci' : request.format));
    for (const platform of platforms) annotationsFor(request, platform, output.form.annotations);
    const lost = output.form.annotations.find(({ place }) => place === 'index' || place === 'index-descriptor');
    if (lost !== undefined && platforms.length === 1 && request.attestations === undefined) {
      throw new JettisonError(
        'engine/index-annotation',
        `index annotations are not supported for an image of a single platform: it has no index for "${lost.key}"`,
        { hint: 'Annotate the manifest: "annotation-manifest.KEY=VALUE"' },
      );
    }
    if (output.kind !== 'image' || !output.isPushed || (output.names ?? tags).length > 0) continue;
    const { target = '' } = request;
    throw new JettisonError('engine/no-name', 'A tag is needed when pushing to a registry', {
      hint:
        request.targets === undefined
          ? 'Name the image with "-t NAME" or "name=NAME"'
          : `Name the image of "${target}": "-t ${target}=NAME"`,
    });
  }
}

/** Docker's archive has no index that they could stand in; provenance that is only for what has a place for it is left out there. */
function checkStatements({ attestations }: BuildRequest, { kind }: OutputRequest): void {
  if (kind !== 'docker' || attestations === undefined) return;
  if (!attestations.sbom && attestations.provenance?.isInlineOnly !== false) return;
  throw new JettisonError('engine/attested-archive', "An archive of docker's has no place for attestations", {
    hint: 'Write "-o type=oci,dest=FILE", or leave the attestations out',
  });
}

/** A list of Docker's form names manifests of its form, and attestations have none. */
function checkForm({ attestations }: BuildRequest, form: 'oci' | 'docker'): void {
  if (form !== 'docker' || attestations === undefined) return;
  throw new JettisonError('engine/attested-docker-form', "Attestations have no place beside a manifest in Docker's form", {
    hint: 'Leave "--format docker" or "oci-mediatypes=false" out, or the attestations',
  });
}
