import { about, isOneCase, type Rule } from './rule.ts';

export const fromAsCasing: Rule = {
  name: 'FromAsCasing',
  summary: "The 'as' keyword should match the case of the 'from' keyword",
  why: '`FROM` and `AS` are one instruction: two spellings in one line are harder to read.',
  example: { bad: 'FROM alpine as build', good: 'FROM alpine AS build' },
  *check({ dockerfile }) {
    for (const { from } of dockerfile.stages) {
      const [keyword, as] = [from.keyword.text, from.alias?.keyword.text];
      if (as === undefined || !isOneCase(keyword)) continue;
      const wanted = keyword === keyword.toLowerCase() ? as.toLowerCase() : as.toUpperCase();
      if (as !== wanted) yield about(from, `'${as}' and '${keyword}' keywords' casing do not match`, `Write "${wanted}"`);
    }
  },
};
