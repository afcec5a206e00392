import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { patchStage } from './add-lines.ts';

const lines = ['COPY --from=build /a /a', 'COPY --from=build /b /b'];

/** What patch(1) makes of it. */
function applied(text: string, stage: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'jettison-patch-'));
  try {
    writeFileSync(join(folder, 'Dockerfile'), text);
    const patch = patchStage(text, { file: 'Dockerfile', stage, lines });
    assert.ok(patch !== undefined);
    const done = spawnSync('git', ['apply', '--unidiff-zero', '-'], { cwd: folder, input: patch, encoding: 'utf8' });
    assert.equal(done.status, 0, done.stderr + patch);
    return readFileSync(join(folder, 'Dockerfile'), 'utf8');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the lines stand behind the last instruction of the stage', () => {
  const added = lines.join('\n');
  const first = 'FROM a AS build\nRUN x\n';
  const last = 'FROM b\nRUN y \\\n  z\n';
  assert.equal(applied(`${first}\n${last}`, '1'), `${first}\n${last}${added}\n`);
  assert.equal(applied(`${first}\n${last}\n# end\n`, '1'), `${first}\n${last}${added}\n\n# end\n`);
  assert.equal(applied(`${first}${last}`, 'Build'), `${first}${added}\n${last}`);
  assert.equal(applied(`${first}FROM b`, '1'), `${first}FROM b\n${added}\n`);
  assert.equal(applied(`${first}RUN <<E\na\nE\n${last}`, 'build'), `${first}RUN <<E\na\nE\n${added}\n${last}`);
  assert.equal(applied('FROM b\r\nRUN y\r\n', '0'), `FROM b\r\nRUN y\r\n${lines.join('\r\n')}\r\n`);
  assert.equal(patchStage('FROM b\n', { file: 'Dockerfile', stage: 'nothing', lines }), undefined);
});
