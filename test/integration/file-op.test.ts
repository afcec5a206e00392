/** COPY, ADD, WORKDIR and here-documents on real snapshots: what the kernel shows of the result, through an overlay mount. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileBytesOf, filesIn, knownFileBytes } from '#execution/ops/file-bytes.ts';
import { contentDigest, openFileThread, runFile, type FileTools, type TreeSource } from '#execution/ops/file.ts';
import type { CopyAction, FileAction, FileOp } from '#formats/graph/op.ts';
import type { ProgressEvent } from '#formats/progress/event.ts';
import { cancelled } from '#ground/base/abort.ts';
import { fromText } from '#ground/base/byte-string.ts';
import { isCode } from '#ground/base/errors.ts';
import { getAttribute, setAttribute } from '#ground/linux/attributes.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import { openSnapshotStore, type OpenSnapshotStore } from '#stores/snapshot/store.ts';
import { writeSnapshot } from '#test/kit/snapshots.ts';

const signal = new AbortController().signal;

type Bench = AsyncDisposable & {
  readonly folder: string;
  readonly context: string;
  readonly store: OpenSnapshotStore;
  readonly tools: FileTools;
  readonly events: ProgressEvent[];
  /** A committed snapshot written through its mount. */
  write(parent: SnapshotId | undefined, work: (root: string) => void): Promise<SnapshotId>;
  /** Runs actions over `base`; input 0 is the base, input 1 what is copied from. */
  run(base: SnapshotId | undefined, from: TreeSource | undefined, ...actions: readonly FileAction[]): Promise<SnapshotId>;
  show(id: SnapshotId): Promise<Record<string, string>>;
};

async function openBench(): Promise<Bench> {
  await using stack = new AsyncDisposableStack();
  const temporary = stack.use(mkdtempDisposableSync('/tmp/jettison-file-op-'));
  const folder = temporary.path;
  const context = join(folder, 'context');
  mkdirSync(context);
  const store = stack.use(await openSnapshotStore({ folder: join(folder, 'store'), now: () => 1_790_000_000_000 }));
  const tools: FileTools = { snapshots: store, thread: stack.use(openFileThread()) };
  const events: ProgressEvent[] = [];
  const owned = stack.move();
  return {
    folder,
    context,
    store,
    tools,
    events,
    write: (parent, work) => writeSnapshot(store, parent, work),
    async run(base, from, ...actions) {
      const op: FileOp = { kind: 'file', base: base === undefined ? null : 0, actions };
      const inputs: (TreeSource | undefined)[] = [base === undefined ? undefined : { kind: 'snapshot', snapshot: base }, from];
      const made = await runFile({ op, inputs }, tools, (event) => events.push(event), signal);
      const bytes = filesIn(store.get(made)?.folder ?? '').reduce((sum, { size }) => sum + size, 0);
      assert.equal(knownFileBytes(store, made) ?? bytes, bytes, 'bytes that it counted');
      return made;
    },
    async show(id) {
      await using view = await store.view(id, signal);
      return describe(view.path);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function copy(sources: string | readonly string[], destination: string, more: Partial<CopyAction> = {}): CopyAction {
  return {
    kind: 'copy',
    input: 1,
    sources: typeof sources === 'string' ? [sources] : sources,
    wildcards: true,
    destination: destination.length > 1 ? destination.replace(/\/$/u, '') : destination,
    destinationIsFolder: destination.endsWith('/'),
    owner: null,
    mode: null,
    unpack: false,
    exclude: [],
    parents: false,
    ...more,
  };
}

const context = (bench: Bench, ignore: readonly string[] = []): TreeSource => ({ kind: 'folder', path: bench.context, ignore });
const stage = (snapshot: SnapshotId): TreeSource => ({ kind: 'snapshot', snapshot });

/** Path -> `type mode owner:group content`, the root left out. */
function describe(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  const walk = (path: string): void => {
    for (const name of readdirSync(join(root, path)).toSorted()) {
      if (name.includes('\u{fffd}')) continue;
      const inner = path === '' ? name : `${path}/${name}`;
      const stats = lstatSync(join(root, inner));
      const mode = (stats.mode & 0o7777).toString(8);
      const owner = `${stats.uid}:${stats.gid}`;
      if (stats.isSymbolicLink()) found[inner] = `link ${owner} ${readlinkSync(join(root, inner))}`;
      else if (stats.isDirectory()) found[inner] = `dir ${mode} ${owner}`;
      else if (stats.isFile())
        found[inner] = `file ${mode} ${owner} ${stats.size < 100 ? readFileSync(join(root, inner), 'utf8') : stats.size}`;
      else found[inner] = `${stats.isFIFO() ? 'fifo' : 'other'} ${mode} ${owner}`;
      if (stats.isDirectory()) walk(inner);
    }
  };
  walk('');
  return found;
}

function put(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

const common = { 'a.txt': 'a', 'b.txt': 'bb', 'c.md': 'ccc', 'd/e.txt': 'e', 'd/f/g.txt': 'g' };

test('files and folders of the client land as BuildKit places them', async () => {
  await using bench = await openBench();
  put(bench.context, common);
  chownSync(join(bench.context, 'a.txt'), 7, 8);
  const from = context(bench);
  const id = await bench.run(
    undefined,
    from,
    copy('/a.txt', '/one'),
    copy('/a.txt', '/x/y/'),
    copy('/d', '/tree'),
    copy(['/a.txt', '/c.md', '/d'], '/all/'),
    copy('/d', '/x'),
    copy('/b.txt', '/x/y'),
  );
  assert.deepEqual(await bench.show(id), {
    all: 'dir 755 0:0',
    'all/a.txt': 'file 644 0:0 a',
    'all/c.md': 'file 644 0:0 ccc',
    'all/e.txt': 'file 644 0:0 e',
    'all/f': 'dir 755 0:0',
    'all/f/g.txt': 'file 644 0:0 g',
    one: 'file 644 0:0 a',
    tree: 'dir 755 0:0',
    'tree/e.txt': 'file 644 0:0 e',
    'tree/f': 'dir 755 0:0',
    'tree/f/g.txt': 'file 644 0:0 g',
    x: 'dir 755 0:0',
    'x/e.txt': 'file 644 0:0 e',
    'x/f': 'dir 755 0:0',
    'x/f/g.txt': 'file 644 0:0 g',
    'x/y': 'dir 755 0:0',
    'x/y/a.txt': 'file 644 0:0 a',
    'x/y/b.txt': 'file 644 0:0 bb',
  });
});

test("a folder merges into what is there: the named folder keeps its looks, those inside take the source's", async () => {
  await using bench = await openBench();
  put(bench.context, common);
  chmodSync(join(bench.context, 'd'), 0o700);
  chmodSync(join(bench.context, 'd/f'), 0o711);
  const base = await bench.write(undefined, (root) => {
    put(root, { 't/f/old': 'old', 't/e.txt': 'old', 'u/k': 'k' });
    chmodSync(join(root, 't'), 0o750);
    chownSync(join(root, 't'), 5, 6);
    chmodSync(join(root, 't/f'), 0o700);
    setAttribute(fromText(join(root, 't')), 'user.note', new Uint8Array([1]));
  });
  const id = await bench.run(base, context(bench), copy('/d', '/t'), copy('/d', '/new'));
  assert.deepEqual(await bench.show(id), {
    new: 'dir 755 0:0',
    'new/e.txt': 'file 644 0:0 e',
    'new/f': 'dir 711 0:0',
    'new/f/g.txt': 'file 644 0:0 g',
    t: 'dir 750 5:6',
    't/e.txt': 'file 644 0:0 e',
    't/f': 'dir 711 0:0',
    't/f/g.txt': 'file 644 0:0 g',
    't/f/old': 'file 644 0:0 old',
    u: 'dir 755 0:0',
    'u/k': 'file 644 0:0 k',
  });
  const own = bench.store.get(id)?.folder ?? '';
  assert.deepEqual(readdirSync(own).toSorted(), ['new', 't'], 'only what changed is in the layer');
  assert.deepEqual(getAttribute(fromText(join(own, 't')), 'user.note'), new Uint8Array([1]), 'copied up with its attributes');
});

test('destinations follow links inside the root, also where they lead to nothing', async () => {
  await using bench = await openBench();
  put(bench.context, common);
  const base = await bench.write(undefined, (root) => {
    symlinkSync('/not/yet', join(root, 'l'));
    symlinkSync('../../gone-dir', join(root, 'm'));
    mkdirSync(join(root, 'real'));
    symlinkSync('/real', join(root, 'ln'));
    put(root, { 'real/old': 'old' });
    symlinkSync('old', join(root, 'real/link'));
  });
  const id = await bench.run(
    base,
    context(bench),
    copy('/a.txt', '/l'),
    copy('/b.txt', '/m/'),
    copy('/c.md', '/ln/sub/'),
    copy('/a.txt', '/real/link'),
    { kind: 'make-folder', path: '/ln/w/w', mode: 0o755, owner: null },
  );
  const shown = await bench.show(id);
  assert.equal(shown['not/yet'], 'file 644 0:0 a');
  assert.equal(shown['l'], 'link 0:0 /not/yet');
  assert.equal(shown['gone-dir/b.txt'], 'file 644 0:0 bb');
  assert.equal(shown['real/sub/c.md'], 'file 644 0:0 ccc');
  assert.equal(shown['real/old'], 'file 644 0:0 a', 'a file written through a link');
  assert.equal(shown['real/link'], 'link 0:0 old');
  assert.equal(shown['real/w/w'], 'dir 755 0:0');
  assert.equal(shown['ln'], 'link 0:0 /real');
});

test('links inside a copied folder replace and are replaced, never followed', async () => {
  await using bench = await openBench();
  mkdirSync(join(bench.context, 'd'));
  put(bench.context, { 'd/x': 'new', 'outside/f': 'f' });
  symlinkSync('../../outside', join(bench.context, 'd/s'));
  const base = await bench.write(undefined, (root) => {
    put(root, { 'keep/f': 'f', 't/s': 'file' });
    symlinkSync('/keep/f', join(root, 't/x'));
  });
  const id = await bench.run(base, context(bench), copy('/d', '/t'));
  assert.deepEqual(await bench.show(id), {
    keep: 'dir 755 0:0',
    'keep/f': 'file 644 0:0 f',
    t: 'dir 755 0:0',
    't/s': 'link 0:0 ../../outside',
    't/x': 'file 644 0:0 new',
  });
});

test('what cannot be placed is refused, and nothing stays behind', async () => {
  await using bench = await openBench();
  put(bench.context, { ...common, 'e/f/x': 'x', 'g/f': 'file' });
  const base = await bench.write(undefined, (root) => {
    put(root, { t: 'file', 'g/f/x': 'x', 'h/f': 'file', 'k/real/x': 'x' });
    symlinkSync('real', join(root, 'k/f'));
  });
  const before = readdirSync(join(bench.folder, 'store/s'));
  const refusals: readonly (readonly [FileAction, string, RegExp])[] = [
    [copy('/d', '/t'), 'ops/not-a-folder', /cannot copy to non-directory/u],
    [copy('/a.txt', '/t/x'), 'ops/not-a-folder', /"\/t" is not a directory/u],
    [copy('/a.txt', '/t/'), 'ops/not-a-folder', /not a directory/u],
    [copy('/g', '/g'), 'ops/folder-in-the-way', /cannot replace to directory "\/g\/f" with file/u],
    [copy('/e', '/h'), 'ops/not-a-folder', /cannot copy to non-directory: "\/h\/f"/u],
    [copy('/e', '/k'), 'ops/not-a-folder', /cannot copy to non-directory: "\/k\/f"/u],
    [{ kind: 'make-folder', path: '/t', mode: 0o755, owner: null }, 'ops/not-a-folder', /folder "\/t": "\/t" is not a directory/u],
    [copy('/nothing', '/x'), 'context/missing-source', /"\/nothing": not found/u],
    [copy('/a.txt', '/x', { owner: 'stranger' }), 'ops/unknown-user', /stranger/u],
    [copy('/a.txt', '/x', { owner: '1:2:3' }), 'ops/bad-owner', /"1:2:3"/u],
    [copy('/a.txt', '/x', { mode: 'u=q' }), 'ops/bad-mode', /u=q/u],
  ];
  for (const [action, code, message] of refusals) {
    await assert.rejects(bench.run(base, context(bench), copy('/a.txt', '/first'), action), (error) => {
      assert.ok(isCode(error, code), `${code}: ${String(error)}`);
      assert.match(error.message, message);
      return true;
    });
  }
  assert.deepEqual(readdirSync(join(bench.folder, 'store/s')), before);
});

test('owners and modes: --chown by name of the base, --chmod octal and symbolic, also for folders made on the way', async () => {
  await using bench = await openBench();
  put(bench.context, common);
  chmodSync(join(bench.context, 'c.md'), 0o4755);
  const base = await bench.write(undefined, (root) => {
    put(root, { 'etc/passwd': 'root:x:0:0::/:\ndaemon:x:1:2::/:\n', 'etc/group': 'root:x:0:\nusers:x:100:\n' });
  });
  const id = await bench.run(
    base,
    context(bench),
    copy('/a.txt', '/n/a', { owner: 'daemon' }),
    copy('/a.txt', '/n/b', { owner: 'daemon:users' }),
    copy('/a.txt', '/n/c', { owner: '33' }),
    copy('/a.txt', '/n/d', { owner: ':users' }),
    copy('/a.txt', '/n/e', { owner: 'daemon:' }),
    copy('/a.txt', '/n/f', { owner: ':' }),
    copy('/c.md', '/n/suid'),
    copy('/a.txt', '/made/p/f', { mode: 0o750, owner: '3:4' }),
    copy('/a.txt', '/open/f', { mode: 0o7777 }),
    copy('/a.txt', '/three', { mode: 0o4711 }),
    copy('/d', '/oct', { mode: 0o700 }),
    copy('/d', '/sym', { mode: 'u=rwX,go=rX,o-r', owner: '9' }),
    { kind: 'write-file', path: '/bin', name: 'script.sh', destinationIsFolder: true, text: 'é\n', mode: 0o755, owner: '7:8' },
    { kind: 'write-file', path: '/file', name: 'EOF', destinationIsFolder: false, text: '', mode: null, owner: null },
  );
  const shown = await bench.show(id);
  for (const path of Object.keys(shown)) if (path.startsWith('etc')) delete shown[path];
  assert.deepEqual(shown, {
    bin: 'dir 755 7:8',
    'bin/script.sh': 'file 755 7:8 é\n',
    file: 'file 644 0:0 ',
    made: 'dir 750 3:4',
    'made/p': 'dir 750 3:4',
    'made/p/f': 'file 750 3:4 a',
    n: 'dir 755 1:2',
    'n/a': 'file 644 1:2 a',
    'n/b': 'file 644 1:100 a',
    'n/c': 'file 644 33:33 a',
    'n/d': 'file 644 0:100 a',
    'n/e': 'file 644 1:0 a',
    'n/f': 'file 644 0:0 a',
    'n/suid': 'file 4755 0:0 ccc',
    oct: 'dir 700 0:0',
    'oct/e.txt': 'file 700 0:0 e',
    'oct/f': 'dir 700 0:0',
    'oct/f/g.txt': 'file 700 0:0 g',
    open: 'dir 755 0:0',
    'open/f': 'file 7777 0:0 a',
    sym: 'dir 755 9:9',
    'sym/e.txt': 'file 640 9:9 e',
    'sym/f': 'dir 751 9:9',
    'sym/f/g.txt': 'file 640 9:9 g',
    three: 'file 4711 0:0 a',
  });
});

test('from a stage files are linked, keep their owners, and the committed snapshot never changes', async () => {
  await using bench = await openBench();
  const from = await bench.write(undefined, (root) => {
    put(root, { 'd/f': 'data', 'd/g': 'g', 'd/sub/h': 'h' });
    chownSync(join(root, 'd/f'), 4, 5);
    chmodSync(join(root, 'd/f'), 0o640);
    linkSync(join(root, 'd/g'), join(root, 'd/g2'));
    chownSync(join(root, 'd/sub'), 4, 5);
    chownSync(join(root, 'd'), 4, 5);
    setAttribute(fromText(join(root, 'd/f')), 'user.note', new Uint8Array([200]));
    utimesSync(join(root, 'd/f'), 1_000_000_000, 1_000_000_000.5);
  });
  const source = bench.store.get(from)?.folder ?? '';
  const before = describe(source);
  const id = await bench.run(undefined, stage(from), copy('/d', '/d'), copy('/d/g', '/again'), copy('/d/f', '/owned', { owner: '1:1' }));
  const own = bench.store.get(id)?.folder ?? '';
  assert.equal(statSync(join(own, 'd/f')).ino, statSync(join(source, 'd/f')).ino, 'linked');
  assert.equal(statSync(join(own, 'd/g')).ino, statSync(join(own, 'd/g2')).ino, 'names of one file stay names of one file');
  assert.notEqual(statSync(join(own, 'again')).ino, statSync(join(own, 'd/g')).ino, 'sources that are copied apart stay apart');
  assert.deepEqual(await bench.show(id), {
    again: 'file 644 0:0 g',
    d: 'dir 755 0:0',
    'd/f': 'file 640 4:5 data',
    'd/g': 'file 644 0:0 g',
    'd/g2': 'file 644 0:0 g',
    'd/sub': 'dir 755 4:5',
    'd/sub/h': 'file 644 0:0 h',
    owned: 'file 640 1:1 data',
  });
  const moded = await bench.run(undefined, stage(from), copy('/d/f', '/moded', { mode: 0o600 }));
  const owned = await bench.run(undefined, stage(from), copy('/d/f', '/owned', { owner: '4' }));
  assert.deepEqual(
    { ...(await bench.show(moded)), ...(await bench.show(owned)) },
    {
      moded: 'file 600 4:5 data',
      owned: 'file 640 4:4 data',
    },
  );
  assert.deepEqual(getAttribute(fromText(join(own, 'owned')), 'user.note'), new Uint8Array([200]));
  assert.equal(statSync(join(own, 'owned')).mtimeMs, 1_000_000_000_500);

  // A later step that replaces or changes a linked file works on its own.
  const later = await bench.run(id, stage(from), copy('/d/sub/h', '/d/f'), copy('/d/f', '/d/f', { mode: 0o777 }));
  await bench.write(later, (root) => {
    writeFileSync(join(root, 'd/g'), 'changed');
    chmodSync(join(root, 'd/sub/h'), 0o777);
  });
  assert.deepEqual(describe(source), before);
});

test('a file that has as many names as its file system lets it is copied', async () => {
  await using bench = await openBench();
  const from = await bench.write(undefined, (root) => put(root, { f: 'text' }));
  const file = join(bench.store.get(from)?.folder ?? '', 'f');
  const names = join(bench.folder, 'names');
  mkdirSync(names);
  for (let links = 1; links < 65_000; links++) linkSync(file, join(names, `${links}`));
  const id = await bench.run(undefined, stage(from), copy('/f', '/f'));
  assert.deepEqual(await bench.show(id), { f: 'file 644 0:0 text' });
});

test('several names of a copied file stay one file; sparse, odd and special files come through', async () => {
  await using bench = await openBench();
  put(bench.context, { 's/x': 'x', 's/naïve 文件': 'n' });
  linkSync(join(bench.context, 's/x'), join(bench.context, 's/y'));
  writeFileSync(Buffer.from(`${bench.context}/s/\xff\xfe`, 'latin1'), 'bytes');
  execFileSync('truncate', ['-s', '40M', join(bench.context, 's/sparse')]);
  writeFileSync(join(bench.context, 's/sparse'), 'end', { flag: 'a' });
  execFileSync('mkfifo', ['-m', '644', join(bench.context, 's/pipe')]);
  execFileSync('python3', ['-c', `import socket; socket.socket(socket.AF_UNIX).bind(${JSON.stringify(join(bench.context, 's/sock'))})`]);
  utimesSync(join(bench.context, 's/x'), 1_000_000_000, 1_000_000_000.25);
  const id = await bench.run(undefined, context(bench), copy('/s', '/s'));
  const own = bench.store.get(id)?.folder ?? '';
  assert.equal(statSync(join(own, 's/x')).ino, statSync(join(own, 's/y')).ino);
  assert.notEqual(statSync(join(own, 's/x')).ino, statSync(join(bench.context, 's/x')).ino, "the client's own files are never linked");
  assert.equal(statSync(join(own, 's/x')).mtimeMs, 1_000_000_000_250);
  const sparse = statSync(join(own, 's/sparse'));
  assert.equal(sparse.size, 40 * 1024 * 1024 + 3);
  assert.ok(sparse.blocks < 64, `${sparse.blocks} blocks`);
  assert.equal(readFileSync(join(own, 's/sparse')).subarray(-3).toString(), 'end');
  assert.equal(readFileSync(Buffer.from(`${own}/s/\xff\xfe`, 'latin1'), 'utf8'), 'bytes');
  const shown = await bench.show(id);
  assert.equal(shown['s/pipe'], 'fifo 644 0:0');
  assert.match(shown['s/sock'] ?? '', /^file 7\d\d 0:0 $/u);
  assert.equal(shown['s/naïve 文件'], 'file 644 0:0 n');
});

test('devices are copied, but not one that would be a whiteout', async () => {
  await using bench = await openBench();
  mkdirSync(join(bench.context, 's'));
  const from = await bench.write(undefined, (root) => put(root, { f: 'f' }));
  execFileSync('mknod', [join(bench.context, 's/dev'), 'c', '1', '3']);
  const id = await bench.run(from, context(bench), copy('/s', '/s'));
  assert.match((await bench.show(id))['s/dev'] ?? '', /^other/u);
  mkdirSync(join(bench.context, 'w'));
  execFileSync('mknod', [join(bench.context, 'w/f'), 'c', '0', '0']);
  await assert.rejects(bench.run(from, context(bench), copy('/w', '/')), (error) => isCode(error, 'ops/whiteout-device'));
});

test('big copies run in the thread and give the same; excluded files stay out', async () => {
  await using bench = await openBench();
  for (let index = 0; index < 300; index++) put(bench.context, { [`m/${index % 7}/f${index}`]: `${index}` });
  put(bench.context, { 'm/3/x.o': 'o', 'm/y.o': 'o' });
  const id = await bench.run(undefined, context(bench), copy('/m', '/m', { exclude: ['**/*.o'] }));
  rmSync(join(bench.context, 'm/3/x.o'));
  rmSync(join(bench.context, 'm/y.o'));
  assert.deepEqual(await bench.show(id), describe(bench.context));
});

test('an abort in the middle of a copy leaves nothing behind, and the thread goes on', async () => {
  await using bench = await openBench();
  for (let index = 0; index < 5000; index++) put(bench.context, { [`m/${index % 50}/f${index}`]: `${index}` });
  const before = readdirSync(join(bench.folder, 'store/s'));
  const controller = new AbortController();
  const op: FileOp = { kind: 'file', base: null, actions: [copy('/m', '/m')] };
  const running = runFile({ op, inputs: [undefined, context(bench)] }, bench.tools, () => undefined, controller.signal);
  setTimeout(() => controller.abort(cancelled('Enough')), 30);
  await assert.rejects(running, (error) => isCode(error, 'base/cancelled'));
  assert.deepEqual(readdirSync(join(bench.folder, 'store/s')), before);
  const id = await bench.run(undefined, context(bench), copy('/m', '/m'));
  assert.equal(Object.keys(await bench.show(id)).length, 5051);
});

test('the thread stops in the middle of a job when its signal aborts', async () => {
  await using bench = await openBench();
  for (let index = 0; index < 5000; index++) put(bench.context, { [`m/${index % 50}/f${index}`]: `${index}` });
  const upper = join(bench.folder, 'upper');
  mkdirSync(upper);
  const op: FileOp = { kind: 'file', base: null, actions: [copy('/m', '/m')] };
  const controller = new AbortController();
  const job = { kind: 'write', op, upper, base: [], inputs: [undefined, { kind: 'folder', path: bench.context, ignore: [] }] } as const;
  const running = bench.tools.thread.run(job, controller.signal);
  const started = setInterval(() => {
    if (!existsSync(join(upper, 'm/10'))) return;
    clearInterval(started);
    controller.abort(cancelled('Enough'));
  }, 1);
  await assert.rejects(running, (error) => isCode(error, 'base/cancelled'));
  assert.ok(readdirSync(join(upper, 'm')).length < 50);
});

test('the content digest sees what is copied and nothing else', async () => {
  await using bench = await openBench();
  put(bench.context, { ...common, other: 'o' });
  const digest = (action: CopyAction) => contentDigest(context(bench), action, bench.tools, signal);
  const action = copy('/d', '/t');
  const first = await digest(action);
  utimesSync(join(bench.context, 'd/e.txt'), 1, 1);
  writeFileSync(join(bench.context, 'other'), 'changed');
  chmodSync(join(bench.context, 'd'), 0o700);
  chownSync(join(bench.context, 'd/e.txt'), 3, 4);
  assert.equal(await digest(action), first, 'times, owners of the client and other files do not count');
  chmodSync(join(bench.context, 'd/e.txt'), 0o755);
  const second = await digest(action);
  assert.notEqual(second, first, 'a mode counts');
  writeFileSync(join(bench.context, 'd/e.txt'), 'f');
  assert.notEqual(await digest(action), second, 'bytes count');
  symlinkSync('x', join(bench.context, 'd/l'));
  const third = await digest(action);
  rmSync(join(bench.context, 'd/l'));
  symlinkSync('y', join(bench.context, 'd/l'));
  assert.notEqual(await digest(action), third, 'link targets count');

  const from = await bench.write(undefined, (root) => put(root, { 'd/f': 'f' }));
  const owned = await bench.write(from, (root) => chownSync(join(root, 'd/f'), 1, 1));
  const ofStage = (id: SnapshotId) => contentDigest(stage(id), copy('/d', '/x'), bench.tools, signal);
  assert.notEqual(await ofStage(from), await ofStage(owned), 'owners in a stage count');
  assert.equal(await ofStage(from), await ofStage(from));
});

test('a file that changes while it is copied fails the step', async () => {
  await using bench = await openBench();
  put(bench.context, { 'm/z': '' });
  for (let index = 0; index < 5000; index++) put(bench.context, { [`m/a/f${index}`]: `${index}` });
  const running = bench.run(undefined, context(bench), copy('/m', '/m'));
  const snapshots = join(bench.folder, 'store/s');
  const started = setInterval(() => {
    if (!readdirSync(snapshots).some((id) => existsSync(join(snapshots, id, 'm/a')))) return;
    clearInterval(started);
    writeFileSync(join(bench.context, 'm/z'), 'x', { flag: 'a' });
  }, 1);
  await assert.rejects(running, (error) => isCode(error, 'context/changed'));
});

test("a working folder of a user that the image does not know is root's, and that is told", async () => {
  await using bench = await openBench();
  const base = await bench.write(undefined, (root) => put(root, { 'etc/passwd': 'app:x:7:8::/:\n', 'etc/group': 'staff:x:9:\n' }));
  const specs = { '/a': 'app', '/b': 'stranger', '/c': 'app:nobody', '/d': 'stranger:staff' };
  const actions = Object.entries(specs).map(([path, owner]) => ({ kind: 'make-folder', path, mode: 0o755, owner }) as const);
  const shown = await bench.show(await bench.run(base, undefined, ...actions));
  assert.deepEqual(
    Object.keys(specs).map((path) => shown[path.slice(1)]),
    ['dir 755 7:8', 'dir 755 0:0', 'dir 755 7:8', 'dir 755 0:9'],
  );
  const notes = bench.events.map((event) => (event.kind === 'note' ? event.text.slice(0, 35) : ''));
  assert.deepEqual(
    notes,
    ['stranger', 'nobody', 'stranger'].map((name, index) =>
      `Warning: Cannot find ${index === 1 ? 'group' : 'user'} "${name}"`.slice(0, 35),
    ),
  );
});

/** A here-document that holds its own name, of a root that no file names. */
function hereDocument(path: string, name: string): FileAction {
  return { kind: 'write-file', path, name, destinationIsFolder: false, text: name, mode: null, owner: 'root:root' };
}

test('how many bytes it wrote is known without looking, but for what was unpacked or written over', async () => {
  await using bench = await openBench();
  for (const name of ['a', 'b']) writeFileSync(join(bench.context, name), name.repeat(100));
  linkSync(join(bench.context, 'a'), join(bench.context, 'a2'));
  const made = await bench.run(undefined, context(bench), copy('/', '/x/'));
  assert.equal(knownFileBytes(bench.store, made), 200);
  const linked = await bench.run(undefined, stage(made), copy('/x', '/y/'), copy('/x/b', '/z'));
  assert.equal(knownFileBytes(bench.store, linked), 300);
  const twice = await bench.run(undefined, stage(made), copy(['/x/a', '/x/b'], '/z'));
  assert.equal(knownFileBytes(bench.store, twice), undefined);
  assert.equal(fileBytesOf(bench.store, twice), 100);
});

test('several sources to a path that is no folder: each takes the place of the one before, and that is told', async () => {
  await using bench = await openBench();
  put(bench.context, { one: '1', two: '2', three: '3', 'd/x': 'x' });
  const id = await bench.run(
    undefined,
    context(bench),
    copy(['/one', '/two', '/three'], '/missing'),
    hereDocument('/here', 'a'),
    hereDocument('/here', 'b'),
  );
  const shown = await bench.show(id);
  assert.deepEqual(Object.keys(shown), ['here', 'missing']);
  assert.match(shown['missing'] ?? '', /3$/u);
  const notes = bench.events.splice(0).map((event) => (event.kind === 'note' ? event.text : ''));
  assert.equal(notes.length, 2);
  assert.match(notes[0] ?? '', /^Warning: "\/missing" holds "\/three": "\/one" and 1 more are lost/u);
  assert.match(notes[1] ?? '', /^Warning: "\/here" holds "<<b": "<<a" is lost/u);

  const folders = await bench.run(undefined, context(bench), copy(['/d', '/one'], '/made'), copy(['/one', '/two'], '/made'));
  assert.deepEqual(Object.keys(await bench.show(folders)), ['made', 'made/one', 'made/two', 'made/x']);
  assert.deepEqual(bench.events, []);
  const clash = bench.run(undefined, context(bench), copy(['/one', '/d'], '/made'));
  await assert.rejects(clash, (error) => isCode(error, 'ops/not-a-folder'));
});

test('patterns that match nothing are told', async () => {
  await using bench = await openBench();
  put(bench.context, common);
  const id = await bench.run(undefined, context(bench), copy(['/a.txt', '/zzz*'], '/x/'));
  assert.deepEqual(Object.keys(await bench.show(id)), ['x', 'x/a.txt']);
  assert.deepEqual(bench.events, [{ kind: 'note', text: 'No file matches "/zzz*"' }]);
  assert.ok(existsSync(bench.context));
});

/** A tar made by Python's tarfile: `name type mode owner:group content-or-link` each. */
function makeTar(file: string, entries: readonly (readonly [string, string, number, string, string])[]): void {
  const script = `import json, sys, tarfile, io
types = {'file': tarfile.REGTYPE, 'dir': tarfile.DIRTYPE, 'link': tarfile.SYMTYPE, 'hard': tarfile.LNKTYPE, 'char': tarfile.CHRTYPE}
with tarfile.open(sys.argv[1], 'w', format=tarfile.PAX_FORMAT) as t:
    for name, kind, mode, owner, text in json.loads(sys.argv[2]):
        i = tarfile.TarInfo(); i.name = name; i.type = types[kind]; i.mode = mode; i.mtime = 1000000000
        i.uid, i.gid = map(int, owner.split(':'))
        data = text.encode() if kind == 'file' else b''
        i.size = len(data)
        if kind in ('link', 'hard'): i.linkname = text
        t.addfile(i, io.BytesIO(data))`;
  execFileSync('python3', ['-c', script, file, JSON.stringify(entries)]);
}

const add = (source: string, destination: string, more: Partial<CopyAction> = {}) => copy(source, destination, { unpack: true, ...more });

test('ADD unpacks tar archives of every compression, and copies what is none', async () => {
  await using bench = await openBench();
  makeTar(join(bench.context, 't.tar'), [
    ['./f1', 'file', 0o644, '0:0', 'one'],
    ['h', 'hard', 0o644, '0:0', './f1'],
    ['l', 'link', 0o777, '0:0', 'f1'],
    ['dir/', 'dir', 0o750, '12:34', ''],
    ['dir/sub/f2', 'file', 0o4711, '12:34', 'two'],
  ]);
  const shell = `cd ${bench.context} && gzip -k t.tar && bzip2 -k t.tar && xz -k t.tar && zstd -q t.tar && echo text | gzip > x.gz && echo not >> x.tar && head -c 60 t.tar.gz > cut.gz && head -c 20 t.tar.xz > bad.xz`;
  execFileSync('sh', ['-c', shell]);
  const id = await bench.run(
    undefined,
    context(bench),
    ...['tar', 'tar.gz', 'tar.bz2', 'tar.xz', 'tar.zst'].map((ending, index) => add(`/t.${ending}`, `/${index}/`)),
    add('/t.tar', '/owned', { owner: '77:88', mode: 0o600 }),
    add('/x*', '/plain/'),
    add('/bad.xz', '/plain/'),
  );
  const shown = await bench.show(id);
  const below = (folder: string) =>
    Object.fromEntries(
      Object.entries(shown).flatMap(([path, text]) => (path.startsWith(`${folder}/`) ? [[path.slice(folder.length + 1), text]] : [])),
    );
  const expected = {
    dir: 'dir 750 12:34',
    'dir/sub': 'dir 755 0:0',
    'dir/sub/f2': 'file 4711 12:34 two',
    f1: 'file 644 0:0 one',
    h: 'file 644 0:0 one',
    l: 'link 0:0 f1',
  };
  for (let index = 0; index < 5; index++) assert.deepEqual(below(`${index}`), expected, `${index}`);
  assert.equal(shown['owned'], 'dir 755 77:88');
  assert.equal(shown['owned/f1'], 'file 644 77:88 one');
  assert.deepEqual(Object.keys(below('plain')), ['bad.xz', 'x.gz', 'x.tar']);
  const own = bench.store.get(id)?.folder ?? '';
  assert.equal(statSync(join(own, '0/f1')).ino, statSync(join(own, '0/h')).ino);
  assert.equal(statSync(join(own, '0/dir')).mtimeMs, 1_000_000_000_000);
  assert.equal(statSync(join(own, '0/f1')).mtimeMs, 1_000_000_000_000);
});

test('an archive merges with what is there: folders stay, everything else is replaced', async () => {
  await using bench = await openBench();
  const base = await bench.write(undefined, (root) => {
    put(root, { 'to/keep': 'k', 'to/d/old': 'o', 'to/f': 'file', 'to/gone/x': 'x', 'to/real/r': 'r', 'to/again/below': 'b', secret: 's' });
    symlinkSync('/real', join(root, 'to/ln'));
    symlinkSync('../../secret', join(root, 'to/up'));
    symlinkSync('/real', join(root, 'to/named'));
  });
  makeTar(join(bench.context, 't.tar'), [
    ['d/', 'dir', 0o700, '1:1', ''],
    ['d/new', 'file', 0o644, '0:0', 'n'],
    ['f/', 'dir', 0o755, '0:0', ''],
    ['f/x', 'file', 0o644, '0:0', 'x'],
    ['gone', 'file', 0o644, '0:0', 'now a file'],
    ['ln/in', 'file', 0o644, '0:0', 'through'],
    ['named/', 'dir', 0o755, '0:0', ''],
    ['named/z', 'file', 0o644, '0:0', 'z'],
    ['up', 'file', 0o644, '0:0', 'u'],
    ['again', 'file', 0o644, '0:0', 'first'],
    ['again/', 'dir', 0o755, '0:0', ''],
    ['again/y', 'file', 0o644, '0:0', 'y'],
  ]);
  const id = await bench.run(base, context(bench), add('/t.tar', '/to'));
  assert.deepEqual(await bench.show(id), {
    secret: 'file 644 0:0 s',
    to: 'dir 755 0:0',
    'to/again': 'dir 755 0:0',
    'to/again/y': 'file 644 0:0 y',
    'to/d': 'dir 700 1:1',
    'to/d/new': 'file 644 0:0 n',
    'to/d/old': 'file 644 0:0 o',
    'to/f': 'dir 755 0:0',
    'to/f/x': 'file 644 0:0 x',
    'to/gone': 'file 644 0:0 now a file',
    'to/keep': 'file 644 0:0 k',
    'to/ln': 'link 0:0 /real',
    'to/named': 'dir 755 0:0',
    'to/named/z': 'file 644 0:0 z',
    'to/real': 'dir 755 0:0',
    'to/real/in': 'file 644 0:0 through',
    'to/real/r': 'file 644 0:0 r',
    'to/up': 'file 644 0:0 u',
  });
});

/** A file of an archive that should not be written where its name points. */
const file = (name: string): readonly [string, string, number, string, string] => [name, 'file', 0o644, '0:0', 'evil'];

test('an archive brings pipes and the usual devices of /dev, as the root file systems of debootstrap do', async () => {
  await using bench = await openBench();
  const script =
    'mkdir dev; mknod dev/null c 1 3; mkfifo dev/pipe; chmod 666 dev/*; tar cf t.tar dev; rm -r dev; mknod disk b 259 0; tar cf disk.tar disk';
  execFileSync('sh', ['-ec', script], { cwd: bench.context });
  const id = await bench.run(undefined, context(bench), add('/t.tar', '/'));
  const folder = join(bench.store.get(id)?.folder ?? '', 'dev');
  const looks = execFileSync('stat', ['-c', '%F %t:%T %a', 'null', 'pipe'], { cwd: folder, encoding: 'utf8' });
  assert.equal(looks, 'character special file 1:3 666\nfifo 0:0 666\n');
  const fail = async (archive: string, to: string) =>
    await assert.rejects(bench.run(undefined, context(bench), add(archive, to)), (error) => isCode(error, 'ops/bad-archive'));
  await fail('/disk.tar', '/');
  await fail('/t.tar', '/elsewhere/');
});

test('a hostile archive stays inside the destination or fails the step', async () => {
  await using bench = await openBench();
  const host = join(bench.folder, 'host');
  mkdirSync(host);
  writeFileSync(join(host, 'file'), 'untouched');
  const base = await bench.write(undefined, (root) => put(root, { 'etc/passwd': 'p', 'to/x': 'x' }));
  const unpack = async (...entries: readonly (readonly [string, string, number, string, string])[]) => {
    makeTar(join(bench.context, 't.tar'), entries);
    return await bench.show(await bench.run(base, context(bench), add('/t.tar', '/to')));
  };
  const rejects = async (message: RegExp, ...entries: readonly (readonly [string, string, number, string, string])[]) => {
    await assert.rejects(unpack(...entries), (error) => {
      assert.ok(isCode(error, 'ops/bad-archive'), String(error));
      assert.match(error.message, message);
      return true;
    });
  };
  await rejects(/leads out of the destination/u, file('../etc/passwd'));
  await rejects(/leads out of the destination/u, file('a/../../etc/passwd'));
  await rejects(/leads out of the destination/u, ['h', 'hard', 0o644, '0:0', '../etc/passwd']);
  await rejects(/not in the archive/u, ['h', 'hard', 0o644, '0:0', 'x']);
  await rejects(/leads out|not in the archive/u, ['h', 'hard', 0o644, '0:0', join(host, 'file')]);
  await rejects(/is a character-device node/u, ['dev', 'char', 0o644, '0:0', '']);
  assert.equal((await unpack(file('/etc/passwd')))['to/etc/passwd'], 'file 644 0:0 evil', 'absolute names are inside, too');
  const through = await unpack(
    ['l', 'link', 0o777, '0:0', host],
    file('l/file'),
    ['m', 'link', 0o777, '0:0', '../../..'],
    file('m/etc/passwd'),
  );
  assert.equal(through['etc/passwd'], 'file 644 0:0 p');
  assert.equal(through['to/etc/passwd'], 'file 644 0:0 evil');
  assert.equal(through[`to${host}/file`], 'file 644 0:0 evil');
  assert.equal(readFileSync(join(host, 'file'), 'utf8'), 'untouched');
  execFileSync('sh', ['-c', `cd ${bench.context} && head -c 100000 /dev/urandom > big && tar czf t.tar big && truncate -s 50000 t.tar`]);
  await assert.rejects(bench.run(base, context(bench), add('/t.tar', '/to')), (error) => isCode(error, 'ops/bad-archive'));
});
