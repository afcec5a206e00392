import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gateStages } from './gates.ts';

test('stages whose comment says so are gates', () => {
  const text =
    'FROM a AS one\n# jettison:gate\nFROM a AS two\nRUN x\n# words\n# jettison:gate\nFROM a\n# jettison:gates\nFROM a AS four\n#jettison:gate\nRUN y\n';
  assert.deepEqual(gateStages(text), ['two', '2']);
  assert.deepEqual(gateStages('FROM a\n'), []);
});
