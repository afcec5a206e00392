/** What is to be kept under a name. */
export type Content = {
  /** Bytes. */
  readonly size: number;
  /** From the beginning; may be asked for several times. */
  open(signal: AbortSignal): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
};
