/** What `build -o` asked for beside the image in the store. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Report } from '#formats/progress/event.ts';
import type { NewIndex } from '#stores/image/indexes.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { Engine } from './open.ts';
import type { OutputRequest } from './build-requests.ts';

export type Outputs = {
  /** What a name leads to. */
  readonly main: ImageRecord;
  /** Of a build for several platforms. */
  readonly index: NewIndex | undefined;
  readonly outputs: readonly OutputRequest[];
  readonly tags: readonly string[];
  /** Of the descriptor of the manifest, or of the index, in an archive. */
  readonly annotations: Readonly<Record<string, string>>;
};

/** Each file is complete or not there. Gives the manifest or index of the first; undefined without outputs. */
export async function writeOutputs(
  engine: Engine,
  { main, index, outputs, tags, annotations }: Outputs,
  report: Report,
  signal: AbortSignal,
): Promise<Descriptor | undefined> {
  if (outputs.length === 0) return undefined;
  const made: Descriptor[] = [];
  const { writeImages } = await import('./save.ts');
  for (const { kind, destination, compression } of outputs) {
    const request = {
      images: [{ record: main, index, names: tags, annotations }],
      format: kind,
      compression,
      destination: { kind: 'file', path: destination } as const,
    };
    made.push(...(await writeImages(engine, request, report, signal)));
  }
  return made[0];
}
