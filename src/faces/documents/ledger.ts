/** The document of `jettison ledger --json` (docs/ledger.md, docs/schemas/ledger.schema.json). All sizes are bytes of regular files. */

export type LedgerDocument = {
  readonly version: 1;
  /** The image's id. */
  readonly image: string;
  readonly names: readonly string[];
  /** `linux/amd64` */
  readonly platform: string;
  /** Of the build that made it; null where no build of this store did. */
  readonly dockerfile: string | null;
  /** Of all layers. */
  readonly size: number;
  /** The image that the final stage stands on; null for none, and where nobody knows. */
  readonly base: { readonly name: string; readonly size: number; readonly layers: number } | null;
  /** In the order of the file, the final one last; none where nobody knows. */
  readonly stages: readonly LedgerStageDocument[];
  /** Images that files were copied from, and that other stages stand on. `size` is null where the image is not here. */
  readonly images: readonly { readonly name: string; readonly size: number | null; readonly carried: number }[];
  /** Bytes of files that were copied more than once. */
  readonly repeated: number;
  /** COPY --from lines of the final stage, with the stages or images that made what they brought. */
  readonly copies: readonly (LedgerLineDocument & {
    readonly size: number;
    readonly from: readonly { readonly name: string; readonly size: number }[];
  })[];
  /** Bottom first. */
  readonly layers: readonly (LedgerLineDocument & { readonly size: number; readonly base: boolean })[];
  /** Largest first: those of the layers above the base. */
  readonly files: readonly {
    readonly path: string;
    readonly size: number;
    /** Whose layer it is in. */
    readonly layer: LedgerLineDocument;
    /** What made it, and the path that it was made at. */
    readonly origin: LedgerLineDocument & { readonly path: string };
  }[];
  /** Files of layers above the base that later layers overwrite or delete, by the instruction that does it, and whose they are; the most bytes first. null where nobody has looked. */
  readonly hidden:
    | readonly (LedgerLineDocument & { readonly files: number; readonly size: number; readonly of: LedgerLineDocument })[]
    | null;
  /** The image that had the name before; null where there was none. `lines` is null where nobody knows how that one was made. */
  readonly before: {
    readonly name: string;
    readonly image: string;
    readonly size: number;
    readonly lines: readonly (LedgerLineDocument & { readonly before: number; readonly size: number })[] | null;
  } | null;
};

/** Null members where nobody knows. */
export type LedgerLineDocument = { readonly instruction: string; readonly stage: string | null; readonly line: number | null };

/** `built` = `carried` + `jettisoned`; null where the stage's files are gone and were never counted. */
export type LedgerStageDocument = {
  readonly name: string;
  readonly line: number | null;
  readonly final: boolean;
  readonly built: number | null;
  readonly carried: number;
  readonly jettisoned: number | null;
  readonly steps: readonly (LedgerLineDocument & { readonly built: number | null; readonly carried: number })[];
};
