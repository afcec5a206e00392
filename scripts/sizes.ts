/** Prints the longest source files: advice, not a rule. */
import { globSync, readFileSync } from 'node:fs';

const sizes = globSync('src/**/*.ts')
  .filter((file) => !file.endsWith('.test.ts'))
  .map((file) => ({ file, lines: readFileSync(file, 'utf8').split('\n').length }))
  .toSorted((a, b) => b.lines - a.lines);
for (const { file, lines } of sizes.slice(0, 15)) console.log(String(lines).padStart(5), file);
console.log(`${sizes.length} files, ${sizes.reduce((sum, { lines }) => sum + lines, 0)} lines`);
