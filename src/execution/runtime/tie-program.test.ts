import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makePipe } from '#ground/linux/syscall.ts';
import { isTieArchitecture, tieProgram } from './tie-program.ts';

test('the program does nothing where whoever started it has ended, and says in the log what it cannot do', () => {
  assert.ok(isTieArchitecture(process.arch));
  const folder = mkdtempSync(join(tmpdir(), 'jettison-tie-'));
  const { readEnd, writeEnd } = makePipe();
  try {
    const [file, logFile] = [join(folder, 'tie'), join(folder, 'log')];
    const plan = { architecture: process.arch, file: join(folder, 'missing'), arguments: ['missing'], environment: ['A=b'], logFile };
    writeFileSync(file, tieProgram(plan), { mode: 0o700 });
    const start = () => spawnSync(file, { stdio: ['ignore', 'pipe', 'pipe', readEnd], encoding: 'utf8' });
    assert.deepEqual([start().status, JSON.parse(readFileSync(logFile, 'utf8')).level], [1, 'error']);
    rmSync(logFile);
    closeSync(writeEnd);
    assert.equal(start().status, 1);
    assert.throws(() => readFileSync(logFile), /ENOENT/u);
  } finally {
    closeSync(readEnd);
    rmSync(folder, { recursive: true });
  }
});
