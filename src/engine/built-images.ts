/** The images of one build as one thing: an image, or several under an index. */
import { platformRank } from '#formats/oci/platform.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { Digest } from '#ground/base/digest.ts';
import type { IndexedImage, NewIndex } from '#stores/image/indexes.ts';
import type { ImageRecord, ManifestForm } from '#stores/image/store.ts';
import { annotationsFor, indexAnnotations } from './annotations.ts';
import type { ImageForm } from './build-requests.ts';
import type { Exporting } from './gather-cache.ts';
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

/** `images` are those of the results, in their order, as an output with this `form` wants them. */
export function builtImages({ request, results }: Exporting, images: readonly ImageRecord[], form?: ImageForm): BuiltImages {
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
  const isOne = results.length === 1;
  return {
    images,
    main: main.image,
    index: isOne ? undefined : { members, format, annotations: ofIndex.index, document: undefined },
    formOf: (imageId) => forms.get(imageId) ?? { format, annotations: {} },
    annotations: isOne ? main.annotations['manifest-descriptor'] : ofIndex['index-descriptor'],
  };
}
