/** Lists of manifests in registries that `manifest create` begins and `manifest push` sends: names, platforms, no images. */
import * as v from 'valibot';
import { descriptorSchema, type Descriptor } from '#formats/oci/descriptor.ts';
import type { Database } from '#stores/db/open.ts';

/** `reference`: in full, as it was named. */
export type ListedManifest = { readonly reference: string; readonly descriptor: Descriptor };

export type ManifestListStore = {
  /** In the order in which they came; undefined when there is no such list. */
  get(name: string): readonly ListedManifest[] | undefined;
  save(name: string, manifests: readonly ListedManifest[]): void;
  /** Gives whether there was one. */
  remove(name: string): boolean;
};

export const manifestListTables = `
CREATE TABLE manifest_lists (name TEXT PRIMARY KEY, manifests TEXT NOT NULL) WITHOUT ROWID;
`;

const storedList = v.array(v.object({ reference: v.string(), descriptor: descriptorSchema }));

/** Over a database that has `manifestListTables`. */
export function openManifestLists(database: Database): ManifestListStore {
  return {
    get: (name) => {
      const row = database.prepare('SELECT manifests FROM manifest_lists WHERE name = ?').get(name);
      return row === undefined ? undefined : v.parse(storedList, JSON.parse(String(row['manifests'])));
    },
    save: (name, manifests) => {
      const save = database.prepare('INSERT OR REPLACE INTO manifest_lists (name, manifests) VALUES (?, ?)');
      save.run(name, JSON.stringify(manifests));
    },
    remove: (name) => database.prepare('DELETE FROM manifest_lists WHERE name = ?').run(name).changes > 0,
  };
}
