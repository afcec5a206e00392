/** What a step writes, as events of text. */

/** A receiver of bytes that reports them as UTF-8 text; a character cut in two waits for its rest. `end` reports what is left. */
export function textReporter(report: (text: string) => void): { take(bytes: Uint8Array): void; end(): void } {
  const decoder = new TextDecoder();
  const tell = (text: string): void => {
    if (text !== '') report(text);
  };
  return {
    take: (bytes) => tell(decoder.decode(bytes, { stream: true })),
    end: () => tell(decoder.decode()),
  };
}
