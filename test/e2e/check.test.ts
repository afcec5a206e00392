/** `jettison check` and the check at the end of a build: what it says of a start is what the runtime does. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { checkImage } from '#engine/check-payload.ts';
import { openEngine } from '#engine/open.ts';
import { payloadCases } from '#test/kit/payload-cases.ts';
import { buildPayloads, runPayloads, usualPath } from '#test/kit/payload-world.ts';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

const never = new AbortController().signal;
let sandbox: Sandbox;

before(async () => {
  sandbox = await openSandbox();
  await buildPayloads(sandbox);
});
after(async () => await sandbox[Symbol.asyncDispose]());

test('an error is said of exactly those starts that fail', async (t) => {
  await using engine = await openEngine({ environment: { ...process.env, ...sandbox.environment }, currentFolder: sandbox.folder });
  const wrong: string[] = [];
  const ran = runPayloads(sandbox, payloadCases);
  for (const [index, one] of payloadCases.entries()) {
    const start = {
      Entrypoint: one.words,
      Cmd: [],
      Env: [usualPath, ...(one.environment ?? [])],
      User: one.user === undefined ? '' : `${one.user}:${one.user}`,
      WorkingDir: one.folder ?? '/',
    };
    const { findings } = await checkImage(engine, { name: one.tree, platform: undefined, start }, () => undefined, never);
    const errors = findings.filter(({ severity }) => severity === 'error').map(({ message }) => message);
    const { starts, said } = ran[index] ?? { starts: false, said: 'nothing' };
    if (one.starts !== undefined && one.starts !== starts) wrong.push(`${one.name}: the case says ${one.starts}, the runtime: ${said}`);
    if (starts !== (errors.length === 0)) wrong.push(`${one.name}: said ${JSON.stringify(errors)}, the runtime: ${said}`);
  }
  t.diagnostic(`${payloadCases.length} starts, ${ran.filter(({ starts }) => !starts).length} of them fail`);
  assert.ok(payloadCases.length >= 60);
  assert.deepEqual(wrong, []);
});
