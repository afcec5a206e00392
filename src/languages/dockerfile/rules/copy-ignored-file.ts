import { fromText } from '#ground/base/byte-string.ts';
import { parsePatterns } from '#ground/base/patterns.ts';
import { about, stepsOf, type Rule } from './rule.ts';

const everything = new Set(['*', '**', '**/*']);

/** Nothing is said where the ignore file has exceptions: then only the files themselves tell. */
export const copyIgnoredFile: Rule = {
  name: 'CopyIgnoredFile',
  summary: 'Attempting to Copy file that is excluded by .dockerignore',
  why: 'A path that the ignore file leaves out never reaches the build, so the step fails as if the file did not exist.',
  example: { bad: 'FROM scratch\nCOPY notes.txt /', good: 'FROM scratch\nCOPY server.js /', ignored: ['*.txt'] },
  *check(subject) {
    const patterns = subject.ignorePatterns.map((pattern) => pattern.trim()).filter((pattern) => pattern !== '');
    if (patterns.length === 0 || patterns.some((pattern) => pattern.startsWith('!'))) return;
    const set = parsePatterns(patterns);
    for (const { instruction, contextPaths } of stepsOf(subject, 'copy', 'add')) {
      for (const path of contextPaths) {
        const ignored = path === '/' ? patterns.some((pattern) => everything.has(pattern)) : set.matches(fromText(path.slice(1)));
        const verb = instruction.kind === 'add' ? 'Add' : 'Copy';
        const shown = path === '/' ? '.' : path.slice(1);
        if (ignored)
          yield about(
            instruction,
            `Attempting to ${verb} file "${shown}" that is excluded by .dockerignore`,
            'Remove the pattern or the source',
          );
      }
    }
  },
};
