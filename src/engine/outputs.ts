/** What `build -o` asked for: files, archives, registries, each shown as a step of its own. */
import { ofVertex } from '#formats/progress/event.ts';
import type { Descriptor } from '#formats/oci/descriptor.ts';
import { nameOf, parseReference } from '#formats/oci/reference.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import { unreachable } from '#ground/base/errors.ts';
import type { ImageRecord } from '#stores/image/store.ts';
import type { ImageForm, OutputRequest } from './build-requests.ts';
import { builtImages, type BuiltImages } from './built-images.ts';
import { clampAll } from './clamp-times.ts';
import type { Exporting } from './gather-cache.ts';
import { estargzAsIs, type BlobForm, type WantedForm } from './layer-blobs.ts';
import { fullNames } from './record-build.ts';
import { showAsStep } from './show-as-step.ts';

/** What came of all outputs. Names are in full; nothing in the store is named yet. */
export type Written = {
  /** The first manifest or index that was made. */
  readonly manifest: Descriptor | undefined;
  /** As the first output of images has them: others than were built where their files' times were changed. */
  readonly first: BuiltImages | undefined;
  /** As the store is to keep them. */
  readonly stored: BuiltImages | undefined;
  readonly storedNames: readonly string[];
  readonly names: readonly string[];
  /** Images that were entered for outputs alone. */
  readonly isNew: readonly Digest[];
};

export type Say = (line: string) => void;
type ImageOutputRequest = Extract<OutputRequest, { readonly form: ImageForm }>;
type Given = { readonly images: readonly ImageRecord[]; readonly tags: readonly string[] };
type Step = { readonly exporting: Exporting; readonly say: Say; readonly signal: AbortSignal };

/** Images on their way out, and how their layers are to be. */
export type Outgoing = { readonly built: BuiltImages; readonly names: readonly string[]; readonly layers: BlobForm };

type Result = {
  readonly built: BuiltImages;
  readonly isNew: readonly Digest[];
  readonly descriptor: Descriptor | undefined;
  readonly names: readonly string[];
  readonly isStored: boolean;
};

/**
 * In order, but what a registry shows to others comes last. `images` are those of the results; none where no output is of images. Each file is complete or not
 * there. Throws what writing and pushing throw.
 */
export async function writeOutputs(exporting: Exporting, given: Given, signal: AbortSignal): Promise<Written> {
  const { outputs } = exporting.request;
  const results: Result[] = [];
  for (const output of [...outputs.filter((one) => !isPush(one)), ...outputs.filter(isPush)]) {
    const result = await showStep(exporting, output, async (step) => await writeOutput(output, given, { ...step, signal }), signal);
    if (result !== undefined) results.push(result);
  }
  const stored = results.filter(({ isStored }) => isStored);
  return {
    manifest: results.find(({ descriptor }) => descriptor !== undefined)?.descriptor,
    first: results[0]?.built,
    stored: stored[0]?.built,
    storedNames: stored.flatMap(({ names }) => names.filter((name) => !name.includes('@'))),
    names: results.flatMap(({ names }) => names),
    isNew: results.flatMap(({ isNew }) => isNew),
  };
}

function isPush(output: OutputRequest): boolean {
  return output.kind === 'image' && output.isPushed;
}

async function writeOutput(output: OutputRequest, given: Given, step: Step): Promise<Result | undefined> {
  switch (output.kind) {
    case 'none':
      return undefined;
    case 'local':
    case 'tar': {
      const { exportFiles } = await import('./export-files.ts');
      const { engine, report, results, statements } = step.exporting;
      await exportFiles(engine, { results, output, statements: statements ?? [] }, { report, say: step.say }, step.signal);
      return undefined;
    }
    case 'oci':
    case 'docker':
    case 'image':
      return await writeImageOutput(output, given, step);
    default:
      return unreachable(output, 'output');
  }
}

async function writeImageOutput(output: ImageOutputRequest, { images, tags }: Given, step: Step): Promise<Result> {
  const { exporting, say, signal } = step;
  const { engine, report } = exporting;
  const layers = layersOf(output);
  const { records, isNew } = await asWanted(output, { images, layers }, step);
  const byDigest = output.kind === 'image' && output.byDigest;
  const own = byDigest ? output.names?.map(withoutTag) : output.names && fullNames(output.names);
  const names = own ?? (byDigest ? tags.map(withoutTag) : tags);
  const built = builtImages(exporting, records, { form: output.form, names, isPlain: output.kind === 'docker' });
  const outgoing = { built, names, layers: layers.format === 'estargz' ? estargzAsIs : layers };
  if (output.kind === 'image') {
    const { storeOrPush } = await import('./image-output.ts');
    return { built, isNew, ...(await storeOrPush(engine, { output, outgoing }, { report, say }, signal)), isStored: output.isStored };
  }
  const { writeImages } = await import('./save.ts');
  const { main: record, index, formOf, annotations } = built;
  const image = { record, index, formOf, names: outgoing.names, annotations };
  const archive = { images: [image], format: output.kind, layers: outgoing.layers, destination: output.destination };
  const [descriptor] = await writeImages(engine, archive, report, signal);
  if (descriptor !== undefined) say(`exporting manifest ${descriptor.digest} done`);
  return { built, isNew, descriptor, names: outgoing.names, isStored: false };
}

type Wanted = { readonly images: readonly ImageRecord[]; readonly layers: WantedForm };

/** Other images than were built, where times or the form of layers make them so. */
async function asWanted({ form }: ImageOutputRequest, { images, layers }: Wanted, { exporting, signal }: Step) {
  const clamped = form.clampsTimes ? await clampAll(exporting, { images, form: layers }, signal) : { records: images, isNew: [] };
  if (layers.format !== 'estargz') return clamped;
  const { toEstargz } = await import('./estargz-images.ts');
  const { records, isNew } = await toEstargz(exporting.engine, { images: clamped.records, form: layers }, exporting.report, signal);
  return { records, isNew: [...clamped.isNew, ...isNew] };
}

function layersOf({ kind, form: { compression, level, isForced } }: ImageOutputRequest): WantedForm {
  return { format: compression ?? (kind === 'docker' ? 'tar' : 'gzip'), isForced, ...(level === undefined ? {} : { level }) };
}

function withoutTag(name: string): string {
  return nameOf(parseReference(name));
}

const titles: Readonly<Record<Exclude<OutputRequest['kind'], 'none'>, string>> = {
  local: 'exporting to client directory',
  tar: 'exporting to client tarball',
  oci: 'exporting to oci image format',
  docker: 'exporting to docker image format',
  image: 'exporting to image',
};

/** What the engine alone does with an image in the store is said by its end; the rest is a step that people see. */
async function showStep<T>(
  exporting: Exporting,
  output: OutputRequest,
  work: (step: { readonly exporting: Exporting; readonly say: Say }) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const { engine, report, request } = exporting;
  if (output.kind === 'none' || (output.kind === 'image' && !output.isPushed)) return await work({ exporting, say: () => undefined });
  const title = titles[output.kind];
  const whose = request.targets === undefined ? '' : ` of ${request.target ?? ''}`;
  const text = `${output.kind === 'image' ? 'pushing image' : title}${whose}`;
  const step = { vertex: digestOf(`${title} ${request.outputs.indexOf(output)}${whose}`), text };
  const own: Exporting = { ...exporting, report: ofVertex(report, step.vertex) };
  const say: Say = (line) => report({ kind: 'output', vertex: step.vertex, stream: 'stdout', text: `${line}\n`, time: engine.now() });
  return await showAsStep({ engine, report, step }, async () => await work({ exporting: own, say }), signal);
}
