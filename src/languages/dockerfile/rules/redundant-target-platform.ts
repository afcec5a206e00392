import { about, type Rule } from './rule.ts';

export const redundantTargetPlatform: Rule = {
  name: 'RedundantTargetPlatform',
  summary: 'Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior',
  why: 'That is the platform that FROM takes anyway; the flag only makes the reader look for a reason.',
  example: { bad: 'FROM --platform=$TARGETPLATFORM alpine', good: 'FROM alpine' },
  *check({ froms, globals }) {
    for (const { stage, platform } of froms) {
      if (platform?.matched.size !== 1 || platform.unmatched.size > 0 || !platform.matched.has('TARGETPLATFORM')) continue;
      if (platform.text !== globals.values.get('TARGETPLATFORM')) continue;
      const written = stage.from.platform?.text ?? '';
      yield about(
        stage.from,
        `Setting platform to predefined ${written} in FROM is redundant as this is the default behavior`,
        'Remove the flag',
      );
    }
  },
};
