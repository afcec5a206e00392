import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempDisposableSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCode } from '#ground/base/errors.ts';
import { openDatabase } from './open.ts';

const migrations = ['CREATE TABLE item (name TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT'];

test('a database keeps rows; it and its folder are private', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-db-');
  const file = join(folder.path, 'a/b/x.db');
  using database = openDatabase({ file, migrations });
  const insert = database.prepare('INSERT INTO item VALUES (?, ?)');
  assert.deepEqual(insert.run('one', 1), { changes: 1, lastId: 1 });
  assert.equal(database.prepare('SELECT size FROM item WHERE name = ?').get('one')?.['size'], 1);
  assert.equal(database.prepare('SELECT size FROM item WHERE name = ?').get('two'), undefined);
  assert.equal(statSync(join(folder.path, 'a/b')).mode & 0o777, 0o700);
  for (const name of readdirSync(join(folder.path, 'a/b')))
    assert.equal(statSync(join(folder.path, 'a/b', name)).mode & 0o777, 0o600, name);
  assert.deepEqual(database.notes, []);
  assert.equal(database.prepare('PRAGMA foreign_keys').get()?.['foreign_keys'], 1);
  assert.equal(database.prepare('PRAGMA journal_mode').get()?.['journal_mode'], 'wal');
  // W3: a crash of the machine may cost the last transactions, never the file.
  assert.equal(database.prepare('PRAGMA synchronous').get()?.['synchronous'], 1);
});

test('a statement is compiled when it is first used', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-db-');
  using database = openDatabase({ file: join(folder.path, 'x.db'), migrations });
  const early = database.prepare('SELECT name FROM later');
  assert.throws(() => early.all(), /no such table/u);
  database.prepare('CREATE TABLE later (name TEXT)').run();
  assert.deepEqual(early.all(), []);
});

test('an error rolls a transaction back, and a nested one only its own part', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-db-');
  using database = openDatabase({ file: join(folder.path, 'x.db'), migrations });
  const insert = database.prepare('INSERT INTO item VALUES (?, ?)');
  const names = () =>
    database
      .prepare('SELECT name FROM item ORDER BY name')
      .all()
      .map((row) => row['name']);
  assert.throws(() =>
    database.transaction(() => {
      insert.run('lost', 1);
      throw new Error('stop');
    }),
  );
  assert.deepEqual(names(), []);
  database.transaction(() => {
    insert.run('outer', 1);
    assert.throws(() =>
      database.transaction(() => {
        insert.run('inner', 1);
        throw new Error('stop');
      }),
    );
  });
  assert.deepEqual(names(), ['outer']);
  assert.throws(() => database.transaction(async () => insert.run('late', 1)), /may not wait/u);
  assert.deepEqual(names(), ['outer']);
});

test('migrations run once, a later schema is refused', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-db-');
  const file = join(folder.path, 'x.db');
  openDatabase({ file, migrations })[Symbol.dispose]();
  const more = [...migrations, { name: 'colour', sql: "ALTER TABLE item ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'" }];
  openDatabase({ file, migrations: more })[Symbol.dispose]();
  using again = openDatabase({ file, migrations: more });
  assert.equal(again.prepare('PRAGMA user_version').get()?.['user_version'], 2);
  assert.throws(
    () => openDatabase({ file, migrations }),
    (error) => isCode(error, 'db/newer'),
  );
});

test('a migration that fails leaves nothing behind', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-db-');
  const file = join(folder.path, 'x.db');
  assert.throws(
    () => openDatabase({ file, migrations: [...migrations, 'CREATE NONSENSE'] }),
    (error) => isCode(error, 'db/failed'),
  );
  using database = openDatabase({ file, migrations });
  assert.deepEqual(database.prepare('SELECT * FROM item').all(), []);
});

test('a file that is no database is put aside', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-db-');
  const file = join(folder.path, 'x.db');
  writeFileSync(file, 'this is not a database, but long enough to look like a header '.repeat(40));
  using database = openDatabase({ file, migrations });
  assert.match(database.notes.join(), /put aside/u);
  assert.deepEqual(database.prepare('SELECT * FROM item').all(), []);
  assert.equal(readdirSync(folder.path).filter((name) => /^x\.db\.broken-[^-]+-\d\d-\d\dT[\d-]+Z$/u.test(name)).length, 1);
});

test('damage found in the middle of work is put aside at the next opening', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-db-');
  const file = join(folder.path, 'x.db');
  {
    using database = openDatabase({ file, migrations });
    const insert = database.prepare('INSERT INTO item VALUES (?, ?)');
    database.transaction(() => {
      for (let count = 0; count < 5000; count++) insert.run(`item ${count} ${'x'.repeat(50)}`, count);
    });
  }
  const bytes = readFileSync(file);
  bytes.fill(0xaa, 4096 * 2, bytes.length - 4096);
  writeFileSync(file, bytes);
  {
    using database = openDatabase({ file, migrations });
    assert.throws(
      () => database.prepare('SELECT sum(size) FROM item WHERE name > ?').all(''),
      (error) => isCode(error, 'db/damaged'),
    );
  }
  using database = openDatabase({ file, migrations });
  assert.match(database.notes.join(), /put aside/u);
  using next = openDatabase({ file, migrations });
  assert.deepEqual(next.notes, []);
});

test('several processes open, migrate and write one new file at once', async () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-db-');
  const file = join(folder.path, 'x.db');
  const program = `
    const { openDatabase } = await import(${JSON.stringify(import.meta.resolve('./open.ts'))});
    using database = openDatabase({ file: process.argv[1], migrations: ${JSON.stringify(migrations)} });
    const insert = database.prepare('INSERT INTO item VALUES (?, ?)');
    for (let i = 0; i < 50; i++) database.transaction(() => insert.run(process.pid + ' ' + i, i));`;
  const exits = Array.from({ length: 4 }, async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, file], { stdio: ['ignore', 'ignore', 'inherit'] });
    return (await once(child, 'exit'))[0];
  });
  assert.deepEqual(await Promise.all(exits), [0, 0, 0, 0]);
  using database = openDatabase({ file, migrations });
  assert.equal(database.prepare('SELECT count(*) AS count FROM item').get()?.['count'], 200);
});

test('a database that was left is found whole by the next opener; a long log is worked off first', () => {
  using folder = mkdtempDisposableSync('/tmp/jettison-db-');
  const file = join(folder.path, 'x.db');
  // A process of its own: only its end gives the file up.
  const left = (rows: number): void => {
    const program = `
      import { openDatabase } from ${JSON.stringify(import.meta.resolve('./open.ts'))};
      const database = openDatabase({ file: ${JSON.stringify(file)}, migrations: ${JSON.stringify(migrations)} });
      const insert = database.prepare('INSERT OR REPLACE INTO item VALUES (?, ?)');
      database.transaction(() => { for (let i = 0; i < ${rows}; i++) insert.run('x'.repeat(1000) + i, i); });
      database.leave();
      process.exit();`;
    execFileSync(process.execPath, ['--input-type=module', '-e', program]);
  };
  left(10);
  assert.ok(statSync(`${file}-wal`).size > 0);
  {
    using database = openDatabase({ file, migrations });
    assert.equal(database.prepare('SELECT count(*) AS n FROM item').get()?.['n'], 10);
  }
  assert.equal(existsSync(`${file}-wal`), false);
  left(2000);
  assert.equal(existsSync(`${file}-wal`), false);
});
