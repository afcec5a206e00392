/** What is said beside an image of the store: its provenance, its packages, and what else was put there. */
import { attestedBy } from '#formats/oci/image-index.ts';
import { mediaTypes } from '#formats/oci/media-types.ts';
import { printPlatform } from '#formats/oci/platform.ts';
import type { Json } from '#ground/base/canonical-json.ts';
import { imagesOf, type IndexRecord } from '#stores/image/indexes.ts';
import { predicateLimit } from './attach.ts';
import { findImage } from './images.ts';
import type { Engine } from './open.ts';
import { jsonOf, statementIn } from './remote-documents.ts';

/** `platform`: of the image that it is about; undefined where the index does not say which that is. */
export type ImageStatement = { readonly platform: string | undefined; readonly predicateType: string; readonly predicate: Json };

/** None where nothing is said. Throws `image/not-found`, `content/...` for a document that is damaged, `engine/bad-statement`. */
export function statementsOf(engine: Engine, name: string): readonly ImageStatement[] {
  const index = engine.indexes.find(name);
  if (index !== undefined) return index.members.flatMap((member) => statementsIn(engine, index, member));
  findImage(engine, name);
  return [];
}

/** The member of an index of the store, or none of an image. */
function statementsIn(engine: Engine, index: IndexRecord, member: IndexRecord['members'][number]): readonly ImageStatement[] {
  const platformOf = (isMeant: (image: ReturnType<typeof imagesOf>[number]) => boolean): string | undefined => {
    const image = imagesOf(index).find(isMeant);
    return image === undefined ? undefined : printPlatform(image.platform);
  };
  if (member.kind === 'image') return [];
  if (member.kind === 'predicates') {
    const platform = platformOf(({ imageId }) => imageId === member.imageId);
    return member.predicates.map(({ predicateType, digest }) => ({
      platform,
      predicateType,
      predicate: jsonOf(engine.content.read(digest, predicateLimit)),
    }));
  }
  const about = attestedBy(member.descriptor);
  const platform = platformOf(({ descriptor }) => descriptor !== null && descriptor.digest === about);
  return member.blobs
    .filter(({ mediaType }) => mediaType === mediaTypes.statement)
    .map((blob) => ({ platform, ...statementIn(engine.content.read(blob.digest, predicateLimit), blob) }));
}
