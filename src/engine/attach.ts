/** Puts statements beside an image of the store: they are written wherever its name is pushed or saved from then on, as BuildKit writes attestations. */
import { decodeImageConfig } from '#formats/oci/image-config.ts';
import { normalPlatform } from '#formats/oci/platform.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import { parseJson } from '#ground/base/decode.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { IndexMember, IndexRecord, NewIndex, Predicate } from '#stores/image/indexes.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import { findForPlatform, findImage } from './images.ts';
import type { Engine } from './open.ts';

/** Most bytes of a predicate. */
export const predicateLimit = 128 * 1024 * 1024;

export type AttachRequest = {
  /** A name in the store; `platform`: which image of several the statements are about. */
  readonly name: string;
  readonly platform?: string;
  /** What the statements call it: package URLs. */
  readonly subjects: readonly string[];
  /** `bytes`: the predicate as JSON. One of a type that is there already takes its place. */
  readonly predicates: readonly { readonly predicateType: string; readonly bytes: Uint8Array }[];
};

/** Throws `image/not-found`, `oci/no-such-platform`, `engine/bad-statement` for what is not JSON or too long. */
export async function attach(engine: Engine, request: AttachRequest, signal: AbortSignal): Promise<IndexRecord> {
  const { name, platform, subjects } = request;
  engine.hold();
  const predicates: Predicate[] = [];
  for (const { predicateType, bytes } of request.predicates) {
    parseJson(bytes, { what: `the predicate "${predicateType}"`, code: 'engine/bad-statement', limit: predicateLimit });
    predicates.push({ predicateType, ...(await engine.content.put(bytes, signal)) });
  }
  return engine.database.transaction(() => {
    const image = platform === undefined ? findImage(engine, name) : findForPlatform(engine, name, platform);
    const index = engine.indexes.find(name) ?? indexOfOne(engine, image);
    const isOld = (member: IndexMember): boolean => member.kind === 'predicates' && member.imageId === image.imageId;
    const before = index.members.flatMap((member) => (member.kind === 'predicates' && isOld(member) ? member.predicates : []));
    const types = new Set(predicates.map(({ predicateType }) => predicateType));
    const all = [...before.filter(({ predicateType }) => !types.has(predicateType)), ...predicates];
    const kept = index.members.filter((member) => !isOld(member));
    const members: readonly IndexMember[] = [...kept, { kind: 'predicates', imageId: image.imageId, subjects, predicates: all }];
    // What it came with no longer says all that it holds.
    return engine.indexes.save({ ...index, members, document: undefined }, namesOf(index, name, image));
  });
}

/** An image of which nothing is said yet has no index. */
function indexOfOne(engine: Engine, image: ImageRecord): NewIndex {
  const { os, architecture, variant } = normalPlatform(decodeImageConfig(image.config, image.imageId));
  const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
  const { format } = engine.images.formOf(image.imageId);
  const member = { kind: 'image', imageId: image.imageId, platform, annotations: {}, descriptor: null } as const;
  return { members: [member], format, annotations: {}, document: undefined };
}

/** All names of an index, else the one that was given. */
function namesOf(index: NewIndex | IndexRecord, name: string, image: ImageRecord): readonly string[] {
  const own = 'names' in index ? index.names : [];
  const given = printReference(withDefaultTag(parseReference(name)));
  if (own.length > 0) return own;
  if (image.names.includes(given)) return [given];
  throw new JettisonError('engine/bad-statement', `"${name}" is no name of an image here that statements could stand under`, {
    hint: 'Give the image a name first: jettison tag',
  });
}
