import { about, type Rule } from './rule.ts';

export const duplicateStageName: Rule = {
  name: 'DuplicateStageName',
  summary: 'Stage names should be unique',
  why: 'COPY --from and --target find a stage by its name: of two stages with one name the first can no longer be meant.',
  example: { bad: 'FROM alpine AS build\nFROM busybox AS build', good: 'FROM alpine AS tools\nFROM busybox AS build' },
  *check({ dockerfile }) {
    const seen = new Set<string>();
    for (const { from } of dockerfile.stages) {
      const name = from.alias?.name.text.toLowerCase();
      if (name === undefined) continue;
      if (seen.has(name)) yield about(from, `Duplicate stage name "${name}", stage names should be unique`);
      seen.add(name);
    }
  },
};
