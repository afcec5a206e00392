import { parsePlatform, type Platform } from '#formats/oci/platform.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { about, type Rule } from './rule.ts';

export const fromPlatformFlagConstDisallowed: Rule = {
  name: 'FromPlatformFlagConstDisallowed',
  summary: 'FROM --platform flag should not use a constant value',
  why: 'A fixed platform makes the stage the same for every target, which is seldom meant: the image then holds programs of another architecture than it says.',
  example: { bad: 'FROM --platform=linux/amd64 alpine AS build', good: 'FROM --platform=$BUILDPLATFORM alpine AS build' },
  *check({ froms }) {
    for (const { stage, platform } of froms) {
      if (!platform || platform.matched.size + platform.unmatched.size > 0) continue;
      const parsed = tryPlatform(platform.text);
      const name = stage.from.alias?.name.text.toLowerCase() ?? '';
      if (!parsed || name.includes(parsed.os) || name.includes(parsed.architecture)) continue;
      yield about(
        stage.from,
        `FROM --platform flag should not use constant value "${platform.text}"`,
        'Use $BUILDPLATFORM or $TARGETPLATFORM, or name the stage after the platform',
      );
    }
  },
};

function tryPlatform(text: string): Platform | undefined {
  try {
    return parsePlatform(text, { os: 'linux', architecture: 'amd64' });
  } catch (error) {
    if (!(error instanceof JettisonError)) throw error;
    return undefined;
  }
}
