/** Files of one op that went to the same path: all but the last are lost, and that is seldom meant. */
import { toText, type ByteString } from '#ground/base/byte-string.ts';

export type TrackedPlaces = ReturnType<typeof trackPlaces>;

/** Where single files went. */
export function trackPlaces() {
  const places = new Map<ByteString, string[]>();
  return {
    add(path: ByteString, source: string): void {
      const sources = places.get(path);
      if (sources === undefined) places.set(path, [source]);
      else if (sources.at(-1) !== source) sources.push(source);
    },
    /** All but the last source that went to a path are lost. */
    replaced: (): readonly string[] => [...places].flatMap(([path, sources]) => (sources.length > 1 ? replacedText(path, sources) : [])),
  };
}

function replacedText(path: ByteString, sources: readonly string[]): string {
  const lost = sources.length === 2 ? `"${sources[0]}" is` : `"${sources[0]}" and ${sources.length - 2} more are`;
  return `Warning: "/${toText(path)}" holds "${sources.at(-1)}": ${lost} lost, being copied to the same path. If that was meant as a folder, end its name with "/"`;
}
