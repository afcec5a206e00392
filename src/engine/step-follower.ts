/** What a build tells whoever shows its steps in the order of the file: in the manner of the builder before BuildKit. */
import type { DraftedStep } from '#languages/frontend/contract.ts';
import type { Digest } from '#ground/base/digest.ts';

export type StepFollower = {
  /** Bytes of a tar archive of the build context, in which lies what the ignore file leaves. Told first. */
  readonly context: (bytes: number) => void;
  /** All steps, before anything is done. Once more when the work has to be done once more. */
  readonly plan: (steps: readonly ShownStep[]) => void;
  /** The files of an image are not here: they are downloaded now. */
  readonly pulling: (vertex: Digest, image: PulledBase) => void;
  /** The image after the step of this place, from 0; one after the other. `imageId` is '' for nothing, undefined where it cannot be said: the files are not here. */
  readonly image: (place: number, made: { readonly imageId: Digest | '' | undefined; readonly isNew: boolean }) => void;
};

export type ShownStep = Pick<DraftedStep, 'text' | 'kind' | 'isTrigger' | 'vertex' | 'images'>;

/** `name` as people know it: `busybox:latest`; `repository`: `library/busybox`. */
export type PulledBase = { readonly name: string; readonly tag: string; readonly repository: string; readonly digest: Digest };
