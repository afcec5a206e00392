import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readUsers, type Users } from './users.ts';

/** Of the test vectors of crypt_blowfish, and one of libxcrypt. */
const known: readonly (readonly [string, string])[] = [
  ['U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['U*U*', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK'],
  ['', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy'],
  ['geheim', '$2y$05$abcdefghijklmnopqrstuuVWu8RjbNovPZWAMRdd7iqaaG0mI53Uu'],
];

const { signal } = new AbortController();

async function standing(users: Users, user: string, password: string): Promise<string> {
  return await users.standingOf(`Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`, signal);
}

test('known hashes, and one letter more', async () => {
  for (const [password, stored] of known) {
    const users = readUsers(`anna:${stored}`, 'users');
    assert.equal(await standing(users, 'anna', `${password}x`), 'unknown', password);
    assert.equal(await standing(users, 'anna', password), 'known', password);
    assert.equal(await standing(users, 'anna', `${password}x`), 'unknown', password);
  }
  assert.equal(await standing(readUsers('# nobody\n', 'users'), 'anna', ''), 'unknown');
});

test('what is no hash of bcrypt', () => {
  for (const text of ['', '{SHA}x', '$apr1$x$y', '$2y$05$short', `$2y$03$${'.'.repeat(53)}`, `$2x$05$${'.'.repeat(53)}`]) {
    assert.throws(() => readUsers(`anna:${text}`, 'users'), { code: 'distribution/bad-htpasswd', message: /^users:1: not a name/u }, text);
  }
});

test('while a password is checked others are served, and only so many wait for it', async () => {
  const users = readUsers(`anna:${known[3]?.[1]}`, 'users');
  assert.equal(await standing(users, 'anna', 'geheim'), 'known');
  let isTurned = false;
  setImmediate(() => (isTurned = true));
  const order: string[] = [];
  const say = async (who: string, password: string): Promise<void> => {
    order.push(`${who} ${await standing(users, 'anna', password)}`);
  };
  const guesses = Array.from({ length: 51 }, async (_, index) => await say('guess', String(index)));
  await say('anna', 'geheim');
  assert.deepEqual(order, ['guess busy', 'anna known']);
  assert.equal(isTurned, false);
  await guesses[0];
  assert.equal(isTurned, true);
  await Promise.all(guesses);
  assert.equal(await standing(users, 'anna', '0'), 'unknown');
});
