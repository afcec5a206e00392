import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { OutputRequest } from './build-requests.ts';
import { checkDestinations } from './check-destinations.ts';

const folderAt = (path: string): OutputRequest => ({
  kind: 'local',
  destination: { kind: 'folder', path },
  source: '/',
  isSplit: undefined,
});
const fileAt = (path: string): OutputRequest => ({ kind: 'tar', destination: { kind: 'file', path }, source: '/', isSplit: undefined });

test('a destination that nothing can be written to is an error before anything is built', () => {
  const root = mkdtempSync(join(tmpdir(), 'jettison-test-'));
  const at = (name: string): string => join(root, name);
  try {
    mkdirSync(at('folder'));
    writeFileSync(at('file'), '');
    symlinkSync('folder', at('to-folder'));
    symlinkSync('gone', at('to-nothing'));
    const good: readonly (readonly OutputRequest[])[] = [
      [folderAt(at('folder')), folderAt(at('to-folder')), folderAt(at('new/deep'))],
      [fileAt(at('file')), fileAt(at('new.tar')), fileAt(at('to-nothing')), fileAt(at('to-folder/x.tar'))],
      [fileAt(at('new/deep/x.tar')), folderAt(at('new'))],
      [{ kind: 'none' }],
    ];
    for (const outputs of good) checkDestinations(outputs);
    const bad: readonly (readonly [OutputRequest, string, RegExp])[] = [
      [fileAt(at('folder')), 'engine/bad-destination', /folder" is not a regular file$/u],
      [fileAt(at('to-folder')), 'engine/bad-destination', /not a regular file/u],
      [fileAt('/dev/null'), 'engine/bad-destination', /"\/dev\/null" is not a regular file/u],
      [fileAt(at('gone/x.tar')), 'engine/not-a-folder', /x\.tar": there is no folder ".*\/gone"$/u],
      [fileAt(at('file/x.tar')), 'engine/not-a-folder', /it is no folder ".*\/file"$/u],
      [folderAt(at('file')), 'engine/not-a-folder', /file" is to be a folder, and a file is in its way$/u],
      [folderAt(at('file/deep/er')), 'engine/not-a-folder', /a file is in its way/u],
    ];
    for (const [output, code, message] of bad) assert.throws(() => checkDestinations([output]), { code, message });
  } finally {
    rmSync(root, { recursive: true });
  }
});
