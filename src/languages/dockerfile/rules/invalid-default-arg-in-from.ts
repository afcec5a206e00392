import { isCode, JettisonError } from '#ground/base/errors.ts';
import { parseReference } from '#formats/oci/reference.ts';
import { about, type Rule } from './rule.ts';

export const invalidDefaultArgInFrom: Rule = {
  name: 'InvalidDefaultArgInFrom',
  summary: 'Default value for global ARG results in an empty or invalid base image name',
  why: 'Who builds without giving the argument gets an error instead of an image.',
  example: { bad: 'ARG TAG\nFROM busybox:${TAG}', good: 'ARG TAG=1.37\nFROM busybox:${TAG}' },
  *check({ froms, dockerfile }) {
    const names = new Set(dockerfile.stages.map(({ from }) => from.alias?.name.text.toLowerCase()));
    for (const { stage, standardImage } of froms) {
      if (standardImage.fault !== undefined || isImageName(standardImage.text) || names.has(standardImage.text.toLowerCase())) continue;
      const written = stage.from.image.text;
      yield about(
        stage.from,
        `Default value for ARG ${written} results in empty or invalid base image name`,
        'Give the ARG a default that is an image',
      );
    }
  },
};

function isImageName(text: string): boolean {
  try {
    parseReference(text);
    return true;
  } catch (error) {
    if (!(error instanceof JettisonError)) throw error;
    return isCode(error, 'oci/reserved-name');
  }
}
