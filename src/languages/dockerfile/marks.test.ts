import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lintDockerfile } from './lint.ts';
import { readMarks } from './marks.ts';
import { parseDockerfile } from './parse.ts';

function marksOf(text: string) {
  const { dockerfile } = parseDockerfile(text, 'Dockerfile');
  const { gates, findings } = readMarks(dockerfile);
  return {
    gates: dockerfile.stages.flatMap((stage, index) => (gates.has(stage) ? [index] : [])),
    findings: findings.map(({ message, at }) => `${at[0]?.start.line ?? 0}: ${message}`),
  };
}

test('stages whose comment says so are gates', () => {
  const text = 'FROM a AS one\n# jettison:gate\nFROM a AS two\nRUN x\n# words\n# jettison:gate\nFROM a\nFROM a AS four\n';
  assert.deepEqual(marksOf(text), { gates: [1, 2], findings: [] });
  assert.deepEqual(marksOf('FROM a\n# of jettison: gates\nRUN x\n'), { gates: [], findings: [] });
});

test('a mark that means nothing, or nothing where it stands, is a finding that says what was meant', () => {
  const text =
    '# jettison:gates\nFROM a\n#jettison:gate\nRUN y\n# jettison:gate test\nFROM a\n# jettison:\nRUN z\n# jettison:xyzzyx a=b\n# jettison:budgets a<=1\n# jettison:budget=final<=1\n';
  assert.deepEqual(marksOf(text), {
    gates: [],
    findings: [
      '1: "# jettison:gates" means nothing: did you mean "jettison:gate"?',
      '3: "# jettison:gate" stands above no FROM, and makes no stage a gate',
      '5: "# jettison:gate" stands alone on its line: the stage is the one whose FROM follows',
      '7: "# jettison:" means nothing: known is "jettison:gate", "jettison:budget"',
      '9: "# jettison:xyzzyx" means nothing: known is "jettison:gate", "jettison:budget"',
      '10: "# jettison:budgets" means nothing: did you mean "jettison:budget"?',
      '11: "# jettison:budget" has a space behind it, and limits: "# jettison:budget final<=20MB"',
    ],
  });
  assert.deepEqual(linted(''), ['UnknownMark']);
  assert.deepEqual(linted('# check=skip=UnknownMark\n'), []);
  assert.deepEqual(linted('# check=skip=all\n'), []);
  assert.deepEqual(marksOf('# jettison:budget final<=20MB\nFROM a\n#jettison:budget\tlayers<=2\nRUN x\n'), { gates: [], findings: [] });
});

function linted(head: string): readonly string[] {
  return lintDockerfile(`${head}FROM a\n# jettison:gat\nRUN y\n`, 'Dockerfile').map(({ rule }) => rule);
}
