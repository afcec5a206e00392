/** A normal user builds: root's images bit for bit, files of all ids, and nothing that stays behind. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fromText } from '#ground/base/byte-string.ts';
import { setAttribute } from '#ground/linux/attributes.ts';
import { listImage, readImage } from '#test/kit/image-listing.ts';
import { normalUser, type NormalUser } from '#test/kit/normal-user.ts';
import { mountsWith, openSandbox, runCommand, type CommandOptions, type Finished, type Sandbox } from '#test/kit/sandbox.ts';
import { mainFile } from '#test/kit/main-file.ts';

const dockerfile = `FROM busybox AS build
RUN mkdir -p /out/kept /out/hidden && echo 1 > /out/kept/a && echo 2 > /out/hidden/b && mkfifo /out/pipe && ln -s a /out/kept/link
RUN chown -R 5:7 /out/kept && chmod 4750 /out/kept/a && chown 65534:65534 /out/pipe && chmod 0700 /out/hidden
RUN rm -r /out/hidden && mkdir /out/hidden && echo 3 > /out/hidden/c && rm /out/kept/link && find /out -exec touch -h -d @1000000000 {} +
FROM busybox
COPY --from=build /out /app
COPY --chown=33:34 --chmod=0640 file /app/kept/
ADD rows.tar /rows/
RUN echo app:x:1234:1234::/:/bin/sh >> /etc/passwd && rm /bin/vi && mv /app/hidden /app/shown && touch -d @1000000000 /etc /etc/passwd /bin /app
USER app
WORKDIR /work
RUN test $(id -u) = 1234 && ! touch /etc/x 2>/dev/null
CMD ["id", "-u"]
`;

/** As the command of the sandbox, but typed by a normal user. */
function typedBy(user: NormalUser, sandbox: Sandbox, store: string) {
  return async (words: readonly string[], options: CommandOptions = {}): Promise<Finished> => {
    const [command, ...before] = user.words;
    const environment = { ...sandbox.environment, JETTISON_STORE: store, HOME: sandbox.folder, ...options.environment };
    return await runCommand(command, [...before, process.execPath, mainFile, ...words], { cwd: sandbox.folder, ...options, environment });
  };
}

function makeContext(sandbox: Sandbox): string {
  const folder = sandbox.files({ Dockerfile: dockerfile, file: 'file\n', 'rows/one': '1\n' });
  execFileSync('tar', ['--numeric-owner', '--owner=11', '--group=12', '-cf', join(folder, 'rows.tar'), '-C', join(folder, 'rows'), 'one']);
  return folder;
}

function layersOf(inspected: string): readonly string[] {
  const [image] = JSON.parse(inspected) as readonly { readonly RootFS: { readonly Layers: readonly string[] } }[];
  return image?.RootFS.Layers ?? [];
}

/** What that user has made in the machine's folder for temporary files, and is there still. */
function temporaryOf(id: number): readonly string[] {
  return readdirSync(tmpdir()).filter((name) => lstatSync(join(tmpdir(), name), { throwIfNoEntry: false })?.uid === id);
}

async function openForUser(
  sandbox: Sandbox,
  options?: { readonly id: number },
): Promise<{ readonly user: NormalUser; readonly home: string; readonly store: string }> {
  const user = normalUser(sandbox.folder, options);
  execFileSync('chmod', ['755', sandbox.folder]);
  const home = join(sandbox.folder, 'home');
  execFileSync('mkdir', [home]);
  user.owns(home);
  return await Promise.resolve({ user, home, store: join(home, 'store') });
}

test('a normal user builds the image that root builds, runs it, and cleans up', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const folder = makeContext(sandbox);
  const options = { environment: { SOURCE_DATE_EPOCH: '1000000000' } };
  const build = ['build', '-q', '-t', 'app', folder];
  await sandbox.succeed(build, options);
  const { user, home, store } = await openForUser(sandbox);
  const typed = typedBy(user, sandbox, store);
  const base = join(sandbox.folder, 'base.tar');
  await sandbox.succeed(['save', '-o', base, 'busybox']);
  user.owns(base);

  const succeed = async (...line: readonly string[]): Promise<string> => {
    const done = await typed(line, options);
    assert.equal(done.status, 0, done.stderr);
    return done.stdout;
  };
  await succeed('load', '-i', base);
  await succeed(...build);
  assert.equal(await succeed('run', '--rm', 'app'), '1234\n');

  const [mine, roots] = [layersOf(await succeed('inspect', 'app')), layersOf(await sandbox.succeed(['inspect', 'app']))];
  assert.deepEqual(mine, roots);
  const saved = join(home, 'saved.tar');
  await succeed('save', '-o', saved, 'app');
  await sandbox.succeed(['save', '-o', join(sandbox.folder, 'roots.tar'), 'app']);
  const [all, rootsBase] = [readImage(saved), readImage(base)];
  assert.equal(listImage(all, rootsBase), listImage(readImage(join(sandbox.folder, 'roots.tar')), rootsBase));
  const list = 'ls -lnR /app /rows /etc/passwd /bin';
  assert.equal(await succeed('run', '--rm', 'app', 'sh', '-c', list), await sandbox.succeed(['run', '--rm', 'app', 'sh', '-c', list]));

  const unmapped = await typed(['run', '--rm', '-u', '5:70000', 'app', 'true']);
  assert.equal(unmapped.status, 125);
  assert.match(unmapped.stderr, /^ERROR: Cannot run as user "5:70000" \(5:70000\): group ids end at 6553[56] here\n.*\/etc\/subgid/mu);

  // Nothing changed: nothing runs. Then everything goes, although its owners are ids that the user is not.
  assert.match((await typed(['build', '--progress=plain', '-t', 'app', folder], options)).stderr, /10 of 10 steps cached/u);
  await succeed('du');
  await succeed('rmi', 'app');
  await succeed('prune', '-af');
  const { stdout: left } = await typed(['du']);
  assert.match(left, /Reclaimable:\s+0B/u);
  assert.deepEqual(mountsWith(store), []);
});

test('what belongs to others, here or mounted in a container, is named when it cannot be read or written, and is no bug', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const id = 4287;
  const { user, home, store } = await openForUser(sandbox, { id });
  const typed = typedBy(user, sandbox, store);
  const base = join(sandbox.folder, 'base.tar');
  await sandbox.succeed(['save', '-o', base, 'busybox']);
  user.owns(base);
  const secret = { text: 'root alone', mode: 0o600 };
  const folder = sandbox.files({ secret, 'closed/in': '', 'open/closed/in': '', file: '', Dockerfile: 'FROM busybox\n' });
  for (const closed of ['closed', 'open/closed']) chmodSync(join(folder, closed), 0o700);
  for (const line of [
    ['load', '-q', '-i', base],
    ['create', '--name', 'box', '-v', `${folder}:/b`, 'busybox', 'true'],
  ]) {
    const done = await typed(line);
    assert.equal(done.status, 0, done.stderr);
  }
  const lines: readonly (readonly [line: readonly string[], said: string])[] = [
    // Nothing is kept that could never be started.
    [['update', '--memory', '64m', 'box'], "Cannot set limits: making cgroups takes the rights of the machine's root"],
    [['cp', 'box:/b/secret', home], 'Cannot read "/b/secret": permission denied'],
    [['cp', 'box:/b/open', home], 'Cannot read "/b/open/closed": permission denied'],
    [['cp', 'box:/b/closed/in', '-'], 'Cannot read "/b/closed/in": permission denied'],
    [['cp', base, 'box:/b/'], 'Cannot write "/b/base.tar": permission denied'],
    [['cp', base, 'box:/b/file'], 'Cannot write "/b/file": permission denied'],
    [['cp', 'box:/etc/passwd', `${folder}/`], `Cannot write "${folder}/passwd": permission denied`],
    [['cp', 'box:/etc/passwd', `${folder}/closed/x`], `Cannot write "${folder}/closed/x": permission denied`],
    [['cp', `${folder}/secret`, 'box:/'], `Cannot read "${folder}/secret": permission denied`],
    [['cp', `${folder}/closed/in`, 'box:/'], `Cannot read "${folder}/closed/in": permission denied`],
    [['save', '-o', `${folder}/closed/x`, 'busybox'], `Cannot write "${folder}/closed/x": EACCES: permission denied`],
    [['build', '-f', `${folder}/secret`, home], `Cannot read the Dockerfile: permission denied: ${folder}/secret`],
    [['build', `${folder}/closed`], 'Cannot read the build context: permission denied'],
    [['build', '--iidfile', `${folder}/closed/x`, folder], `Cannot write the image ID to "${folder}/closed/x": EACCES`],
    [['build', '--metadata-file', `${folder}/closed/x`, folder], `Cannot write the metadata to "${folder}/closed/x": EACCES`],
  ];
  const before = temporaryOf(id);
  for (const [line, said] of lines) {
    const done = await typed(line);
    assert.ok(done.stderr.includes(`ERROR: ${said}`), `${line.join(' ')}: ${done.stderr}`);
    assert.doesNotMatch(done.stderr, /This is a bug|\n {4}at /u);
    assert.equal(done.status, 1, line.join(' '));
    assert.deepEqual(temporaryOf(id), before, line.join(' '));
  }
  const limited = await typed(['create', '--name', 'small', '--memory', '64m', 'busybox', 'true']);
  assert.match(limited.stderr, /^ERROR: Cannot set limits: /u);
  assert.equal((await typed(['ps', '-a', '--format', '{{.Names}}'])).stdout, 'box\n');
  assert.equal((await typed(['start', '-a', 'box'])).status, 0);
});

test('a store whose files have other owners is deleted as the README says', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const line = 'mkdir -p /v/d /k/d && touch /k/d/x && chown -R 7:8 /v /k && chmod 0 /v/d /k/d';
  const folder = sandbox.files({ Dockerfile: `FROM busybox\nRUN ${line}\n` });
  const base = join(sandbox.folder, 'base.tar');
  await sandbox.succeed(['save', '-o', base, 'busybox']);
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
  const [several, one] = [/`(unshare --user [^`]* rm -rf) ~/u, /`(unshare --map-root-user rm -rf)/u].map((form) => form.exec(readme)?.[1]);
  for (const ids of [true, false]) {
    const home = join(sandbox.folder, `home-${ids}`);
    mkdirSync(home);
    const user = normalUser(sandbox.folder, { ids });
    for (const path of [home, base]) user.owns(path);
    execFileSync('chmod', ['755', sandbox.folder]);
    const store = join(home, 'store');
    const typed = typedBy(user, sandbox, store);
    for (const words of [
      ['load', '-q', '-i', base],
      ['build', '-q', folder],
      ['run', '--rm', '--network', 'none', '-v', 'named:/v', 'busybox', 'sh', '-c', line],
    ]) {
      const done = await typed(words);
      assert.equal(done.status, 0, done.stderr);
    }
    const command = ids ? several : one;
    const [first, ...rest] = [...user.words, 'flock', join(store, 'snapshots/tending'), ...(command ?? 'rm -rf').split(' '), store];
    const removed = await runCommand(first, rest, { cwd: home, environment: sandbox.environment });
    assert.equal(removed.status, 0, removed.stderr);
    assert.deepEqual(readdirSync(home), []);
  }
});

test('the usual devices of a layer come out as they went in', async () => {
  await using sandbox = await openSandbox();
  const { user, home, store } = await openForUser(sandbox);
  const typed = typedBy(user, sandbox, store);
  const context = join(home, 'context');
  mkdirSync(join(context, 'dev'), { recursive: true });
  execFileSync('mknod', ['-m', '622', join(context, 'dev/console'), 'c', '5', '1']);
  execFileSync('mknod', ['-m', '666', join(context, 'dev/null'), 'c', '1', '3']);
  execFileSync('tar', ['-cf', join(context, 'root.tar'), '-C', context, 'dev']);
  rmSync(join(context, 'dev'), { recursive: true });
  writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nADD root.tar /\n');
  const listed = async (archive: string): Promise<string> => {
    const folder = join(home, 'unpacked');
    mkdirSync(folder);
    execFileSync('tar', ['-xf', archive, '-C', folder]);
    const [{ Layers: layers }] = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as readonly [
      { Layers: readonly string[] },
    ];
    const text = layers.map((layer) => execFileSync('tar', ['-tvf', join(folder, layer)], { encoding: 'utf8' })).join('');
    rmSync(folder, { recursive: true });
    return await Promise.resolve(text);
  };
  const succeed = async (...words: readonly string[]): Promise<void> => {
    const done = await typed(words);
    assert.equal(done.status, 0, done.stderr);
  };
  await succeed('build', '-q', '-t', 'devices', context);
  await succeed('save', '-o', join(home, 'one.tar'), 'devices');
  const first = await listed(join(home, 'one.tar'));
  assert.match(first, /^crw--w--w- .* 5,1 .* dev\/console$/mu);
  assert.match(first, /^crw-rw-rw- .* 1,3 .* dev\/null$/mu);
  // Unpacked again elsewhere, the layer must give its own DiffID.
  const other = typedBy(user, sandbox, join(home, 'other'));
  assert.equal((await other(['load', '-i', join(home, 'one.tar')])).status, 0);
  assert.equal((await other(['save', '-o', join(home, 'two.tar'), 'devices'])).status, 0);
  assert.equal(await listed(join(home, 'two.tar')), first);
});

test('K1: a build of a normal user that is killed takes its steps with it', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const folder = sandbox.files({ Dockerfile: 'FROM busybox\nRUN sleep 4242\n' });
  const { user, store } = await openForUser(sandbox, { id: 10_000_000 + process.pid });
  const typed = typedBy(user, sandbox, store);
  const base = join(sandbox.folder, 'base.tar');
  await sandbox.succeed(['save', '-o', base, 'busybox']);
  user.owns(base);
  assert.equal((await typed(['load', '-i', base])).status, 0);
  const done = await typed(['build', folder], {
    onStart: (build) => {
      void (async () => {
        while (!commandLines(user).some((line) => line.startsWith('sleep 4242'))) await setTimeout(50);
        build.kill('SIGKILL');
      })();
    },
  });
  assert.equal(done.signal, 'SIGKILL');
  // The kernel ends the others one after another.
  for (let wait = 0; wait < 6000 && commandLines(user).length > 0; wait++) await setTimeout(50);
  assert.deepEqual(commandLines(user), []);
  assert.deepEqual(mountsWith(store), []);
});

/** Of all processes of the user's. */
function commandLines({ id }: NormalUser): readonly string[] {
  return execFileSync('ps', ['-e', '-o', 'uid=,args='], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith(`${id} `))
    .map((line) => line.slice(`${id} `.length));
}

/** Owners of all kinds of entries, made and copied and copied up, and attributes that only the machine's root may set. */
const manyOwners = `FROM busybox AS build
ADD rows.tar /
RUN echo x > /rows/new && ln -s new /rows/made && mv /rows/file /rows/moved && touch -h -d @1000000000 /rows/new /rows/made /rows/moved /rows
FROM busybox
ADD rows.tar /
COPY --chown=33:34 tree /tree
COPY --from=build /rows /again
COPY --from=build --chown=7 /rows /other
RUN rm /tree/one && touch -d @1000000000 /tree/sub/two /tree/sub /tree /other
`;

function makeManyOwners(sandbox: Sandbox): string {
  const folder = sandbox.files({ Dockerfile: manyOwners, 'tree/one': '1\n', 'tree/sub/two': '2\n', 'rows/file': 'file\n' });
  const rows = join(folder, 'rows');
  execFileSync('sh', ['-c', 'ln -s file link && mkfifo fifo && ln file same && ln link linked && chmod 4711 file'], { cwd: rows });
  execFileSync('ln', ['-s', 'sub/two', join(folder, 'tree/link')]);
  execFileSync('chown', ['-Rh', '11:12', rows]);
  for (const name of ['trusted.kept', 'user.kept']) setAttribute(fromText(join(rows, 'file')), name, new Uint8Array([1]));
  execFileSync('chmod', ['4711', join(rows, 'file')]);
  execFileSync('find', [folder, '-exec', 'touch', '-h', '-d', '@1000000000', '{}', '+']);
  execFileSync('tar', ['--xattrs', '--xattrs-include=*', '--sort=name', '-cf', join(folder, 'rows.tar'), '-C', folder, 'rows']);
  rmSync(rows, { recursive: true });
  return folder;
}

test('every rung that this machine gives makes the same layers', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const folder = makeManyOwners(sandbox);
  const base = join(sandbox.folder, 'base.tar');
  await sandbox.succeed(['save', '-o', base, 'busybox']);
  const { user, home } = await openForUser(sandbox);
  const alone = normalUser(home, { ids: false });
  user.owns(base);
  const root = { words: ['env'] } as const;
  const rungs = [
    { isolation: 'oci', tree: 'overlay', who: root },
    { isolation: 'oci', tree: 'copies', who: root },
    { isolation: 'rootless', tree: 'overlay', who: { words: ['setpriv', '--bounding-set', '-sys_admin'] } },
    { isolation: 'chroot', tree: 'copies', who: { words: ['setpriv', '--bounding-set', '-sys_admin'] } },
    { isolation: 'rootless', tree: 'overlay', who: user },
    { isolation: 'rootless-single', tree: 'overlay', who: alone },
    { isolation: 'rootless-single', tree: 'copies', who: alone },
  ] as const;
  const made: (readonly string[])[] = [];
  for (const [index, { isolation, tree, who }] of rungs.entries()) {
    const rung = `${isolation},${tree}`;
    const typed = typedBy({ ...user, words: [...who.words] }, sandbox, join(home, `store${index}`));
    const environment = { SOURCE_DATE_EPOCH: '1000000000', JETTISON_ISOLATION: rung };
    const succeed = async (...words: readonly string[]): Promise<Finished> => {
      const done = await typed(words, { environment });
      assert.equal(done.status, 0, `${rung}: ${done.stderr}`);
      return done;
    };
    if (who === user || who === alone) user.owns(home);
    await succeed('load', '-i', base);
    const { stderr } = await succeed('build', '--progress=plain', '--isolation', rung, '-t', 'app', folder);
    const announced = /^Isolation: (\S+) \(.*\), (overlay|copies)/mu.exec(stderr)?.slice(1);
    assert.deepEqual(announced, rung === 'oci,overlay' ? undefined : [isolation, tree]);
    made.push(layersOf((await succeed('inspect', 'app')).stdout));
    if (who !== alone) continue;
    assert.match((await succeed('build', '--progress=plain', folder)).stderr, /7 of 7 steps cached/u);
    await succeed('prune', '-af');
    await succeed('rmi', 'app', 'busybox');
    assert.match((await succeed('du')).stdout, /Reclaimable:\s+0B/u);
  }
  for (const [index, layers] of made.entries()) assert.deepEqual(layers, made[0], rungs[index]?.isolation);
});

test('with one id a step gives files away in name only, and cannot be another user', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const chown = 'chown 5:7 /file && chgrp 7 /file && chown -Rh 5 /etc && test "$(stat -c %u:%g /file)" = 0:0';
  const folder = sandbox.files({
    Dockerfile: `FROM busybox\nRUN --mount=type=cache,target=/cache,uid=5 touch /file /cache/a && ${chown}\nRUN --mount=type=secret,id=s,uid=9 cat /run/secrets/s\nUSER 1234\n`,
    second: 'FROM busybox\nUSER 1234\nRUN true\n',
    secret: 'secret\n',
  });
  const base = join(sandbox.folder, 'base.tar');
  await sandbox.succeed(['save', '-o', base, 'busybox']);
  const { home, store } = await openForUser(sandbox);
  const alone = normalUser(home, { ids: false });
  alone.owns(base);
  const typed = typedBy(alone, sandbox, store);
  assert.equal((await typed(['load', '-i', base])).status, 0);
  const done = await typed(['build', '-t', 'app', '--secret', `id=s,src=${join(folder, 'secret')}`, folder]);
  assert.equal(done.status, 0, done.stderr);
  const refused = /ERROR: Cannot run as user "1234" \(1234:0\): isolation "rootless-single" has one id.*\n.*usermod --add-subuids/u;
  assert.match((await typed(['build', '-f', join(folder, 'second'), folder])).stderr, refused);
  assert.match((await typed(['run', '--rm', 'app', 'true'])).stderr, refused);
  assert.equal((await typed(['run', '--rm', '-u', '0', 'app', 'id', '-u'])).stdout, '0\n');
});

test('with one id apt installs a package that gives its files away', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('debian');
  const control = 'Package: hi\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y>\nDescription: hi\n';
  const folder = sandbox.files({
    'hi/DEBIAN/control': control,
    'hi/DEBIAN/postinst': { text: '#!/bin/sh\nset -e\nuseradd --system hi\nchown -R hi:hi /usr/share/hi\n', mode: 0o755 },
    'hi/usr/share/hi/file': 'hi\n',
    packages: control,
    Dockerfile: `FROM debian
COPY hi.deb packages /repo/
RUN cd /repo && cp packages Packages && printf 'Filename: ./hi.deb\\nSize: %s\\nSHA256: %s\\n' $(stat -c %s hi.deb) $(sha256sum hi.deb | cut -d' ' -f1) >> Packages
RUN rm -rf /etc/apt/sources.list.d && echo "deb [trusted=yes] file:/repo ./" > /etc/apt/sources.list && apt-get update && apt-get install -y hi
RUN id hi && cat /usr/share/hi/file
`,
  });
  chownSync(join(folder, 'hi/usr/share/hi/file'), 33, 34);
  execFileSync('dpkg-deb', ['-b', join(folder, 'hi'), join(folder, 'hi.deb')]);
  const base = join(sandbox.folder, 'base.tar');
  await sandbox.succeed(['save', '-o', base, 'debian']);
  const { home, store } = await openForUser(sandbox);
  const alone = normalUser(home, { ids: false });
  alone.owns(base);
  const typed = typedBy(alone, sandbox, store);
  assert.equal((await typed(['load', '-i', base])).status, 0);
  const done = await typed(['build', '--progress=plain', folder]);
  assert.equal(done.status, 0, done.stderr);
  assert.match(done.stderr, /Setting up hi \(1\)/u);
});

test('a rung that cannot be had is refused with what it lacks, and a store that was written on another', async () => {
  await using sandbox = await openSandbox();
  const folder = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
  const { home, store } = await openForUser(sandbox);
  const user = normalUser(home, { ids: false });
  const typed = typedBy(user, sandbox, store);
  const build = async (isolation: string): Promise<string> => (await typed(['build', '--isolation', isolation, folder])).stderr;
  assert.match(await build('oci'), /ERROR: Cannot build with isolation "oci": this is not root/u);
  assert.match(
    await build('rootless'),
    /"rootless": user pilot has no ids of its own in \/etc\/subuid and \/etc\/subgid\n.*usermod --add-subuids/u,
  );
  assert.match(await build('nothing'), /ERROR: "nothing" is no isolation/u);
  assert.match(await build('auto'), /^built in/mu);
  await sandbox.succeed(['build', '--isolation', 'rootless', folder]);
  assert.match(
    (await sandbox.jettison(['build', '--no-cache', '--isolation', 'oci', folder])).stderr,
    /ERROR: The store ".*" was written by a normal user.*, and means nothing to root with CAP_SYS_ADMIN\n.*--isolation rootless/u,
  );
  await sandbox.succeed(['build', '--no-cache', folder]);
});

test('T7: a store is one user’s: root is refused a user’s, and a user root’s, with a message', async () => {
  await using sandbox = await openSandbox();
  const { user, store } = await openForUser(sandbox);
  const typed = typedBy(user, sandbox, store);
  assert.equal((await typed(['images'])).status, 0);
  const root = await sandbox.jettison(['images'], { environment: { JETTISON_STORE: store } });
  assert.equal(root.status, 1);
  assert.match(
    root.stderr,
    /^ERROR: The store "[^"]*" belongs to another user \(id 4242\)\nBuild as that user, or name another folder in JETTISON_STORE$/mu,
  );
  assert.equal((await typed(['images'])).status, 0, 'it is as it was');
  await sandbox.succeed(['images']);
  const other = await typed(['images'], { environment: { JETTISON_STORE: sandbox.store } });
  assert.equal(other.status, 1);
  assert.match(other.stderr, /^ERROR: Cannot keep anything in "[^"]*": permission denied$/mu);
});

test('the doctor tries each rung, and says what is missing for it', async () => {
  await using sandbox = await openSandbox();
  const { user, home } = await openForUser(sandbox);
  const diagnose = async (who: readonly [string, ...string[]], store: string) => {
    const done = await typedBy({ ...user, words: who }, sandbox, join(home, store))(['doctor', '--format=json']);
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own document
    return { ...done, ...(JSON.parse(done.stdout) as Diagnosis) };
  };
  const root = await diagnose(['env'], 'root');
  assert.deepEqual([root.status, root.isolation, root.tree], [0, 'oci', 'overlay']);
  assert.deepEqual(
    root.rungs.map(({ isolation, works, tree }) => [isolation, works, tree]),
    [
      ['oci', true, 'overlay'],
      ['rootless', true, 'overlay'],
      ['rootless-single', true, 'overlay'],
      ['chroot', true, 'copies'],
    ],
  );
  assert.match(lackOf(root, 'rootless', 'limits'), /making cgroups/u);
  assert.match(await sandbox.succeed(['doctor']), /^Builds here run with isolation "oci", trees by overlay\.\n\nISOLATION/u);

  const alone = await diagnose(normalUser(home, { ids: false }).words, 'alone');
  assert.deepEqual([alone.status, alone.isolation], [0, 'rootless-single']);
  assert.match(lackOf(alone, 'rootless', 'isolation'), /user pilot has no ids of its own.*usermod --add-subuids 100000-165535.* pilot/u);
  assert.match(lackOf(alone, 'rootless-single', 'ids'), /usermod .* pilot/u);
  assert.match(lackOf(alone, 'oci', 'isolation'), /not root/u);

  // A store that was written with one id stays as it is when its user gets more, and the doctor says so.
  writeFileSync(join(home, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n');
  const build = await typedBy(normalUser(home, { ids: false }), sandbox, join(home, 'alone'))(['build', '-q', home]);
  assert.equal(build.status, 0, build.stderr);
  const later = await diagnose(user.words, 'alone');
  assert.deepEqual([later.status, later.isolation], [0, 'rootless-single']);
  assert.match(lackOf(later, 'rootless', 'store'), /written by a user with one id\. Name another one/u);
  assert.equal(lackOf(later, 'rootless-single', 'store'), '');

  // With no runtime builds do not go down to what runs steps without one.
  const without = 'for file in $(which -a crun runc); do mount --bind /dev/null $file; done; exec "$@"';
  const bare = await diagnose(['unshare', '--mount', 'sh', '-c', without, 'sh'], 'bare');
  assert.deepEqual([bare.status, bare.isolation], [1, null]);
  assert.match(lackOf(bare, 'oci', 'runtime'), /crun and runc not found/u);
  assert.equal(bare.rungs.find(({ isolation }) => isolation === 'chroot')?.works, true);

  const tame = await diagnose([...user.words, 'setpriv', '--no-new-privs'], 'tame');
  assert.deepEqual([tame.status, tame.isolation], [0, 'rootless-single']);
  assert.match(lackOf(tame, 'rootless', 'isolation'), /no_new_privs/u);

  const poor = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set -sys_admin,-sys_chroot "$@"';
  const nothing = await diagnose(['unshare', '--user', '--map-root-user', 'sh', '-c', poor, 'sh'], 'root');
  assert.deepEqual([nothing.status, nothing.isolation], [1, null]);
  assert.match(lackOf(nothing, 'oci', 'isolation'), /CAP_SYS_ADMIN.*--cap-add SYS_ADMIN/u);
  assert.match(lackOf(nothing, 'rootless', 'isolation'), /no user namespaces.*sysctl -w user\.max_user_namespaces/u);
  assert.match(lackOf(nothing, 'chroot', 'isolation'), /SYS_CHROOT/u);
  // What was tried is gone.
  for (const store of ['root', 'alone', 'tame']) assert.ok(!readdirSync(join(home, store)).some((name) => name.startsWith('doctor-')));
});

type Diagnosis = {
  readonly isolation: string | null;
  readonly tree: string | null;
  readonly rungs: readonly {
    readonly isolation: string;
    readonly works: boolean;
    readonly tree: string | null;
    readonly missing: readonly { readonly what: string; readonly problem: string; readonly hint: string }[];
  }[];
};

function lackOf({ rungs }: Diagnosis, isolation: string, what: string): string {
  const lack = rungs.find((rung) => rung.isolation === isolation)?.missing.find((one) => one.what === what);
  return lack === undefined ? '' : `${lack.problem}. ${lack.hint}`;
}
