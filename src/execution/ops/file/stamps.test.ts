import assert from 'node:assert/strict';
import { mkdirSync, mkdtempDisposableSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { closeFile, openAt, AT_FDCWD, openFlags } from '#ground/linux/syscall.ts';
import { openLocalContext } from '#stores/context/local.ts';
import { openStamps } from './stamps.ts';

const second = 1_000_000_000n;

test('only a file whose change time was old when it was copied is linked the next time', () => {
  using temporary = mkdtempDisposableSync('/tmp/jettison-stamps-');
  const [context, before, now] = ['context', 'before', 'now'].map((name) => join(temporary.path, name)) as [string, string, string];
  for (const folder of [context, before, now]) mkdirSync(folder);
  for (const name of ['young', 'old']) {
    writeFileSync(join(context, name), name);
    writeFileSync(join(before, name), name);
  }
  const tree = openLocalContext({ folder: context, ignore: [] });
  const [young, old] = ['young', 'old'].map((name) => tree.entry(fromText(name))!) as [
    NonNullable<ReturnType<typeof tree.entry>>,
    NonNullable<ReturnType<typeof tree.entry>>,
  ];
  using first = openStamps(undefined, 'root');
  first.keep(young, young.path, young.ctime! + second / 100n);
  first.keep(old, old.path, old.ctime! + 3n * second);
  const into = openAt(AT_FDCWD, now, { flags: openFlags.directory, resolve: 0 });
  using next = openStamps({ folder: before, stamps: first.print() }, 'root');
  using otherLook = openStamps({ folder: before, stamps: first.print() }, 'nobody');
  using damaged = openStamps({ folder: before, stamps: first.print().slice(1) }, 'root');
  const linked = [
    next.link(young, young.path, into),
    next.link(old, old.path, into),
    otherLook.link(old, old.path, into),
    damaged.link(old, old.path, into),
  ];
  closeFile(into);
  assert.deepEqual(linked, [false, true, false, false]);
  assert.deepEqual(readdirSync(now), ['old']);
  // What was linked is known to the version after, too.
  assert.ok(next.print().includes('"old"') && !next.print().includes('"young"'));
});
