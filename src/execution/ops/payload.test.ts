import assert from 'node:assert/strict';
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { cancelled } from '#ground/base/abort.ts';
import { parseSnapshotId } from '#stores/snapshot/contract.ts';
import type { KnownSnapshots } from './origins/stage.ts';
import { findPayload, type PayloadWish } from './payload.ts';

test('whoever wants to end a check of many programs is heard between them', async () => {
  using place = mkdtempDisposableSync(join(tmpdir(), 'payload-'));
  const folder = join(place.path, 'layer');
  const programs = 100;
  mkdirSync(join(folder, 'bin'), { recursive: true });
  for (let number = 0; number < programs; number++) writeFileSync(join(folder, `bin/${number}`), `#!/no/${number}\n`, { mode: 0o755 });
  const top = parseSnapshotId('1');
  const snapshots: KnownSnapshots = {
    chain: () => [{ id: top, parent: undefined, content: top, folder, createdAt: 0 }],
    get: () => undefined,
    getFact: () => undefined,
  };
  const settings = { entrypoint: [], command: [], environment: ['PATH=/bin'], workingDirectory: '', healthcheck: [], shell: [] };
  const wish: PayloadWish = {
    top,
    settings: { ...settings, architecture: 'amd64' },
    user: '',
    stages: [],
    copies: [top],
    record: undefined,
  };
  const whole = await findPayload(wish, snapshots, new AbortController().signal);
  assert.equal(whole.findings.length, programs);

  const controller = new AbortController();
  const why = cancelled('enough');
  const check = findPayload(wish, snapshots, controller.signal);
  // The folders take two turns: by now it is among the programs.
  void (async () => {
    for (let turns = 0; turns < programs / 2; turns++) await turn();
    controller.abort(why);
  })();
  await assert.rejects(check, why);
});
