/** The images of one build as one thing: an image, or several under an index. */
import { platformRank } from '#formats/oci/platform.ts';
import { parseReference } from '#formats/oci/reference.ts';
import { imagePurl } from '#formats/provenance/image-purl.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { digestOf, type Digest } from '#ground/base/digest.ts';
import type { IndexedImage, IndexMember, NewIndex } from '#stores/image/indexes.ts';
import type { ImageRecord, ManifestForm } from '#stores/image/store.ts';
import { annotationsFor, indexAnnotations } from './annotations.ts';
import type { ImageForm } from './build-requests.ts';
import type { BuiltResult, Exporting } from './gather-cache.ts';
import { nativeOrAsked } from './platform.ts';

export type BuiltImages = {
  /** In the order of the platforms. */
  readonly images: readonly ImageRecord[];
  /** What a name leads to: this machine's own image, else the first. */
  readonly main: ImageRecord;
  /** undefined for a build for one platform. */
  readonly index: NewIndex | undefined;
  /** What the manifest of each is to be like. */
  readonly formOf: (imageId: Digest) => ManifestForm;
  /** Of the descriptor of the manifest, or of the index, in an archive. */
  readonly annotations: Readonly<Record<string, string>>;
};

export type ForOutput = {
  readonly form?: ImageForm;
  /** What statements call the images: names in full. */
  readonly names?: readonly string[];
  /** Docker's archives have no place for statements. */
  readonly isPlain?: boolean;
};

/** `images` are those of the results, in their order, as an output wants them. */
export function builtImages(exporting: Exporting, images: readonly ImageRecord[], output: ForOutput = {}): BuiltImages {
  const { request, results } = exporting;
  const { form } = output;
  const ofOutput = form?.annotations ?? [];
  const format = form?.mediaTypes ?? request.format;
  const all = results.flatMap(({ platform }, at) => {
    const image = images[at];
    return image === undefined ? [] : [{ image, platform, annotations: annotationsFor(request, platform, ofOutput) }];
  });
  const native = nativeOrAsked(undefined);
  const ranks = all.map(({ platform }) => platformRank(platform, native) ?? Infinity);
  const best = Math.min(...ranks);
  const main = all[best === Infinity ? 0 : ranks.indexOf(best)];
  if (main === undefined) throw new JettisonError('engine/no-image', 'A build made no image', { fault: 'bug' });
  const forms = new Map<Digest, ManifestForm>(
    all.map(({ image, annotations }) => [image.imageId, { format, annotations: annotations.manifest }]),
  );
  const ofIndex = indexAnnotations(request, ofOutput);
  const members = all.map(({ image, platform, annotations }): IndexedImage => ({
    kind: 'image',
    imageId: image.imageId,
    platform,
    annotations: annotations['manifest-descriptor'],
    descriptor: null,
  }));
  const said = output.isPlain === true ? [] : predicatesOf(exporting, images, output.names ?? []);
  const isOne = results.length === 1 && said.length === 0;
  return {
    images,
    main: main.image,
    index: isOne ? undefined : { members: [...members, ...said], format, annotations: ofIndex.index, document: undefined },
    formOf: (imageId) => forms.get(imageId) ?? { format, annotations: {} },
    annotations: isOne ? main.annotations['manifest-descriptor'] : ofIndex['index-descriptor'],
  };
}

/** What is said about each; two platforms may have the same image. */
function predicatesOf(
  { statements = [], results }: Exporting,
  images: readonly ImageRecord[],
  names: readonly string[],
): readonly IndexMember[] {
  return results.flatMap((result, at): readonly IndexMember[] => {
    const [image, own = []] = [images[at], statements[at]];
    if (image === undefined || own.length === 0) return [];
    const predicates = own.map(({ predicateType, bytes }) => ({ predicateType, digest: digestOf(bytes), size: bytes.length }));
    return [{ kind: 'predicates', imageId: image.imageId, subjects: subjectsOf(names, result), predicates }];
  });
}

/** Names as package URLs. */
function subjectsOf(names: readonly string[], { platform }: BuiltResult): readonly string[] {
  return names.map((name) => imagePurl(parseReference(name), platform));
}
