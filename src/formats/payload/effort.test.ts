import { test } from 'node:test';
import assert from 'node:assert/strict';
import { asByteString } from '#ground/base/byte-string.ts';
import { checkPayload, type PayloadRequest } from './check.ts';
import type { Effort } from './look.ts';

const settings = {
  entrypoint: ['tool'],
  command: [],
  environment: [`PATH=${Array.from({ length: 100 }, (_, index) => `/bin${index}`).join(':')}`],
  workingDirectory: '/',
  healthcheck: [],
  shell: [],
  architecture: 'amd64',
};
const request: PayloadRequest = {
  files: { find: () => undefined, use: (_, read) => read({ size: 0, read: () => new Uint8Array(0) }) },
  settings,
  user: { uid: 0, gids: [0] },
  stages: [],
  brought: [asByteString('/bin0/tool')],
  cameFrom: () => undefined,
};

test('hostile programs: a check ends when it is more work than it may be, and says so', () => {
  assert.deepEqual(rules(undefined), ['error missing-program']);
  assert.deepEqual(rules({ left: 1000 }), ['warning not-followed']);
});

function rules(effort: Effort | undefined): readonly string[] {
  return finish(checkPayload(request, effort)).findings.map(({ rule, severity }) => `${severity} ${rule}`);
}

function finish<T>(work: Generator<unknown, T>): T {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
  }
}
