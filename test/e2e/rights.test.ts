/** What a RUN is given of its user's: SSH keys, secrets, caches, the host's network, no sandbox; and that none of it stays. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bringProgram } from '#test/kit/programs.ts';
import { openSandbox, runCommand, type Sandbox } from '#test/kit/sandbox.ts';

function makeKey(folder: string, kind: string, passphrase = ''): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `id_${kind}${passphrase}`);
  execFileSync('ssh-keygen', ['-q', '-t', kind, '-N', passphrase, '-C', 'me@home.example', '-f', file]);
  return file;
}

/** A Dockerfile whose RUN with an SSH mount has `ssh-add` as $A. */
function sshContext(sandbox: Sandbox, run: string, options = ''): string {
  const words = bringProgram('ssh-add', join(sandbox.folder, 'tools'), '/tools');
  return sandbox.files({
    Dockerfile: `FROM busybox\nRUN --mount=type=bind,from=tools,target=/tools --mount=type=ssh${options} \\\n  A="${words}"; ${run}\n`,
  });
}

/** All bytes of the layers and documents of an image, and the names in its layers. */
async function everything(sandbox: Sandbox, tag: string): Promise<{ readonly bytes: string; readonly names: string }> {
  const archive = join(sandbox.folder, 'all.tar');
  const place = join(sandbox.folder, 'all');
  await sandbox.succeed(['save', '-o', archive, tag]);
  mkdirSync(place);
  execFileSync('tar', ['-xf', archive, '-C', place]);
  const each = (command: string): string =>
    execFileSync('sh', ['-c', `find ${place} -type f | while read f; do ${command} "$f" 2>/dev/null; done; true`], {
      encoding: 'latin1',
      maxBuffer: 1 << 28,
    });
  const all = { bytes: each('cat'), names: each('tar -tf') };
  rmSync(place, { recursive: true });
  return all;
}

test('--ssh with key files: the keys of each kind sign, nothing else is answered, nothing stays in the image', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const keys = ['ed25519', 'ecdsa', 'rsa'].map((kind) => makeKey(join(sandbox.folder, 'keys'), kind));
  const run = 'for k in /keys/*.pub; do $A -T $k && echo signed $k; done; $A -D; $A -l; ls -l $SSH_AUTH_SOCK';
  const context = sshContext(sandbox, run, ',target=/run/my/agent,mode=0640,uid=33 --mount=type=bind,from=keys,target=/keys');
  const publicKeys = sandbox.files(
    Object.fromEntries(keys.map((key, index) => [`${index}.pub`, readFileSync(`${key}.pub`, 'utf8')])),
    'public',
  );
  const words = [
    'build',
    '--progress=plain',
    '--build-context',
    'tools=tools',
    '--build-context',
    `keys=${publicKeys}`,
    '-t',
    'a',
    context,
  ];
  const done = await sandbox.jettison([...words, '--ssh', `default=${keys.join(',')}`]);
  assert.equal(done.status, 0, done.stderr);
  for (const index of [0, 1, 2]) assert.match(done.stderr, new RegExp(`signed /keys/${index}.pub`, 'u'));
  assert.match(done.stderr, /Failed to remove all identities/u);
  assert.deepEqual(
    [...done.stderr.matchAll(/ \((ED25519|ECDSA|RSA)\)/gu)].map((match) => match[1]),
    ['ED25519', 'ECDSA', 'RSA'],
  );
  assert.match(done.stderr, /srw-r----- +1 www-data root .* \/run\/my\/agent/u);
  const { bytes, names } = await everything(sandbox, 'a');
  assert.match(names, /bin\/busybox/u);
  assert.doesNotMatch(names, /^(?:run|keys|tools)/mu);
  for (const trace of ['me@home.example', 'PRIVATE KEY', keys[0]!]) assert.ok(!bytes.includes(trace), trace);

  const again = await sandbox.jettison([...words]);
  assert.match(again.stderr, /CACHED/u, 'a step that is known needs no agent');
  assert.equal(again.status, 0);
});

test('--ssh with an agent: a step may list and sign, but never add, remove or lock', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const key = makeKey(join(sandbox.folder, 'keys'), 'ed25519');
  const socket = join(sandbox.folder, 'agent');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  try {
    const environment = { SSH_AUTH_SOCK: socket };
    // 2: it cannot be reached.
    while ((await runCommand('ssh-add', ['-l'], { environment })).status === 2) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal((await runCommand('ssh-add', ['-q', key], { environment })).status, 0);
    const locked = 'printf "x\\nx\\n" | $A -x; $A -D; $A -d /keys/id.pub; $A -T /keys/id.pub && echo signed; $A -L';
    const context = sshContext(sandbox, locked, ',required=true --mount=type=bind,from=keys,target=/keys');
    sandbox.files({ 'id.pub': readFileSync(`${key}.pub`, 'utf8') }, 'public');
    const words = ['build', '--progress=plain', '--build-context', 'tools=tools', '--build-context', 'keys=public', context];
    const without = await sandbox.jettison(words);
    assert.equal(without.status, 1);
    assert.match(without.stderr, /^ERROR: An SSH agent or key "default" is required, but was not given\nGive it: --ssh default /mu);
    const done = await sandbox.jettison([...words, '--ssh', 'default'], { environment });
    assert.equal(done.status, 0, done.stderr);
    assert.match(done.stderr, /signed/u);
    const left = await runCommand('ssh-add', ['-L'], { environment });
    assert.match(left.stdout, /^ssh-ed25519 /u, 'the agent has its key and is not locked');
  } finally {
    agent.kill();
  }
});

test('--ssh: what cannot be used is said before anything runs', async () => {
  await using sandbox = await openSandbox();
  const context = sandbox.files({ Dockerfile: 'FROM scratch\n' });
  const locked = makeKey(join(sandbox.folder, 'keys'), 'ed25519', 'passphrase');
  for (const [given, message] of [
    [locked, /The key ".*" is protected by a passphrase\nGive it to an ssh-agent \("ssh-add /u],
    ['missing', /Cannot open what --ssh "default" names: ENOENT/u],
    [context, /Cannot use the key/u],
    ['', /--ssh "default" names no path, and there is no ssh-agent/u],
  ] as const) {
    const done = await sandbox.jettison(['build', '--ssh', `default=${given}`, context], { environment: { SSH_AUTH_SOCK: '' } });
    assert.equal(done.status, 1);
    assert.match(done.stderr, message);
  }
});

test('secrets: on a tmpfs, read-only, with mode and owner; a changed one runs nothing again; a missing required one stops the build at once', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = sandbox.files({
    Dockerfile: [
      'FROM busybox',
      'RUN echo a step before',
      'RUN --mount=type=secret,id=one --mount=type=secret,id=two,target=/deep/er/two,mode=0440,uid=33,gid=10,required=true \\',
      '  --mount=type=secret,id=three,env=THREE --mount=type=secret,id=four,env=FOUR,target=four --mount=type=secret,id=gone \\',
      '  wc -c < /run/secrets/one; ls -ln /deep/er/two; grep " /deep/er/two " /proc/mounts; (echo x > /deep/er/two) 2>&1; \\',
      '  echo "${#THREE} $(wc -c < /four) ${#FOUR}"; ls /run/secrets',
    ].join('\n'),
  });
  sandbox.files({ one: 'first-value-1', two: 'second-value' }, '.');
  const words = ['build', '--progress=plain', '--no-cache-filter=none', '-t', 'a', context];
  const given = [
    '--secret',
    'id=one,src=one',
    '--secret',
    'id=two,type=file,source=two',
    '--secret',
    'id=three,env=T',
    '--secret',
    'id=four',
  ];
  const environment = { T: 'third-value', four: 'fourth-value' };
  const without = await sandbox.jettison([...words, ...given.slice(0, 2)], { environment });
  assert.match(without.stderr, /^ERROR: Secret "two" is required, but was not given$/mu);
  assert.doesNotMatch(without.stderr, /a step before\n.*DONE/u, 'nothing ran');
  const done = await sandbox.jettison([...words, ...given], { environment });
  assert.equal(done.status, 0, done.stderr);
  const said = done.stderr.replaceAll(/^#\d+ [\d.]+ /gmu, '');
  assert.match(said, /^13\n-r--r----- +1 33 +10 +12 .*\ntmpfs \/deep\/er\/two tmpfs ro.*\n.*[Rr]ead-only file system\n11 12 12\none$/mu);
  const { bytes, names } = await everything(sandbox, 'a');
  assert.ok(!bytes.includes('-value'));
  assert.doesNotMatch(names, /^(?:deep|run|four)/mu);

  sandbox.files({ one: 'another-value' }, '.');
  const again = await sandbox.jettison([...words, ...given], { environment });
  assert.match(again.stderr, /\[3\/3\].*\n(?:.*\n)?#\d+ CACHED/u);
});

test('--allow: the host’s network and no sandbox only for who asks', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const network = sandbox.files({ Dockerfile: 'FROM busybox\nRUN --network=host true\n' }, 'network');
  const denied = await sandbox.jettison(['build', network]);
  assert.match(denied.stderr, /^ERROR: RUN --network=host: network.host is not allowed\nAllow it with "build --allow network.host"/mu);
  await sandbox.succeed(['build', '--allow', 'network.host', network]);
  await sandbox.succeed(['build', '--network', 'host', network]);
  assert.equal((await sandbox.jettison(['build', '--check', network])).status, 0);
  const cut = sandbox.files(
    { Dockerfile: 'FROM busybox\nRUN --network=default ls /sys/class/net | wc -l; ip link | grep -c ether || true\n' },
    'cut',
  );
  const none = await sandbox.jettison(['build', '--progress=plain', '--network', 'none', cut]);
  assert.match(none.stderr, /^#\d+ [\d.]+ 0$/mu, 'default is what the build was given');

  const insecure = sandbox.files(
    {
      Dockerfile: [
        'FROM busybox',
        'USER www-data',
        'RUN --security=insecure grep -E "^(CapEff|CapAmb|Seccomp):" /proc/self/status; ls /dev | tr "\\n" " "; grep -c " /sys/fs/cgroup" /proc/mounts',
        'USER root',
        'RUN --security=insecure mkdir /m && mount -t tmpfs m /m && umount /m && rmdir /m && echo mounted',
        'RUN mount -t tmpfs m /mnt 2>&1 || echo refused',
      ].join('\n'),
    },
    'insecure',
  );
  const refused = await sandbox.jettison(['build', '--allow', 'network.host', insecure]);
  assert.match(refused.stderr, /^ERROR: RUN --security=insecure: security.insecure is not allowed$/mu);
  const done = await sandbox.jettison(['build', '--progress=plain', '--allow', 'security.insecure', insecure]);
  assert.equal(done.status, 0, done.stderr);
  const own = /^CapEff:\s*(\w+)$/mu.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '';
  for (const part of [`CapEff:\\s*${own}`, `CapAmb:\\s*${own}`, 'Seccomp:\\s*0', 'fuse .*kmsg .*loop0 .*loop7 ', 'mounted', 'refused'])
    assert.match(done.stderr, new RegExp(part, 'u'));
});

/** Waits until both are there: those that have a cache each meet in another one, so that they are at work at once. */
const meet = 'touch /m/$me; for i in $(seq 3000); do if [ -e /m/a ] && [ -e /m/b ]; then break; fi; sleep 0.1; done;';

test('T5: a cache shared by two builds at once: locked one after the other, private side by side', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const context = (sharing: string, name: string): string =>
    sandbox.files(
      {
        Dockerfile: `FROM busybox\nRUN --mount=type=cache,target=/m,id=meet --mount=type=cache,target=/c,id=${sharing},sharing=${sharing} echo ${name}; me=${name}; ${sharing === 'private' ? meet : ''} test ! -e /c/busy && touch /c/busy && sleep 0.5 && rm /c/busy && echo ${name} >> /c/log && cat /c/log\n`,
      },
      `${sharing}-${name}`,
    );
  for (const sharing of ['locked', 'private']) {
    const builds = ['a', 'b'].map(async (name) => await sandbox.jettison(['build', '--progress=plain', context(sharing, name)]));
    const lines = (await Promise.all(builds)).map(({ status, stderr }) => {
      assert.equal(status, 0, stderr);
      return [...stderr.matchAll(/^#\d+ [\d.]+ ([ab])$/gmu)].length - 1;
    });
    assert.deepEqual(
      lines.toSorted((one, other) => one - other),
      sharing === 'locked' ? [1, 2] : [1, 1],
      sharing,
    );
  }
});
