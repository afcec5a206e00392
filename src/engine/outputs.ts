/** What `build -o` asked for beside the image in the store. */
import type { Report } from '#formats/progress/event.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { Engine } from './open.ts';
import type { OutputRequest } from './requests.ts';

export type Outputs = { readonly image: ImageRecord; readonly outputs: readonly OutputRequest[]; readonly tags: readonly string[] };

/** Each file is complete or not there. */
export async function writeOutputs(engine: Engine, { image, outputs, tags }: Outputs, report: Report, signal: AbortSignal): Promise<void> {
  if (outputs.length === 0) return;
  const { writeImages } = await import('./save.ts');
  for (const { kind, destination, compression } of outputs) {
    const request = {
      images: [{ record: image, names: tags }],
      format: kind,
      compression,
      destination: { kind: 'file', path: destination } as const,
    };
    await writeImages(engine, request, report, signal);
  }
}
