/** docs/lint-rules/: a page for each lint rule, and their list. */
import { rules } from '#languages/dockerfile/lint.ts';

type Rule = (typeof rules)[number];

const note = '<!-- Made by `npm run docs` from src/languages/dockerfile/rules: do not edit. -->';

/** Texts by file name. */
export function makeRulePages(): readonly (readonly [file: string, text: string])[] {
  return [['docs/lint-rules/README.md', printList()], ...rules.map((rule) => [fileOf(rule), printRule(rule)] as const)];
}

function fileOf({ name }: Rule): string {
  return `docs/lint-rules/${name}.md`;
}

function printList(): string {
  const rows = rules.map((rule) => `| [${rule.name}](${rule.name}.md) | ${rule.summary} |`);
  return `# Lint rules

${note}

\`jettison build --check\` looks for these without building; a build tells what it finds and goes on. Names are BuildKit's, but for rules that say
that it has no such one. In a Dockerfile,
\`# check=skip=NAME,NAME\` at the top (or above an instruction) leaves rules out, \`# check=error=true\` makes findings fail the build, and
\`# check=experimental=NAME\` asks for a rule that is looked at only then.

| rule | what is good |
| --- | --- |
${rows.join('\n')}
`;
}

function printRule(rule: Rule): string {
  const { name, summary, why, example } = rule;
  const ignored = example?.ignored === undefined ? '' : `With this \`.dockerignore\`:\n\n${fence(example.ignored.join('\n'), '')}\n`;
  const examples = example ? `\n${ignored}Bad:\n\n${fence(example.bad)}\nGood:\n\n${fence(example.good)}` : '';
  const experimental = rule.experimental ? `\nOnly looked at with \`# check=experimental=${name}\`.\n` : '';
  const own = rule.isOwn ? `\nBuildKit has no such rule, so \`# check=error=true\` does not make a build fail for it.\n` : '';
  return `# ${name}\n\n${note}\n\n${summary}.\n\n${why}\n${experimental}${own}${examples}`;
}

function fence(text: string, language = 'dockerfile'): string {
  return `\`\`\`${language}\n${text}\n\`\`\`\n`;
}
