/** What `build -o` asked for beside the image in the store. */
import type { Descriptor } from '#formats/oci/descriptor.ts';
import type { Report } from '#formats/progress/event.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { Engine } from './open.ts';
import type { OutputRequest } from './build-requests.ts';

export type Outputs = {
  readonly image: ImageRecord;
  readonly outputs: readonly OutputRequest[];
  readonly tags: readonly string[];
  readonly annotations: Readonly<Record<string, string>>;
};

/** Each file is complete or not there. Gives the manifest of the first; undefined without outputs. */
export async function writeOutputs(
  engine: Engine,
  { image, outputs, tags, annotations }: Outputs,
  report: Report,
  signal: AbortSignal,
): Promise<Descriptor | undefined> {
  if (outputs.length === 0) return undefined;
  const made: Descriptor[] = [];
  const { writeImages } = await import('./save.ts');
  for (const { kind, destination, compression } of outputs) {
    const request = {
      images: [{ record: image, names: tags }],
      format: kind,
      compression,
      destination: { kind: 'file', path: destination } as const,
      annotations,
    };
    made.push(...(await writeImages(engine, request, report, signal)));
  }
  return made[0];
}
