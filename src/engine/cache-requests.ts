/** Caches elsewhere: where a build may find results of others, and where its own go. */

/** Where results of other builds may be found. `reference` as typed: a cache, or an image with one in it. `path` absolute; `tag` of its index. */
export type CacheSource =
  | { readonly kind: 'registry'; readonly reference: string }
  | { readonly kind: 'folder'; readonly path: string; readonly tag: string; readonly digest: string | undefined }
  | ActionsCachePlace
  | S3CachePlace;

/** Where the results of this build go. `inline`: into the image itself. */
export type CacheTarget =
  | { readonly kind: 'inline'; readonly isTelling: boolean }
  | (CacheForm & { readonly kind: 'registry'; readonly reference: string })
  | (CacheForm & { readonly kind: 'folder'; readonly path: string; readonly tag: string })
  | (CacheForm &
      ActionsCachePlace & {
        /** GitHub's API is asked what is there already: the root of it, the repository (`owner/name`), and a token for it. */
        readonly listing: { readonly api: string; readonly repository: string; readonly token: () => string } | undefined;
      })
  | (CacheForm &
      S3CachePlace & {
        /** A layer that is there already is made new when it is older than so many milliseconds. */
        readonly touchRefresh: number;
        /** Layers at once. */
        readonly parallel: number;
      });

/** The cache of GitHub Actions. Tokens are functions, so that nothing prints them. */
export type ActionsCachePlace = {
  readonly kind: 'actions';
  /** What tells the caches of a repository apart. */
  readonly scope: string;
  /** undefined: this is no job of GitHub Actions, and nobody said what else to use. */
  readonly service: ActionsCacheService | undefined;
};

/** A bucket of S3. The first of the names is read, all are written. */
export type S3CachePlace = {
  readonly kind: 's3';
  readonly bucket: string;
  readonly region: string;
  readonly names: readonly [string, ...string[]];
  /** What stands before all keys, and then before those of blobs and of lists of records. */
  readonly prefix: string;
  readonly blobsPrefix: string;
  readonly manifestsPrefix: string;
  /** undefined: Amazon's own. */
  readonly endpoint: string | undefined;
  /** The bucket is part of the path, not of the host. */
  readonly usePathStyle: boolean;
  /** undefined: nobody gave any. Secrets are functions, so that nothing prints them. */
  readonly credentials:
    | { readonly keyId: string; readonly secretKey: () => string; readonly sessionToken: () => string | undefined }
    | undefined;
};

/** `timeout`: milliseconds that one request may take with all its tries, and an import in all; undefined: nobody said. */
export type ActionsCacheService = {
  readonly url: string;
  readonly version: 1 | 2;
  readonly token: () => string;
  readonly timeout: number | undefined;
};

export type OutwardTarget = Exclude<CacheTarget, { readonly kind: 'inline' }>;

export type CacheForm = {
  /** `min`: only what the image is made of; `max`: the results of all steps. */
  readonly mode: 'min' | 'max';
  readonly imageManifest: boolean;
  readonly ociTypes: boolean;
  readonly compression: 'tar' | 'gzip' | 'zstd';
  /** It also says what its steps were made of, names of files included, so that others can say why a step runs. */
  readonly isTelling: boolean;
  /** A cache that cannot be written is a warning. */
  readonly ignoreError: boolean;
};
