/**
 * Names that stand for several images at once, one for each platform (OCI image spec, image-index.md), or for an image with attestations beside it.
 * The name itself leads to one of the images, as every name does (`store.ts`); this room's other record says what else belongs to it. A name that moves
 * to another image loses its index, an index without names goes, and one of whose images is removed goes, too: the database sees to that.
 */
import * as v from 'valibot';
import { canonicalJson } from '#ground/base/canonical-json.ts';
import { digestOf, isDigest, parseDigest, type Digest } from '#ground/base/digest.ts';
import { stringMap } from '#ground/base/decode.ts';
import { descriptorSchema, type Descriptor } from '#formats/oci/descriptor.ts';
import { parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { Platform } from '#formats/oci/platform.ts';
import type { Database } from '#stores/db/open.ts';

/** An image of the store. `descriptor`: as the index of another maker names it; null for one that was built here, whose manifest is made when it is wanted. */
export type IndexedImage = {
  readonly kind: 'image';
  readonly imageId: Digest;
  readonly platform: Platform;
  /** Of its descriptor in the index. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly descriptor: Descriptor | null;
};

/** A manifest of in-toto statements about an image. All of its documents are blobs of the content store. */
export type IndexedAttestation =
  | { readonly kind: 'attestation'; readonly descriptor: Descriptor; readonly blobs: readonly Descriptor[] }
  /** Statements and their manifest are made when the manifest of the image is, whose digest they name. `subjects`: what they call it. */
  | {
      readonly kind: 'predicates';
      readonly imageId: Digest;
      readonly subjects: readonly string[];
      readonly predicates: readonly Predicate[];
    };

/** What a statement says (in-toto attestation framework), JSON in a blob. */
export type Predicate = { readonly predicateType: string; readonly digest: Digest; readonly size: number };

export type IndexMember = IndexedImage | IndexedAttestation;

export type IndexRecord = {
  /** Digest of `document` where there is one, else of the members. */
  readonly indexId: Digest;
  /** Images first, in the order in which they were asked for. */
  readonly members: readonly IndexMember[];
  readonly format: 'oci' | 'docker';
  readonly annotations: Readonly<Record<string, string>>;
  /** As it came from elsewhere, byte for byte. */
  readonly document: { readonly mediaType: string; readonly bytes: Uint8Array } | undefined;
  /** Canonical, with tags. */
  readonly names: readonly string[];
};

export type NewIndex = Omit<IndexRecord, 'indexId' | 'names'>;

export type IndexStore = {
  /** Enters an index under names that lead to one of its images already. */
  save(index: NewIndex, names: readonly string[]): IndexRecord;
  /** By a name (`latest` when no tag), or by the digest or id of an index. */
  find(text: string): IndexRecord | undefined;
  get(indexId: Digest): IndexRecord | undefined;
  list(): readonly IndexRecord[];
  /** The indexes that an image is part of. */
  holding(imageId: Digest): readonly IndexRecord[];
  /** Images that are part of an index, whether they have names of their own or not. */
  members(): ReadonlySet<Digest>;
};

export const indexTables = `
CREATE TABLE image_indexes (index_id TEXT PRIMARY KEY, record TEXT NOT NULL, media_type TEXT, document BLOB);
CREATE TABLE index_members (
  index_id TEXT NOT NULL REFERENCES image_indexes ON DELETE CASCADE, image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE, PRIMARY KEY (index_id, image_id)) WITHOUT ROWID;
CREATE INDEX index_members_by_image ON index_members (image_id);
CREATE TABLE index_names (name TEXT PRIMARY KEY REFERENCES image_names ON DELETE CASCADE, index_id TEXT NOT NULL REFERENCES image_indexes ON DELETE CASCADE) WITHOUT ROWID;
CREATE INDEX index_names_by_index ON index_names (index_id);
CREATE TRIGGER name_left_index AFTER UPDATE OF image_id ON image_names BEGIN DELETE FROM index_names WHERE name = NEW.name; END;
CREATE TRIGGER index_lost_name AFTER DELETE ON index_names BEGIN
  DELETE FROM image_indexes WHERE index_id = OLD.index_id AND NOT EXISTS (SELECT 1 FROM index_names WHERE index_id = OLD.index_id); END;
CREATE TRIGGER index_lost_member AFTER DELETE ON index_members BEGIN DELETE FROM image_indexes WHERE index_id = OLD.index_id; END;
`;

const digest = v.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'Invalid digest');
const platform = v.looseObject({ os: v.string(), architecture: v.string(), variant: v.exactOptional(v.string()) });
const storedMember = v.variant('kind', [
  v.object({
    kind: v.literal('image'),
    imageId: digest,
    platform,
    annotations: stringMap(),
    descriptor: v.nullable(descriptorSchema),
  }),
  v.object({ kind: v.literal('attestation'), descriptor: descriptorSchema, blobs: v.array(descriptorSchema) }),
  v.object({
    kind: v.literal('predicates'),
    imageId: digest,
    subjects: v.array(v.string()),
    predicates: v.array(v.object({ predicateType: v.string(), digest, size: v.number() })),
  }),
]);
const storedRecord = v.object({ members: v.array(storedMember), format: v.picklist(['oci', 'docker']), annotations: stringMap() });
const storedRow = v.object({
  index_id: v.string(),
  record: v.string(),
  media_type: v.nullable(v.string()),
  document: v.nullable(v.instance(Uint8Array)),
});

/** Over a database that has `imageTables` and `indexTables`. */
export function openIndexStore(database: Database): IndexStore {
  const statements = {
    get: database.prepare('SELECT * FROM image_indexes WHERE index_id = ?'),
    all: database.prepare('SELECT * FROM image_indexes ORDER BY rowid'),
    byName: database.prepare('SELECT index_id FROM index_names WHERE name = ?'),
    namesOf: database.prepare('SELECT name FROM index_names WHERE index_id = ? ORDER BY name'),
    holding: database.prepare('SELECT index_id FROM index_members WHERE image_id = ? ORDER BY index_id'),
    members: database.prepare('SELECT DISTINCT image_id FROM index_members'),
    save: database.prepare('INSERT OR IGNORE INTO image_indexes (index_id, record, media_type, document) VALUES (?, ?, ?, ?)'),
    addMember: database.prepare('INSERT OR IGNORE INTO index_members (index_id, image_id) VALUES (?, ?)'),
    name: database.prepare(
      'INSERT INTO index_names (name, index_id) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET index_id = excluded.index_id',
    ),
  };
  const get = (indexId: Digest): IndexRecord | undefined => {
    const row = statements.get.get(indexId);
    if (row === undefined) return undefined;
    const { record, media_type: mediaType, document } = v.parse(storedRow, row);
    return {
      indexId,
      ...v.parse(storedRecord, JSON.parse(record)),
      document: mediaType === null || document === null ? undefined : { mediaType, bytes: document },
      names: statements.namesOf.all(indexId).map((name) => String(name['name'])),
    };
  };
  const named = (row: Readonly<Record<string, unknown>> | undefined): IndexRecord | undefined =>
    row === undefined ? undefined : get(parseDigest(String(row['index_id'])));

  return {
    get,
    save: ({ members, format, annotations, document }, names) =>
      database.transaction(() => {
        const record = JSON.stringify({ members, format, annotations });
        const indexId = digestOf(document?.bytes ?? canonicalJson(JSON.parse(record)));
        statements.save.run(indexId, record, document?.mediaType ?? null, document?.bytes ?? null);
        for (const member of members) if (member.kind === 'image') statements.addMember.run(indexId, member.imageId);
        for (const name of names) statements.name.run(name, indexId);
        return get(indexId) ?? { indexId, members, format, annotations, document, names };
      }),
    find: (text) => {
      if (isDigest(text)) return get(text);
      const name = canonicalName(text);
      return name === undefined ? undefined : named(statements.byName.get(name));
    },
    list: () => statements.all.all().flatMap((row) => named(row) ?? []),
    holding: (imageId) => statements.holding.all(imageId).flatMap((row) => named(row) ?? []),
    members: () => new Set(statements.members.all().map((row) => parseDigest(String(row['image_id'])))),
  };
}

/** undefined for what is no name with a tag. */
function canonicalName(text: string): string | undefined {
  try {
    const reference = withDefaultTag(parseReference(text));
    return reference.digest === undefined ? printReference(reference) : undefined;
  } catch {
    return undefined;
  }
}

/** The images of an index. */
export function imagesOf(index: Pick<IndexRecord, 'members'>): readonly IndexedImage[] {
  return index.members.filter((member) => member.kind === 'image');
}

/** Digests of the documents that an index holds beside those of its images. */
export function documentsOf(index: IndexRecord): readonly Digest[] {
  return [
    index.indexId,
    ...index.members.flatMap((member) => {
      if (member.kind === 'image') return member.descriptor === null ? [] : [member.descriptor.digest];
      if (member.kind === 'predicates') return member.predicates.map((predicate) => predicate.digest);
      return [member.descriptor.digest, ...member.blobs.map((blob) => blob.digest)];
    }),
  ];
}
