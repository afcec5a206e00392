/**
 * Images by id and by name. An image here is its config, its layers' DiffIDs, and what is known of its manifests in registries; its files are
 * a worker's snapshots (found by ChainID) and, where they came from a registry or were pushed to one, blobs of the content store.
 */
import * as v from 'valibot';
import { digestOf, isDigest, parseDigest, type Digest } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { decodeImageConfig, type ImageConfig } from '#formats/oci/image-config.ts';
import type { ChainId } from '#formats/oci/layer-ids.ts';
import { nameOf, parseReference, printReference, withDefaultTag } from '#formats/oci/reference.ts';
import type { Database, Row } from '#stores/db/open.ts';
import { readSummaries, type ImageSummary } from './summaries.ts';

export type ImageRecord = {
  /** Digest of `config`: what `docker images` shows. */
  readonly imageId: Digest;
  /** The exact document. */
  readonly config: Uint8Array;
  /** Bottom first; `size`: bytes of the layer's files. */
  readonly layers: readonly ImageLayer[];
  /** Milliseconds since the epoch: when it was made here, else the config's `created`, else when it came here. */
  readonly created: number;
  /** When the lines of its history were made, where that was here. */
  readonly made?: readonly number[];
  /** Milliseconds since the epoch: when it came into this store. */
  readonly stored: number;
  /** Canonical names with tags: `docker.io/library/busybox:latest`. */
  readonly names: readonly string[];
};

/** When an image and the lines of its history were made on this machine, milliseconds since the epoch; 0 where nobody knows. Its config says what is the same on all machines. */
export type MadeHere = { readonly created: number; readonly history: readonly number[] };

export type ImageLayer = { readonly diffId: Digest; readonly size: number };

/** A manifest of an image as a registry has it. */
export type KnownManifest = {
  /** `docker.io/library/busybox`. */
  readonly repository: string;
  /** What the repository's tag named: the index where there was one. */
  readonly digest: Digest;
  readonly manifest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
};

/** One form in which a layer exists as a blob. */
export type LayerBlobForm = {
  readonly diffId: Digest;
  readonly digest: Digest;
  readonly size: number;
  readonly mediaType: string;
  /** Made from a snapshot of this store, so it can be made again. */
  readonly madeHere: boolean;
  /** What its descriptor says beside this. */
  readonly annotations?: Readonly<Record<string, string>>;
};

/** What the manifest of an image is to be like when it is made for an archive or a registry. */
export type ManifestForm = {
  readonly format: 'oci' | 'docker';
  readonly annotations: Readonly<Record<string, string>>;
};

export type ImageStore = {
  /** Enters an image (again: nothing changes but what is missing). Throws when `config` is no image config. */
  save(image: {
    readonly config: Uint8Array;
    readonly layers: readonly ImageLayer[];
    readonly now: number;
    readonly made?: MadeHere;
  }): ImageRecord;
  /** By name (`latest` when no tag), by `name@digest`, by id, by the beginning of an id. Throws `image/ambiguous`. */
  find(text: string): ImageRecord | undefined;
  get(imageId: Digest): ImageRecord | undefined;
  /** Newest first. */
  list(): readonly ImageRecord[];
  /** The same images, as far as a list of them goes. */
  summaries(): readonly ImageSummary[];
  /** Moves all names to the image at once. Names in canonical form. */
  tag(imageId: Digest, names: readonly string[]): void;
  untag(name: string): void;
  /** Takes names away from an image; without any left the image goes, too. Gives true when it went. Names that have moved to another image stay. */
  dropNames(imageId: Digest, names: readonly string[]): boolean;
  /** Forgets an image and its names. Its snapshots and blobs stay until nothing refers to them. */
  remove(imageId: Digest): void;
  /** The last one counts. */
  setForm(imageId: Digest, form: ManifestForm): void;
  /** OCI without annotations when nothing was set. */
  formOf(imageId: Digest): ManifestForm;
  /** The digest of the text that the image's record of origins was made of (`openImageOrigins`); undefined when it has none. */
  originsSource(imageId: Digest): string | undefined;
  /** The blob with the list of its files' origins; undefined where none was made. */
  originsList(imageId: Digest): Digest | undefined;
  noteManifest(imageId: Digest, manifest: KnownManifest): void;
  manifestsOf(imageId: Digest): readonly KnownManifest[];
  /** Forgets what a repository had of an image. */
  forgetManifests(imageId: Digest, repository: string): void;
  noteBlob(form: LayerBlobForm): void;
  /** Forms of a layer, the one noted first first. */
  blobsOf(diffId: Digest): readonly LayerBlobForm[];
  /** The blob is gone, in whichever form it was of which layer. */
  forgetBlob(digest: Digest): void;
  setSnapshot(chainId: ChainId, snapshot: string): void;
  /** The worker's snapshot with the files of a whole chain. */
  snapshotOf(chainId: ChainId): string | undefined;
  /** All that `snapshotOf` can give. */
  snapshots(): readonly string[];
  /** A snapshot that is gone. */
  forgetSnapshot(snapshot: string): void;
};

export const imageTables = `
CREATE TABLE images (image_id TEXT PRIMARY KEY, config BLOB NOT NULL, layers TEXT NOT NULL, created INTEGER NOT NULL, stored INTEGER NOT NULL);
CREATE TABLE image_names (name TEXT PRIMARY KEY, image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE);
CREATE INDEX image_names_by_image ON image_names (image_id);
CREATE TABLE image_manifests (
  image_id TEXT NOT NULL REFERENCES images ON DELETE CASCADE, repository TEXT NOT NULL, digest TEXT NOT NULL, manifest TEXT NOT NULL,
  media_type TEXT NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (image_id, repository, digest));
CREATE TABLE layer_blobs (diff_id TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, media_type TEXT NOT NULL, made_here INTEGER NOT NULL, PRIMARY KEY (diff_id, digest));
CREATE TABLE image_chains (chain_id TEXT PRIMARY KEY, snapshot TEXT NOT NULL) WITHOUT ROWID;
`;

/** Migration of the database, after `imageTables`. */
export const madeHereColumn = 'ALTER TABLE images ADD COLUMN made TEXT';

/** Migration of the database, after `imageTables`. */
export const blobAnnotationsColumn = 'ALTER TABLE layer_blobs ADD COLUMN annotations TEXT';

/** Migration of the database, after `imageTables`. */
export const manifestFormTables = `
CREATE TABLE manifest_forms (image_id TEXT PRIMARY KEY REFERENCES images ON DELETE CASCADE, form TEXT NOT NULL) WITHOUT ROWID;
`;

/** Migration of the database, after `imageTables`. `files`: the blob of the content store in which each file's origin is listed. */
export const originTables = `
CREATE TABLE image_origins (
  image_id TEXT PRIMARY KEY REFERENCES images ON DELETE CASCADE, source TEXT NOT NULL, record BLOB NOT NULL, files TEXT);
`;

const usualForm = { format: 'oci', annotations: {} } as const satisfies ManifestForm;
const storedForm = v.object({ format: v.picklist(['oci', 'docker']), annotations: v.record(v.string(), v.string()) });
const storedLayers = v.array(v.object({ diffId: v.string(), size: v.number() }));
const storedImage = v.object({
  image_id: v.string(),
  config: v.instance(Uint8Array),
  layers: v.string(),
  created: v.number(),
  stored: v.number(),
  made: v.nullable(v.string()),
});
const storedTimes = v.array(v.number());
const storedManifest = v.object({
  repository: v.string(),
  digest: v.string(),
  manifest: v.string(),
  media_type: v.string(),
  bytes: v.instance(Uint8Array),
});
const storedBlob = v.object({
  diff_id: v.string(),
  digest: v.string(),
  size: v.number(),
  media_type: v.string(),
  made_here: v.number(),
  annotations: v.nullable(v.string()),
});
const storedAnnotations = v.record(v.string(), v.string());

/** Over a database that has `imageTables`, `manifestFormTables`, `madeHereColumn`, `blobAnnotationsColumn` and `originTables`. */
export function openImageStore(database: Database): ImageStore {
  const statements = prepareStatements(database);

  const decode = (row: Row): ImageRecord => {
    const image = v.parse(storedImage, row);
    return {
      imageId: parseDigest(image.image_id),
      config: image.config,
      layers: v.parse(storedLayers, JSON.parse(image.layers)).map(({ diffId, size }) => ({ diffId: parseDigest(diffId), size })),
      created: image.created,
      ...(image.made === null ? {} : { made: v.parse(storedTimes, JSON.parse(image.made)) }),
      stored: image.stored,
      names: statements.namesOf.all(image.image_id).map((name) => String(name['name'])),
    };
  };
  const get = (imageId: Digest): ImageRecord | undefined => {
    const row = statements.image.get(imageId);
    return row === undefined ? undefined : decode(row);
  };

  const formText = (imageId: Digest): string | undefined => {
    const row = statements.form.get(imageId);
    return row === undefined ? undefined : String(row['form']);
  };

  return {
    get,
    save: ({ config, layers, now, made }) => {
      const imageId = digestOf(config);
      const decoded = decodeImageConfig(config, imageId);
      const created = made?.created || createdOf(decoded, now);
      statements.save.run(imageId, config, JSON.stringify(layers), created, now, made === undefined ? null : JSON.stringify(made.history));
      return get(imageId) ?? missing(imageId);
    },
    find: (text) => findByName(text, statements, get) ?? findById(text, statements, get),
    list: () => statements.all.all().map(decode),
    summaries: () => readSummaries(database),
    tag: (imageId, names) => {
      if (names.length > 0) database.transaction(() => names.forEach((name) => statements.tag.run(name, imageId)));
    },
    untag: (name) => {
      statements.untag.run(name);
    },
    dropNames: (imageId, names) =>
      database.transaction(() => {
        for (const name of names) statements.dropName.run(name, imageId);
        return statements.namesOf.all(imageId).length === 0 && statements.remove.run(imageId).changes > 0;
      }),
    remove: (imageId) => {
      statements.remove.run(imageId);
    },
    setForm: (imageId, form) => {
      const text = JSON.stringify({ format: form.format, annotations: form.annotations });
      // A build of what was built before writes nothing.
      if (text !== (formText(imageId) ?? JSON.stringify(usualForm))) statements.setForm.run(imageId, text);
    },
    formOf: (imageId) => {
      const text = formText(imageId);
      return text === undefined ? usualForm : v.parse(storedForm, JSON.parse(text));
    },
    originsSource: (imageId) => {
      const row = statements.originsSource.get(imageId);
      return row === undefined ? undefined : String(row['source']);
    },
    originsList: (imageId) => {
      const files = statements.originsList.get(imageId)?.['files'];
      return typeof files === 'string' ? parseDigest(files) : undefined;
    },
    noteManifest: (imageId, { repository, digest, manifest, mediaType, bytes }) => {
      statements.noteManifest.run(imageId, repository, digest, manifest, mediaType, bytes);
    },
    manifestsOf: (imageId) =>
      statements.manifestsOf.all(imageId).map((row) => {
        const { media_type: mediaType, ...known } = v.parse(storedManifest, row);
        return { ...known, mediaType, digest: parseDigest(known.digest), manifest: parseDigest(known.manifest) };
      }),
    forgetManifests: (imageId, repository) => {
      statements.forgetManifests.run(imageId, repository);
    },
    noteBlob: ({ diffId, digest, size, mediaType, madeHere, annotations }) => {
      const text = annotations === undefined ? null : JSON.stringify(annotations);
      statements.noteBlob.run(diffId, digest, size, mediaType, madeHere ? 1 : 0, text);
    },
    blobsOf: (diffId) =>
      statements.blobsOf.all(diffId).map((row) => {
        const blob = v.parse(storedBlob, row);
        return {
          diffId: parseDigest(blob.diff_id),
          digest: parseDigest(blob.digest),
          size: blob.size,
          mediaType: blob.media_type,
          madeHere: blob.made_here === 1,
          ...(blob.annotations === null ? {} : { annotations: v.parse(storedAnnotations, JSON.parse(blob.annotations)) }),
        };
      }),
    forgetBlob: (digest) => {
      statements.forgetBlob.run(digest);
    },
    setSnapshot: (chainId, snapshot) => {
      statements.setSnapshot.run(chainId, snapshot);
    },
    snapshotOf: (chainId) => {
      const row = statements.snapshotOf.get(chainId);
      return row === undefined ? undefined : String(row['snapshot']);
    },
    snapshots: () => statements.snapshots.all().map((row) => String(row['snapshot'])),
    forgetSnapshot: (snapshot) => {
      statements.forgetSnapshot.run(snapshot);
    },
  };
}

type Statements = ReturnType<typeof prepareStatements>;

function prepareStatements(database: Database) {
  return {
    image: database.prepare('SELECT * FROM images WHERE image_id = ?'),
    all: database.prepare('SELECT * FROM images ORDER BY created DESC, stored DESC'),
    byPrefix: database.prepare('SELECT image_id FROM images WHERE substr(image_id, 1, ?) = ? LIMIT 2'),
    byName: database.prepare('SELECT image_id FROM image_names WHERE name = ?'),
    byManifest: database.prepare('SELECT image_id FROM image_manifests WHERE repository = ? AND (digest = ? OR manifest = ?) LIMIT 1'),
    namesOf: database.prepare('SELECT name FROM image_names WHERE image_id = ? ORDER BY name'),
    save: database.prepare(
      'INSERT INTO images (image_id, config, layers, created, stored, made) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (image_id) DO UPDATE SET config = excluded.config, layers = excluded.layers, stored = excluded.stored',
    ),
    tag: database.prepare(
      'INSERT INTO image_names (name, image_id) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET image_id = excluded.image_id',
    ),
    untag: database.prepare('DELETE FROM image_names WHERE name = ?'),
    dropName: database.prepare('DELETE FROM image_names WHERE name = ? AND image_id = ?'),
    forgetManifests: database.prepare('DELETE FROM image_manifests WHERE image_id = ? AND repository = ?'),
    remove: database.prepare('DELETE FROM images WHERE image_id = ?'),
    noteManifest: database.prepare(
      'INSERT OR REPLACE INTO image_manifests (image_id, repository, digest, manifest, media_type, bytes) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    form: database.prepare('SELECT form FROM manifest_forms WHERE image_id = ?'),
    setForm: database.prepare('INSERT OR REPLACE INTO manifest_forms (image_id, form) VALUES (?, ?)'),
    originsSource: database.prepare('SELECT source FROM image_origins WHERE image_id = ?'),
    originsList: database.prepare('SELECT files FROM image_origins WHERE image_id = ?'),
    manifestsOf: database.prepare('SELECT * FROM image_manifests WHERE image_id = ? ORDER BY rowid'),
    noteBlob: database.prepare(
      'INSERT OR REPLACE INTO layer_blobs (diff_id, digest, size, media_type, made_here, annotations) VALUES (?, ?, ?, ?, ?, ?)',
    ),
    blobsOf: database.prepare('SELECT * FROM layer_blobs WHERE diff_id = ? ORDER BY rowid'),
    forgetBlob: database.prepare('DELETE FROM layer_blobs WHERE digest = ?'),
    setSnapshot: database.prepare(
      'INSERT INTO image_chains (chain_id, snapshot) VALUES (?, ?) ON CONFLICT (chain_id) DO UPDATE SET snapshot = excluded.snapshot',
    ),
    snapshots: database.prepare('SELECT DISTINCT snapshot FROM image_chains'),
    forgetSnapshot: database.prepare('DELETE FROM image_chains WHERE snapshot = ?'),
    snapshotOf: database.prepare('SELECT snapshot FROM image_chains WHERE chain_id = ?'),
  };
}

function findByName(text: string, statements: Statements, get: (id: Digest) => ImageRecord | undefined): ImageRecord | undefined {
  if (isDigest(text)) return get(text);
  const reference = parseNameOrNothing(text);
  if (reference === undefined) return undefined;
  const row =
    reference.digest === undefined
      ? statements.byName.get(printReference(withDefaultTag(reference)))
      : statements.byManifest.get(nameOf(reference), reference.digest, reference.digest);
  return row === undefined ? undefined : get(parseDigest(String(row['image_id'])));
}

function findById(text: string, statements: Statements, get: (id: Digest) => ImageRecord | undefined): ImageRecord | undefined {
  const prefix = text.startsWith('sha256:') ? text : `sha256:${text}`;
  if (!/^sha256:[0-9a-f]{1,64}$/u.test(prefix)) return undefined;
  const rows = statements.byPrefix.all(prefix.length, prefix);
  if (rows.length > 1)
    throw new JettisonError('image/ambiguous', `Several images have ids that begin with "${text}"`, { hint: 'Give more of the id' });
  return rows[0] === undefined ? undefined : get(parseDigest(String(rows[0]['image_id'])));
}

/** Ids are looked up too, so what cannot be a name is no error here. */
function parseNameOrNothing(text: string): ReturnType<typeof parseReference> | undefined {
  try {
    return parseReference(text);
  } catch (error) {
    if (error instanceof JettisonError) return undefined;
    throw error;
  }
}

function createdOf(config: ImageConfig, now: number): number {
  const time = config.created === undefined ? Number.NaN : Date.parse(config.created);
  return Number.isNaN(time) ? now : time;
}

function missing(imageId: Digest): never {
  throw new JettisonError('image/not-saved', `Image ${imageId} is gone right after it was saved`, { fault: 'environment' });
}

/** Is the config what it was? */
export function isWhole({ config, imageId }: Pick<ImageRecord, 'config' | 'imageId'>): boolean {
  return digestOf(config) === imageId;
}

/** To be called before a config is taken for what it was, or sent anywhere. Throws `image/damaged`. */
export function checkConfig(record: Pick<ImageRecord, 'config' | 'imageId'>): void {
  if (isWhole(record)) return;
  const { imageId } = record;
  throw new JettisonError('image/damaged', `The config that is kept of image ${imageId} was damaged`, {
    fault: 'environment',
    hint: 'Build, pull or load the image again',
  });
}

/** `image/not-found`: nothing in the store is called `text`. */
export function noSuchImage(text: string, hint: string): JettisonError {
  return new JettisonError('image/not-found', `No such image: ${text}`, { hint });
}
