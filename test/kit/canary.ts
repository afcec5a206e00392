/** A folder of the host that nothing hostile may reach: tests point their attacks at it and compare it before and after. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Canary = Disposable & {
  /** Absolute; in a folder of its own, outside of any store and context. Everybody may write there, so that whoever gets out shows. */
  readonly folder: string;
  /** `<folder>/file`, whose only line is `secret`. */
  readonly file: string;
  /** Words that are nowhere else: where they turn up, somebody has read the canary. */
  readonly secret: string;
  /** Fails when a name, kind, mode, owner, size, link, byte or change time is not what it was. */
  assertUnharmed(): void;
  /** Fails when the secret is in this text, or in a file below this folder (a store, an unpacked image) as it is. */
  assertUnread(where: { readonly text: string } | { readonly below: string }): void;
};

/** `owner`: who its files belong to, for builds of a normal user; else root. Further files of the host (`watched`) are compared by their bytes and looks. */
export function makeCanary({
  owner = process.getuid?.() ?? 0,
  watched = [],
}: { readonly owner?: number; readonly watched?: readonly string[] } = {}): Canary {
  const folder = mkdtempSync(join(tmpdir(), 'canary-of-host-'));
  const secret = `secret-${randomBytes(12).toString('hex')}`;
  const inside = (name: string): string => join(folder, name);
  writeFileSync(inside('file'), `${secret}\n`);
  mkdirSync(inside('folder'));
  writeFileSync(inside('folder/inner'), `${secret}\n`);
  mkdirSync(inside('empty'));
  linkSync(inside('file'), inside('second-name'));
  symlinkSync('file', inside('link'));
  // What images look for and would take from here, if they could.
  mkdirSync(inside('etc'));
  writeFileSync(inside('etc/passwd'), `root:x:0:0:${secret}:/:/bin/sh\nhostuser:x:0:0::/:/bin/sh\n`);
  writeFileSync(inside('etc/group'), 'root:x:0:\nhostuser:x:0:\n');
  for (const path of ['.', ...listBelow(folder)]) lchownSync(inside(path), owner, owner);
  for (const [path, mode] of [
    ['file', 0o666],
    ['folder', 0o1777],
    ['folder/inner', 0o4755],
    ['empty', 0o777],
    ['.', 0o777],
  ] as const)
    chmodSync(inside(path), mode);
  const looks = (): readonly string[] => [
    ...['.', ...listBelow(folder)].map((name) => describe(join(folder, name), name)),
    ...watched.map((path) => describe(path, path)),
  ];
  const before = looks();
  return {
    folder,
    file: inside('file'),
    secret,
    assertUnharmed: () => assert.deepEqual(looks(), before, 'the host is as it was'),
    assertUnread: (where) => {
      if ('text' in where) assert.ok(!where.text.includes(secret), `a file of the host was read:\n${where.text}`);
      else assert.deepEqual(filesWith(secret, where.below), [], 'a file of the host was copied');
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Relative paths of all entries; no link is followed (which `readdirSync` does when it is told to go on below). */
function listBelow(folder: string, below = ''): readonly string[] {
  return readdirSync(join(folder, below), { withFileTypes: true })
    .toSorted((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(below, entry.name);
      return entry.isDirectory() ? [path, ...listBelow(folder, path)] : [path];
    });
}

function describe(path: string, name: string): string {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return `${name}: missing`;
  const content = stats.isFile() ? readFileSync(path, 'latin1') : stats.isSymbolicLink() ? readlinkSync(path) : '';
  // Numbers of /proc and /sys have no times of their own.
  const changed = path.startsWith('/proc/') || path.startsWith('/sys/') ? '' : ` ${stats.ctimeNs} ${stats.size}`;
  return `${name}: ${stats.mode.toString(8)} ${stats.uid}:${stats.gid} ${stats.nlink}${changed} ${JSON.stringify(content)}`;
}

const chunk = new Uint8Array(1 << 20);

/** Paths of regular files that hold `text`, read in pieces that overlap. */
function filesWith(text: string, folder: string): readonly string[] {
  return listBelow(folder).filter((name) => {
    const path = join(folder, name);
    if (lstatSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false;
    const file = openSync(path, 'r');
    try {
      for (let at = 0; ;) {
        const count = readSync(file, chunk, 0, chunk.length, at);
        if (Buffer.from(chunk.buffer, 0, count).includes(text)) return true;
        if (count < chunk.length) return false;
        at += count - text.length;
      }
    } finally {
      closeSync(file);
    }
  });
}
