import { printPlatform } from '#formats/oci/platform.ts';
import { about, type Rule } from './rule.ts';

export const invalidBaseImagePlatform: Rule = {
  name: 'InvalidBaseImagePlatform',
  summary: 'Base image platform does not match expected target platform',
  why: 'The image was fetched for another platform than the one that is built, so its programs may not run there.',
  *check({ stages }) {
    for (const { stage, mismatch } of stages) {
      if (!mismatch || stage.base.kind !== 'image') continue;
      const [got, wanted] = [printPlatform(mismatch.got), printPlatform(mismatch.wanted)];
      yield about(
        stage.source.from,
        `Base image ${stage.base.image.written} was pulled with platform "${got}", expected "${wanted}" for current build`,
        `Use an image that has "${wanted}"`,
      );
    }
  },
};
