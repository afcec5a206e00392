/** Files of the build context that change in ways which are easy to miss: the image always holds what the context holds. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

/** Kind, mode and content of everything below a folder. */
function describe(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const stats = lstatSync(join(folder, name));
    const mode = (stats.mode & 0o7777).toString(8);
    if (stats.isSymbolicLink()) found[name] = `-> ${readlinkSync(join(folder, name))}`;
    else found[name] = stats.isDirectory() ? `folder ${mode}` : `${mode} ${readFileSync(join(folder, name), 'latin1')}`;
  }
  return found;
}

/** Builds, and gives what the image's one layer holds, unpacked from its archive; its DiffID must be that of the layer's bytes. */
async function built(place: Sandbox, context: string): Promise<Record<string, string>> {
  await place.succeed(['build', '-t', 'files', context]);
  const folder = join(place.folder, 'saved');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'layer'), { recursive: true });
  const archive = join(folder, 'image.tar');
  await place.succeed(['save', '-o', archive, 'files']);
  execFileSync('tar', ['-xf', archive, '-C', folder]);
  const [manifest] = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as [{ Config: string; Layers: [string] }];
  const config = JSON.parse(readFileSync(join(folder, manifest.Config), 'utf8')) as { rootfs: { diff_ids: string[] } };
  const layer = join(folder, manifest.Layers[0]);
  assert.deepEqual(config.rootfs.diff_ids, [`sha256:${createHash('sha256').update(readFileSync(layer)).digest('hex')}`]);
  execFileSync('tar', ['-xf', layer, '-C', join(folder, 'layer')]);
  return describe(join(folder, 'layer/app'));
}

test('the image holds what the context holds, however its files were changed', async () => {
  await using place = await openSandbox();
  const context = place.files({ Dockerfile: 'FROM scratch\nCOPY src /app\n' }, 'context');
  const src = join(context, 'src');
  for (let d = 0; d < 4; d++) {
    mkdirSync(join(src, `d${d}`), { recursive: true });
    for (let f = 0; f < 30; f++) writeFileSync(join(src, `d${d}/f${f}`), `file ${d} ${f}`);
  }
  const at = (path: string): string => join(src, path);
  const keepTimes = (path: string, change: () => void): void => {
    const { atime, mtime } = statSync(at(path));
    change();
    utimesSync(at(path), atime, mtime);
  };
  const changes: Readonly<Record<string, () => void>> = {
    'nothing yet': () => undefined,
    'same size and time': () => keepTimes('d0/f0', () => writeFileSync(at('d0/f0'), 'FILE 0 0')),
    'the same a moment later': () => keepTimes('d0/f0', () => writeFileSync(at('d0/f0'), 'File 0 0')),
    'only a mode': () => keepTimes('d1/f1', () => chmodSync(at('d1/f1'), 0o755)),
    'a link for a file': () => {
      rmSync(at('d2/f2'));
      symlinkSync('f3', at('d2/f2'));
    },
    'another file with the same size and time': () =>
      keepTimes('d3/f3', () => {
        writeFileSync(at('d3/new'), 'FILE 3 3');
        renameSync(at('d3/new'), at('d3/f3'));
      }),
    'two files change places': () => {
      renameSync(at('d3/f4'), at('d3/x'));
      renameSync(at('d3/f5'), at('d3/f4'));
      renameSync(at('d3/x'), at('d3/f5'));
    },
    'a time long ago': () => {
      writeFileSync(at('d0/f7'), 'FILE 0 7');
      utimesSync(at('d0/f7'), 1, 1);
    },
    'a folder for a file, a file for a folder': () => {
      rmSync(at('d2/f9'));
      mkdirSync(at('d2/f9'));
      rmSync(at('d1'), { recursive: true });
      writeFileSync(at('d1'), 'file');
    },
  };
  for (const [what, change] of Object.entries(changes)) {
    change();
    assert.deepEqual(await built(place, context), describe(src), what);
  }
  // Only times: nothing is copied, the layer stays.
  // What was built is named anew, and that has a time.
  const inspect = async (): Promise<string> => (await place.succeed(['inspect', 'files'])).replace(/"LastTagTime": "\S+"/u, '');
  const before = await inspect();
  for (let f = 0; f < 30; f++) utimesSync(at(`d0/f${f}`), 5, 5);
  await place.succeed(['build', '-t', 'files', context]);
  assert.equal(await inspect(), before);
});
