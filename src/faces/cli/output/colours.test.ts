import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readColours, readLogLines } from './colours.ts';

test('BUILDKIT_COLORS: names and RGB for each kind; what cannot be used is said, the rest counts; NO_COLOR wins', () => {
  assert.deepEqual(readColours({}), { colours: { run: '34', cancel: '33', error: '31', warning: '33' }, faults: [] });
  const { colours, faults } = readColours({
    BUILDKIT_COLORS: 'run=Green:error=255,0,7:cancel=light-blue:warning=pink:x=red:run:error=1,2,256:',
  });
  assert.deepEqual(colours, { run: '32', cancel: '94', error: '38;2;255;0;7', warning: '33' });
  assert.deepEqual(
    faults.map((fault) => /"(.*)" is left/u.exec(fault)?.[1]),
    ['warning=pink', 'x=red', 'run', 'error=1,2,256'],
  );
  assert.deepEqual(readColours({ NO_COLOR: '1', BUILDKIT_COLORS: 'run=green' }), { colours: undefined, faults: [] });
  assert.deepEqual(
    [readLogLines({}), readLogLines({ BUILDKIT_TTY_LOG_LINES: '20' }), readLogLines({ BUILDKIT_TTY_LOG_LINES: '-1' })],
    [6, 20, 6],
  );
});
