/** What each repository holds: a row for each blob and manifest that was pushed to it, and its tags. The bytes are in the content store; a row alone serves nothing. */
import * as v from 'valibot';
import { stringMap } from '#ground/base/decode.ts';
import { parseDigest, type Digest } from '#ground/base/digest.ts';
import type { Database, Row } from '#stores/db/open.ts';

export type HeldManifest = {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Bytes. */
  readonly size: number;
  /** The manifest that it says something about. */
  readonly subject: Digest | undefined;
  readonly artifactType: string | undefined;
  readonly annotations: Readonly<Record<string, string>>;
};

/** One page of a list: what comes after `last`, at most `count`. */
export type Page = { readonly last: string; readonly count: number };

export type Repositories = {
  /** Names of repositories in which anything is. */
  names(page: Page): readonly string[];
  has(repository: string): boolean;
  hasBlob(repository: string, digest: Digest): boolean;
  addBlob(repository: string, digest: Digest): void;
  /** Gives whether it was there. */
  removeBlob(repository: string, digest: Digest): boolean;
  manifest(repository: string, digest: Digest): HeldManifest | undefined;
  /** Enters a manifest, and lets `tag` lead to it, at once. */
  addManifest(repository: string, manifest: HeldManifest, tag: string | undefined): void;
  /** With all tags that lead to it. Gives whether it was there. */
  removeManifest(repository: string, digest: Digest): boolean;
  tagged(repository: string, tag: string): Digest | undefined;
  removeTag(repository: string, tag: string): boolean;
  tags(repository: string, page: Page): readonly string[];
  /** Manifests whose subject is `subject`, by digest. */
  referrers(repository: string, subject: Digest, page: Page): readonly HeldManifest[];
  /** Does any repository have these bytes, as a blob or a manifest? */
  isHeld(digest: Digest): boolean;
};

export const repositoryTables = `
CREATE TABLE blobs (repository TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
CREATE INDEX blobs_by_digest ON blobs (digest);
CREATE TABLE manifests (
  repository TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL, size INTEGER NOT NULL, subject TEXT, artifact_type TEXT,
  annotations TEXT NOT NULL, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
CREATE INDEX manifests_by_digest ON manifests (digest);
CREATE INDEX manifests_by_subject ON manifests (repository, subject, digest) WHERE subject IS NOT NULL;
CREATE TABLE tags (repository TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (repository, tag)) WITHOUT ROWID`;

export function openRepositories(database: Database): Repositories {
  const all = {
    names: database.prepare(
      'SELECT repository FROM blobs WHERE repository > ?1 UNION SELECT repository FROM manifests WHERE repository > ?1 ORDER BY 1 LIMIT ?2',
    ),
    repository: database.prepare(
      'SELECT 1 FROM (SELECT repository FROM blobs UNION ALL SELECT repository FROM manifests) WHERE repository = ? LIMIT 1',
    ),
    blob: database.prepare('SELECT 1 FROM blobs WHERE repository = ? AND digest = ?'),
    addBlob: database.prepare('INSERT OR IGNORE INTO blobs (repository, digest) VALUES (?, ?)'),
    removeBlob: database.prepare('DELETE FROM blobs WHERE repository = ? AND digest = ?'),
    manifest: database.prepare('SELECT * FROM manifests WHERE repository = ? AND digest = ?'),
    addManifest: database.prepare('INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?)'),
    removeManifest: database.prepare('DELETE FROM manifests WHERE repository = ? AND digest = ?'),
    tag: database.prepare('SELECT digest FROM tags WHERE repository = ? AND tag = ?'),
    addTag: database.prepare('INSERT OR REPLACE INTO tags (repository, tag, digest) VALUES (?, ?, ?)'),
    removeTag: database.prepare('DELETE FROM tags WHERE repository = ? AND tag = ?'),
    removeTags: database.prepare('DELETE FROM tags WHERE repository = ? AND digest = ?'),
    tags: database.prepare('SELECT tag FROM tags WHERE repository = ? AND tag > ? ORDER BY tag LIMIT ?'),
    referrers: database.prepare('SELECT * FROM manifests WHERE repository = ? AND subject = ? AND digest > ? ORDER BY digest LIMIT ?'),
    held: database.prepare('SELECT 1 FROM blobs WHERE digest = ?1 UNION ALL SELECT 1 FROM manifests WHERE digest = ?1 LIMIT 1'),
  };
  return {
    names: ({ last, count }) => all.names.all(last, count).map((row) => v.parse(v.string(), row['repository'])),
    has: (repository) => all.repository.get(repository) !== undefined,
    hasBlob: (repository, digest) => all.blob.get(repository, digest) !== undefined,
    addBlob: (repository, digest) => void all.addBlob.run(repository, digest),
    removeBlob: (repository, digest) => all.removeBlob.run(repository, digest).changes > 0,
    manifest(repository, digest) {
      const row = all.manifest.get(repository, digest);
      return row === undefined ? undefined : decode(row);
    },
    addManifest: (repository, { digest, mediaType, size, subject, artifactType, annotations }, tag) =>
      database.transaction(() => {
        all.addManifest.run(repository, digest, mediaType, size, subject ?? null, artifactType ?? null, JSON.stringify(annotations));
        if (tag !== undefined) all.addTag.run(repository, tag, digest);
      }),
    removeManifest: (repository, digest) =>
      database.transaction(() => {
        all.removeTags.run(repository, digest);
        return all.removeManifest.run(repository, digest).changes > 0;
      }),
    tagged(repository, tag) {
      const row = all.tag.get(repository, tag);
      return row === undefined ? undefined : parseDigest(v.parse(v.string(), row['digest']));
    },
    removeTag: (repository, tag) => all.removeTag.run(repository, tag).changes > 0,
    tags: (repository, { last, count }) => all.tags.all(repository, last, count).map((row) => v.parse(v.string(), row['tag'])),
    referrers: (repository, subject, { last, count }) => all.referrers.all(repository, subject, last, count).map(decode),
    isHeld: (digest) => all.held.get(digest) !== undefined,
  };
}

const stored = v.object({
  digest: v.string(),
  media_type: v.string(),
  size: v.number(),
  subject: v.nullable(v.string()),
  artifact_type: v.nullable(v.string()),
  annotations: v.pipe(v.string(), v.parseJson(), stringMap()),
});

function decode(row: Row): HeldManifest {
  const { digest, media_type, size, subject, artifact_type, annotations } = v.parse(stored, row);
  return {
    digest: parseDigest(digest),
    mediaType: media_type,
    size,
    subject: subject === null ? undefined : parseDigest(subject),
    artifactType: artifact_type ?? undefined,
    annotations,
  };
}
