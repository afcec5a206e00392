import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkPassword, costOf } from './bcrypt.ts';

/** Of the test vectors of crypt_blowfish, and one of libxcrypt. */
const known: readonly (readonly [string, string])[] = [
  ['U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
  ['U*U*', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK'],
  ['', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy'],
  ['geheim', '$2y$05$abcdefghijklmnopqrstuuVWu8RjbNovPZWAMRdd7iqaaG0mI53Uu'],
];

test('known hashes, and one letter more', () => {
  for (const [password, stored] of known) {
    assert.ok(checkPassword(password, stored), password);
    assert.ok(!checkPassword(`${password}x`, stored), password);
  }
});

test('what is no hash of bcrypt', () => {
  for (const text of ['', '{SHA}x', '$apr1$x$y', '$2y$05$short', `$2y$03$${'.'.repeat(53)}`, `$2x$05$${'.'.repeat(53)}`]) {
    assert.equal(costOf(text), undefined, text);
    assert.equal(checkPassword('', text), false, text);
  }
});
