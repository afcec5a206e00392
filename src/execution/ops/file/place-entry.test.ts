import assert from 'node:assert/strict';
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import { openLocalContext } from '#stores/context/local.ts';
import { openChainTree } from '#stores/snapshot/chain-tree.ts';
import { createEntryPlacer } from './place-entry.ts';
import { openClientSource, type Source } from './source.ts';
import { openUpper } from './upper.ts';

test('a file that is written while its bytes are copied fails the step', () => {
  using temporary = mkdtempDisposableSync('/tmp/jettison-place-entry-');
  const [context, target] = [join(temporary.path, 'context'), join(temporary.path, 'upper')];
  mkdirSync(context);
  mkdirSync(target);
  writeFileSync(join(context, 'f'), 'text');
  const tree = openLocalContext({ folder: context, ignore: [] });
  const entry = tree.entry(fromText('f'));
  assert.ok(entry);
  using upper = openUpper(target, openChainTree([]));
  using source = openClientSource(tree, tree.folder);
  using folder = upper.openFolder(fromText(''));
  const writing: Source = {
    ...source,
    openUnchecked(seen) {
      const file = source.openUnchecked(seen);
      writeFileSync(join(context, 'f'), 'TEXT');
      return file;
    },
  };
  const placer = createEntryPlacer({
    upper,
    source: writing,
    look: { owner: undefined, mode: (mode) => mode },
    mayLink: true,
    linked: new Map(),
    sourceName: '',
  });
  assert.throws(
    () => placer.place(folder, fromText('f'), entry),
    (error) => isCode(error, 'context/changed'),
  );
});
