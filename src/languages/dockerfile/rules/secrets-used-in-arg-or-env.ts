import { isSecretName } from '#languages/frontend/secret-names.ts';
import { about, stepsOf, type Rule } from './rule.ts';

export const secretsUsedInArgOrEnv: Rule = {
  name: 'SecretsUsedInArgOrEnv',
  summary: 'Sensitive data should not be used in the ARG or ENV commands',
  why: "Values of ARG and ENV stay in the image's config and history, where everyone who has the image reads them.",
  example: { bad: 'FROM alpine\nARG API_TOKEN\nRUN ./download', good: 'FROM alpine\nRUN --mount=type=secret,id=api-token ./download' },
  *check(subject) {
    for (const { instruction, names } of stepsOf(subject, 'arg', 'env')) {
      for (const name of names) {
        if (!isSecretName(name)) continue;
        const kind = instruction.kind.toUpperCase();
        yield about(
          instruction,
          `Do not use ARG or ENV instructions for sensitive data (${kind} "${name}")`,
          'Hand secrets to the one RUN that needs them: RUN --mount=type=secret,id=...',
        );
      }
    }
  },
};
