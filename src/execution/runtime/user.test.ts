import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isCode, JettisonError } from '#ground/base/errors.ts';
import { resolveUser, type AccountFiles } from './user.ts';
import { randomRuns } from '#test/kit/random.ts';

const files: AccountFiles = {
  passwd:
    'root:x:0:0:root:/root:/bin/sh\napp:x:700:700::/home/app:/bin/sh\n99999999999:x:0:0::/:\n8:x:0:0::/:\nbroken:x:zero:0::/:\n\n#c\nnohome:x:9:9:::\n',
  group: 'root:x:0:\napp:x:700:app\nextra:x:701:root,app\nagain:x:701:app\nusers:x:100:\nhuge:x:4294967296:app\n',
};
const ids = (spec: string, of = files): readonly [number, number, readonly number[], string] => {
  const { uid, gid, additionalGids, home } = resolveUser(spec, of);
  return [uid, gid, additionalGids, home];
};

test('every form of USER', () => {
  assert.deepEqual(ids(''), [0, 0, [0, 701], '/root']);
  assert.deepEqual(ids('root'), [0, 0, [0, 701], '/root']);
  assert.deepEqual(ids('app'), [700, 700, [700, 701], '/home/app']);
  assert.deepEqual(ids('700'), [700, 700, [700, 701], '/home/app']);
  assert.deepEqual(ids('app:users'), [700, 100, [100], '/home/app']);
  assert.deepEqual(ids('app:700'), [700, 700, [700], '/home/app']);
  assert.deepEqual(ids('app:'), [700, 700, [700, 701], '/home/app']);
  assert.deepEqual(ids(':users'), [0, 100, [100], '/root']);
  assert.deepEqual(ids('4040'), [4040, 0, [0], '/']);
  assert.deepEqual(ids('2147483647:2147483647'), [2147483647, 2147483647, [2147483647], '/']);
  assert.deepEqual(ids('nohome'), [9, 9, [9], '/']);
  assert.deepEqual(ids('', { passwd: undefined, group: undefined }), [0, 0, [0], '/']);
});

test('digits are a number, never a name; ids beyond 2^31 - 1 are refused', () => {
  assert.deepEqual(ids('8'), [8, 0, [0], '/']);
  for (const spec of ['99999999999', '4294967296', '2147483648', '-1', '0:4294967296', '18446744073709551616', '1:2:3']) {
    assert.throws(
      () => resolveUser(spec, files),
      (error) => isCode(error, 'runtime/bad-user'),
      spec,
    );
  }
});

test('unknown names say in which file they were looked for', () => {
  assert.throws(
    () => resolveUser('nobody', files),
    (error) => isCode(error, 'runtime/unknown-user') && /nobody.*\/etc\/passwd/.test(error.message),
  );
  assert.throws(
    () => resolveUser('app:none', files),
    (error) => isCode(error, 'runtime/unknown-group') && /none.*\/etc\/group/.test(error.message),
  );
  assert.throws(
    () => resolveUser('broken', files),
    (error) => isCode(error, 'runtime/unknown-user'),
  );
  assert.throws(
    () => resolveUser('a', { passwd: undefined, group: undefined }),
    (error) => isCode(error, 'runtime/unknown-user') && /no \/etc\/passwd/.test(error.hint ?? ''),
  );
});

test('whatever the files hold, ids are in range or the error is ours', () => {
  const line = fc
    .array(fc.oneof(fc.constantFrom('app', '0', '700', '', '4294967296', '-1', '0x0'), fc.string({ maxLength: 6 })), { maxLength: 8 })
    .map((fields) => fields.join(':'));
  const text = fc.array(line, { maxLength: 6 }).map((lines) => lines.join('\n'));
  fc.assert(
    fc.property(
      fc.oneof(fc.constantFrom('app', '0', '700:app', 'app:0'), fc.string({ maxLength: 8 })),
      text,
      text,
      (spec, passwd, group) => {
        try {
          const user = resolveUser(spec, { passwd, group });
          for (const id of [user.uid, user.gid, ...user.additionalGids]) assert.ok(Number.isInteger(id) && id >= 0 && id < 2 ** 31);
        } catch (error) {
          assert.ok(error instanceof JettisonError, String(error));
        }
      },
    ),
    randomRuns(),
  );
});
