/** Manifests that say something about another one: OCI image spec 1.1, manifest.md, `subject` and `artifactType`. */
import * as v from 'valibot';
import { checkShape } from '#ground/base/decode.ts';
import { descriptorSchema, type Descriptor } from './descriptor.ts';
import { manifestLimit, type ImageDocument } from './manifest.ts';

export type Referrer = {
  /** The manifest that is spoken of. */
  readonly subject: Descriptor | undefined;
  /** Its own, else the type of the config of a manifest. */
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
};

const moreMembers = v.looseObject({ subject: v.exactOptional(descriptorSchema), artifactType: v.exactOptional(v.string()) });

/** `name` is for messages. Throws `oci/bad-manifest`. */
export function decodeReferrer(document: ImageDocument, name: string): Referrer {
  const body = document.kind === 'index' ? document.index : document.manifest;
  const { subject, artifactType } = checkShape(body, moreMembers, {
    what: `the manifest of "${name}"`,
    code: 'oci/bad-manifest',
    limit: manifestLimit,
  });
  const implied = document.kind === 'manifest' ? document.manifest.config.mediaType : undefined;
  return { subject, artifactType: artifactType ?? implied, annotations: body.annotations ?? {} };
}
