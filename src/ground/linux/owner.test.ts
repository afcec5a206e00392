import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempDisposableSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What the script prints in a user namespace with one id. */
function withOneId(script: string, folder: string): string {
  const modules = `const { openSync, mkdirSync, writeFileSync, symlinkSync, linkSync, unlinkSync, lstatSync } = await import('node:fs');
    const { setOwner, setOwnerAt, recordOwnersOf, ownersRecordedIn } = await import(${JSON.stringify(import.meta.resolve('#ground/linux/owner.ts'))});
    const { describeEntry, lookAt } = await import(${JSON.stringify(import.meta.resolve('#ground/linux/tree-read.ts'))});
    const { setTreeAttribute, readAttributes, removeTreeAttribute } = await import(${JSON.stringify(import.meta.resolve('#ground/linux/attributes.ts'))});
    process.chdir(process.argv[1]);
    const at = process.cwd();
    const own = (name, file = 'owners') => {
      const hostPath = at + '/' + name;
      const { uid, gid } = ownersRecordedIn(file)(describeEntry({ path: name, hostPath, layer: 0, stats: lookAt(hostPath) }));
      return uid + ':' + gid;
    };`;
  const words = ['--user', '--map-root-user', process.execPath, '--input-type=module', '-e', modules + script, '--', folder];
  return execFileSync('unshare', words, { encoding: 'utf8' }).trim();
}

test('owners of all kinds are recorded where there is one id, and taken back', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-owner-'));
  const script = `
    mkdirSync('tree'); mkdirSync('tree/folder'); symlinkSync('x', 'tree/link');
    const file = openSync('tree/file', 'w'); const tree = openSync('tree', 'r');
    const recording = recordOwnersOf(at + '/tree', 'owners');
    setOwner(file, 5, 6); setOwnerAt(tree, 'folder', 7, 8); setOwnerAt(tree, 'link', 9, 10); setOwnerAt(tree, '', 11, 12);
    recording[Symbol.dispose]();
    const before = ['tree/file', 'tree/folder', 'tree/link', 'tree'].map((name) => own(name));
    setOwnerAt(tree, 'file', 0, 0);
    linkSync('tree/link', 'tree/second');
    console.log(...before, own('tree/file'), own('tree/second'), own('tree/link', 'other'));`;
  assert.equal(withOneId(script, folder.path), '5:6 7:8 9:10 11:12 0:0 9:10 0:0');
});

test('an owner that a step made up counts only when it makes sense', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-owner-'));
  const script = `
    const { setAttribute } = await import(${JSON.stringify(import.meta.resolve('#ground/linux/attributes.ts'))});
    const found = ['1:2', '-1:0', '4294967295:0', '1:2:3', '1', ''].map((text, index) => {
      writeFileSync('f' + index, '');
      setAttribute(at + '/f' + index, 'user.jettison.owner', new TextEncoder().encode(text));
      return own('f' + index);
    });
    console.log(...found);`;
  assert.equal(withOneId(script, folder.path), '1:2 0:0 0:0 0:0 0:0 0:0');
});

test('an attribute that only the machine may set is kept under another name, and no other attribute is taken for a kept one', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'jettison-owner-'));
  const script = `
    writeFileSync('f', '');
    const file = at + '/f';
    const bytes = new TextEncoder().encode('yes');
    setTreeAttribute(file, 'trusted.a', bytes); setTreeAttribute(file, 'user.b', bytes); setTreeAttribute(file, 'trusted.c', bytes);
    removeTreeAttribute(file, 'trusted.c');
    for (const name of ['security.capability', 'trusted.overlay.opaque']) setTreeAttribute(file, 'user.jettison.kept.' + name, bytes);
    console.log([...readAttributes(file).keys()].toSorted().join(' '));`;
  const names = 'trusted.a user.b user.jettison.kept.security.capability user.jettison.kept.trusted.overlay.opaque';
  assert.equal(withOneId(script, folder.path), names);
});
