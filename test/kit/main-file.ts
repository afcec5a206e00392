/** The program that tests run with Node: the bundle of these sources where `npm test` has made one, or else the sources, which take longer to start. */
import { join } from 'node:path';

/** Its modules have names of their own in what Node says of them. */
export const sourceFile = join(import.meta.dirname, '../../src/main.ts');

export const mainFile = process.env['JETTISON_TESTED'] ?? sourceFile;

/** Of its processes' command lines, arguments joined by blanks. */
export const programPatterns = {
  engine: /\/main\.(?:ts|cjs) (?:build|push|pull|load)/u,
  worker: /worker(?:\/main\.ts|\.cjs)/u,
  monitor: /monitor(?:-main\.ts|\.cjs)/u,
} as const;
