import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempDisposableSync, readSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import { closeFile } from '#ground/linux/syscall.ts';
import { openLocalContext } from '#stores/context/local.ts';
import { openClientSource } from './source.ts';

/** Looks at `d/f` of a fresh folder, lets `change` happen, then opens what was seen; gives the text read. */
function readAfter(change: (folder: string) => void): string {
  using temporary = mkdtempDisposableSync('/tmp/jettison-source-');
  const folder = join(temporary.path, 'context');
  mkdirSync(join(folder, 'd'), { recursive: true });
  writeFileSync(join(folder, 'd/f'), 'text');
  writeFileSync(join(temporary.path, 'secret'), 'text');
  const tree = openLocalContext({ folder, ignore: [] });
  const [entry] = tree.list(fromText('d'));
  assert.ok(entry);
  using source = openClientSource(tree, tree.folder);
  change(folder);
  const file = source.open(entry);
  try {
    const bytes = Buffer.alloc(10);
    const text = bytes.toString('utf8', 0, readSync(file, bytes));
    source.check(file, entry);
    return text;
  } finally {
    closeFile(file);
  }
}

test('a file that is as it was seen is read', () => {
  assert.equal(
    readAfter(() => undefined),
    'text',
  );
});

const changes: Readonly<Record<string, (folder: string) => void>> = {
  'other bytes': (folder) => writeFileSync(join(folder, 'd/f'), 'more than that'),
  'other bytes with the old time and size': (folder) => {
    writeFileSync(join(folder, 'd/f'), 'TEXT');
    utimesSync(join(folder, 'd/f'), 1_000_000_000, 1_000_000_000);
  },
  'another mode': (folder) => chmodSync(join(folder, 'd/f'), 0o600),
  gone: (folder) => rmSync(join(folder, 'd/f')),
  'a link out of the context in its place': (folder) => {
    rmSync(join(folder, 'd/f'));
    symlinkSync('../../secret', join(folder, 'd/f'));
  },
  'a link in the place of its folder': (folder) => {
    renameSync(join(folder, 'd'), join(folder, '..', 'moved'));
    symlinkSync('../moved', join(folder, 'd'));
  },
  'a folder in its place': (folder) => {
    rmSync(join(folder, 'd/f'));
    mkdirSync(join(folder, 'd/f'));
  },
};

for (const [name, change] of Object.entries(changes)) {
  test(`a file is not copied that changed since it was seen: ${name}`, () => {
    assert.throws(
      () => readAfter(change),
      (error) => isCode(error, 'context/changed'),
    );
  });
}
