/**
 * Writes what of docs/ is made from the sources: errors.md, cli.md, lint-rules/, schemas/ and the picture of the rooms in architecture.md. With `--check` nothing is
 * written; it exits 1 when a file is stale. Both also fail when error codes are not as they should be, or when
 * docs/security.md and docs/faults.md name tests that are not there.
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeCliPage } from './docs/cli.ts';
import { makeErrorPage } from './docs/errors.ts';
import { makeRulePages } from './docs/lint-rules.ts';
import { checkNamedTests } from './docs/named-tests.ts';
import { makeSchemas } from './docs/schemas.ts';
import { drawMermaid } from './house.ts';

const isCheck = process.argv.includes('--check');
const errors = makeErrorPage();
const faults = [...errors.faults, ...checkNamedTests()];
const pages = new Map([
  ['docs/errors.md', errors.text],
  ['docs/cli.md', await makeCliPage()],
  ['docs/architecture.md', withPicture(read('docs/architecture.md') ?? '')],
  ...makeRulePages(),
  ...makeSchemas(),
]);

for (const [file, text] of pages) {
  if (read(file) === text) continue;
  if (isCheck) faults.push(`${file} is not what the sources say: run "npm run docs"`);
  else write(file, text);
}
for (const file of globSync(['docs/lint-rules/*', 'docs/schemas/*']).filter((one) => !pages.has(one))) {
  if (isCheck) faults.push(`${file} is of a rule or a document that is gone: run "npm run docs"`);
  else rmSync(file);
}
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exitCode = 1;

/** The text between the fences of the only Mermaid picture is drawn anew. */
function withPicture(text: string): string {
  return text.replace(/(?<=```mermaid\n)[\s\S]*?(?=\n```)/u, drawMermaid());
}

function read(file: string): string | undefined {
  return globSync(file).length === 0 ? undefined : readFileSync(file, 'utf8');
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  console.log(`${file} written`);
}
