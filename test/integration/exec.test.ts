import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { digestOf } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';
import type { ExecOp, Mount } from '#formats/graph/op.ts';
import type { ProgressEvent } from '#formats/progress/event.ts';
import type { SnapshotId } from '#stores/snapshot/contract.ts';
import { openSnapshotStore, type OpenSnapshotStore } from '#stores/snapshot/store.ts';
import { runExec, type ExecTools, type AnswerSsh } from '#execution/ops/exec.ts';
import { openFileThread, type FileThread, type TreeSource } from '#execution/ops/file.ts';
import { openRuntime } from '#execution/runtime/choose.ts';
import { makeBusyboxRoot } from '#test/kit/busybox.ts';
import { bringProgram } from '#test/kit/programs.ts';
import { inOwnNamespaces, removeWithMounts } from '#test/kit/own-namespaces.ts';
import { writeSnapshot } from '#test/kit/snapshots.ts';

const never = new AbortController().signal;
const vertex = digestOf('a vertex');

inOwnNamespaces(import.meta.filename, () => {
  let folder = '';
  let snapshots: OpenSnapshotStore;
  let thread: FileThread;
  let tools: ExecTools;
  let base: SnapshotId;
  let events: ProgressEvent[] = [];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'jettison-exec-'));
    snapshots = await openSnapshotStore({ folder: join(folder, 'snapshots'), now: Date.now });
    thread = openFileThread();
    const runtime = await openRuntime({ folder: join(folder, 'run'), memory: join(folder, 'runtime.json') }, () => undefined, never);
    tools = { snapshots, thread, runtime, cacheMounts: join(folder, 'caches'), engine: 12, now: () => 7 };
    base = await writeSnapshot(snapshots, undefined, makeBusyboxRoot);
  });
  after(async () => {
    await thread[Symbol.asyncDispose]();
    await snapshots[Symbol.asyncDispose]();
    removeWithMounts(folder);
  });

  async function exec(words: readonly string[], more: Partial<ExecOp> & Partial<Given> = {}): Promise<SnapshotId> {
    events = [];
    const op: ExecOp = {
      kind: 'exec',
      root: 0,
      arguments: words,
      environment: ['PATH=/bin'],
      workingDirectory: '/',
      user: '',
      network: 'default',
      security: 'sandbox',
      mounts: [],
      extraHosts: [],
      hostname: '',
      shmSize: null,
      ...more,
    };
    const inputs: readonly (TreeSource | undefined)[] = [{ kind: 'snapshot', snapshot: more.over ?? base }, ...(more.inputs ?? [])];
    const request = {
      vertex,
      op,
      inputs,
      quietEnvironment: more.quiet ?? [],
      secrets: more.secrets ?? new Map(),
      agents: more.agents ?? new Map(),
    };
    return await runExec(request, tools, (event) => events.push(event), more.signal ?? never);
  }
  const shell = (script: string, more: Partial<ExecOp> & Partial<Given> = {}) => exec(['/bin/sh', '-c', script], more);
  const output = (stream: string): string =>
    events.map((event) => (event.kind === 'output' && event.stream === stream ? event.text : '')).join('');
  const notes = (): readonly string[] => events.flatMap((event) => (event.kind === 'note' ? [event.text] : []));
  const upper = (id: SnapshotId): string => snapshots.get(id)!.folder;
  const layer = (id: SnapshotId): readonly string[] => readdirSync(upper(id), { recursive: true }).map(String).toSorted();
  /** Nothing of a run stays: no mount, no bundle, no secret, and of snapshots only those the test holds. */
  const assertClean = (): void => {
    const mounts = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(`${folder}/`));
    assert.equal(mounts.length, 1, mounts.join('\n')); // the runtime's own tmpfs
    assert.deepEqual(readdirSync(join(folder, 'run/bundles')), []);
    assert.deepEqual(readdirSync(tools.runtime.scratch), []);
  };

  test('what a step writes is its layer, what it says is reported', async () => {
    const made = await shell('echo out; echo err >&2; mkdir /o; echo x > /o/x');
    assert.deepEqual([output('stdout'), output('stderr')], ['out\n', 'err\n']);
    assert.deepEqual(layer(made), ['o', 'o/x', 'proc', 'sys']);
    const next = await shell('cat /o/x; rm /o/x', { over: made });
    assert.equal(output('stdout'), 'x\n');
    assert.deepEqual(layer(next), ['o', 'o/x']);
    assertClean();
  });

  test('a character cut in two by a pipe is one character', async () => {
    await shell('printf "\\303"; sleep 0.1; printf "\\244|\\303"');
    assert.equal(output('stdout'), 'ä|�');
  });

  test('failures in the words of BuildKit', async () => {
    const failed = 'process "/bin/sh -c exit 42" did not complete successfully: exit code: 42';
    assert.equal((await said(shell('exit 42'))).message, failed);
    const deadly = await said(exec(['sh', '-c', 'sh -c "kill -9 \\$\\$"; exit $?']));
    assert.match(deadly.message, /killed by signal SIGKILL \(exit code 137\)$/);
    const missing = await said(exec(['/bin/nothing', 'x']));
    assert.equal(missing.code, 'runtime/command-not-found');
    assert.equal(
      missing.message,
      'process "/bin/nothing x" did not complete successfully: exit code: 127: exec: "/bin/nothing": stat /bin/nothing: no such file or directory',
    );
    const scratch = await said(exec(['/bin/sh', '-c', 'echo hi'], { root: null }));
    assert.match(scratch.message, /\/bin\/sh.*no such file/);
    assert.match(scratch.hint ?? '', /no shell/);
    assert.match((await said(shell('true', { user: 'nobody-here' }))).message, /nobody-here.*\/etc\/passwd/);
    assertClean();
  });

  test('a step that writes nothing has an empty layer, and its folders keep their times', async () => {
    const times = new Date('2020-02-02T02:02:02Z');
    const full = await writeSnapshot(snapshots, base, (root) => {
      for (const name of ['proc', 'sys', 'run', 'opt', 'opt/deep']) mkdirSync(join(root, name));
      for (const name of ['etc', 'run', 'opt/deep', 'opt', '.']) utimesSync(join(root, name), times, times);
    });
    const mounts: Mount[] = [
      { kind: 'tmpfs', target: '/run/secrets/here', size: null },
      { kind: 'tmpfs', target: '/opt/deep/er', size: null },
    ];
    const made = await shell('echo x > /run/secrets/here/x; test -f /etc/resolv.conf; test -f /etc/hosts', { over: full, mounts });
    assert.deepEqual(layer(made), []);
    const touched = await shell('touch /etc/new; rm /etc/new; ls /run > /opt/deep/ls', { over: full, mounts });
    assert.deepEqual(layer(touched), ['etc', 'opt', 'opt/deep', 'opt/deep/ls']);
    assert.equal(readFileSync(join(upper(touched), 'opt/deep/ls'), 'utf8'), 'secrets\n');
    assert.notEqual(statSync(join(upper(touched), 'etc')).mtimeMs, times.getTime());
    assert.equal(statSync(join(upper(touched), 'opt')).mtimeMs, times.getTime());
  });

  test('nothing is left in /etc when a step mounts over it', async () => {
    const bare = await writeSnapshot(snapshots, base, (root) => mkdirSync(join(root, 'etc'), { recursive: true }));
    const made = await shell('ls -A /etc; echo x > /etc/y', { over: bare, mounts: [{ kind: 'tmpfs', target: '/etc', size: null }] });
    assert.equal(output('stdout'), '');
    assert.deepEqual(layer(made), ['proc', 'sys']);
  });

  test('a step may write /etc/hostname of the image, and nothing is left of it by one that does not', async () => {
    const made = await shell('mkdir -p /etc; test ! -e /etc/hostname && echo own > /etc/hostname');
    assert.equal(readFileSync(join(upper(made), 'etc/hostname'), 'utf8'), 'own\n');
  });

  test('environment: what the op says, PATH and HOME where it does not, nothing else', async () => {
    await exec(['/bin/env'], { environment: ['A=1'], quiet: ['HTTP_PROXY=p'], user: 'app' });
    const shown = output('stdout').split('\n').toSorted().filter(Boolean);
    assert.deepEqual(shown, ['A=1', 'HOME=/home/app', 'HTTP_PROXY=p', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']);
    await exec(['/bin/env'], { environment: ['HOME=/x', 'PATH=/bin'] });
    assert.deepEqual(output('stdout').split('\n').toSorted().filter(Boolean), ['HOME=/x', 'PATH=/bin']);
  });

  test('users and their groups as BuildKit has them', async () => {
    for (const [user, groups, home] of [
      ['', '0', '/root'],
      ['app', '700 701', '/home/app'],
      ['700', '700 701', '/home/app'],
      ['app:app', '700', '/home/app'],
      ['700:701', '701', '/home/app'],
      ['4040', '0', '/'],
      ['4040:users', '100', '/'],
    ] as const) {
      await shell('id -G; echo $HOME', { user });
      assert.equal(output('stdout'), `${groups}\n${home}\n`, user);
    }
  });

  test('the working directory is made, inside the root, for root; a file or /proc is refused', async () => {
    const linked = await writeSnapshot(snapshots, base, (root) => {
      symlinkSync('../../../../../../tmp', join(root, 'link'));
      symlinkSync('/proc/self/fd/3', join(root, 'fd'));
      writeFileSync(join(root, 'file'), '');
    });
    const canary = `/tmp/jettison-canary-${process.pid}`;
    const made = await shell('pwd; stat -c "%a %u" .', {
      over: linked,
      workingDirectory: `/link/jettison-canary-${process.pid}/deep`,
      user: 'app',
    });
    assert.equal(output('stdout'), `${canary}/deep\n755 0\n`);
    assert.equal(existsSync(canary), false);
    assert.ok(layer(made).includes(`tmp/jettison-canary-${process.pid}/deep`));
    for (const workingDirectory of ['/file', '/proc/self/fd/3', '/fd', '/proc']) {
      assert.equal((await said(shell('pwd', { over: linked, workingDirectory }))).code, 'runtime/bad-working-directory', workingDirectory);
    }
  });

  test('a root whose /dev is a link is refused before anything is made', async () => {
    const canary = join(folder, 'canary');
    mkdirSync(canary);
    for (const name of ['dev', 'proc', 'etc']) {
      const bad = await writeSnapshot(snapshots, base, (root) => {
        rmSync(join(root, name), { recursive: true, force: true });
        symlinkSync(canary, join(root, name));
      });
      assert.equal((await said(shell('true', { over: bad }))).code, 'runtime/unsafe-root');
    }
    assert.deepEqual(readdirSync(canary), []);
    assertClean();
  });

  test('mount points are left out of the layer; one that is a link is resolved in the root', async () => {
    const f = await writeSnapshot(snapshots, undefined, (root) => {
      writeFileSync(join(root, 'f'), 'F');
      symlinkSync('/', join(root, 'up'));
      symlinkSync('../../../../../..', join(root, 'out'));
    });
    const inputs: TreeSource[] = [{ kind: 'snapshot', snapshot: f }];
    assert.deepEqual(layer(await shell('cat /made/for/file', { inputs, mounts: [bind('/f', '/made/for/file')] })), ['proc', 'sys']);
    assert.equal(output('stdout'), 'F');
    await shell('cat /x/f /y/f; (echo no > /x/f) 2>/dev/null || echo refused', { inputs, mounts: [bind('/up', '/x'), bind('/out', '/y')] });
    assert.equal(output('stdout'), 'FFrefused\n');
    await shell('echo G > /x/f; cat /x/f', { inputs, mounts: [bind('/', '/x', false)] });
    assert.equal(output('stdout'), 'G\n');
    assert.equal(readFileSync(join(upper(f), 'f'), 'utf8'), 'F');
    assert.equal((await said(shell('true', { inputs, mounts: [bind('/nothing', '/x')] }))).code, 'ops/missing-source');
    const escape = await writeSnapshot(snapshots, base, (root) => symlinkSync('../../../../../../tmp', join(root, 'esc')));
    const made = await shell('echo x > /esc/jettison-esc/x; ls /tmp/jettison-esc', {
      over: escape,
      mounts: [{ kind: 'tmpfs', target: '/esc/jettison-esc', size: null }],
    });
    assert.equal(output('stdout'), 'x\n');
    assert.deepEqual([existsSync('/tmp/jettison-esc'), layer(made)], [false, ['proc', 'sys']]);
    for (const target of ['/', '/proc', '/proc/sys/x', '/esc/../../proc/1']) {
      assert.equal(
        (await said(shell('true', { mounts: [{ kind: 'tmpfs', target, size: null }] }))).code,
        'runtime/bad-mount-target',
        target,
      );
    }
    assertClean();
  });

  test('a bind of the build context shows what is not ignored', async () => {
    const context = join(folder, 'context');
    mkdirSync(join(context, 'd'), { recursive: true });
    writeFileSync(join(context, 'd/f'), 'F');
    writeFileSync(join(context, 'd/secret'), 'S');
    const inputs: TreeSource[] = [{ kind: 'folder', path: context, ignore: ['**/secret'] }];
    const mounts: Mount[] = [
      { kind: 'bind', input: 1, source: '/d/f', target: '/x/file', readOnly: true },
      { kind: 'bind', input: 1, source: '/d', target: '/y', readOnly: true },
      { kind: 'bind', input: 1, source: '/', target: '/z', readOnly: false },
    ];
    await shell('cat /x/file; ls /y; ls /z/d; echo new > /z/new', { inputs, mounts });
    assert.equal(output('stdout'), 'Ff\nf\n');
    assert.deepEqual(readdirSync(context), ['d']);
    assertClean();
  });

  test('T5: cache mounts: kept by id, apart from each other, and never led astray', async () => {
    await shell('echo a > /c/a; stat -c "%a %u" /c; mkdir /c/sub; ln -s /etc /c/sub/link', { mounts: [cache('../../a')] });
    assert.equal(output('stdout'), '750 700\n');
    await shell('ls /c', { mounts: [cache('b')] });
    assert.equal(output('stdout'), '');
    await shell('cat /c/a', { mounts: [cache('../../a')] });
    assert.equal(output('stdout'), 'a\n');
    assert.equal((await said(shell('true', { mounts: [cache('../../a', { source: '/sub/link' })] }))).code, 'linux/not-a-folder');
    await Promise.all(
      [1, 2, 3].map(() =>
        shell('test ! -e /c/busy; touch /c/busy; sleep 0.2; rm /c/busy', { mounts: [cache('l', { sharing: 'locked' })] }),
      ),
    );
    await Promise.all(
      [1, 2].map(() => shell('test ! -e /c/busy; touch /c/busy; sleep 0.2; rm /c/busy', { mounts: [cache('p', { sharing: 'private' })] })),
    );
    assertClean();
  });

  test('a cache may begin with files of a tree, which stays as it is; others begin for themselves', async () => {
    const seed = await writeSnapshot(snapshots, undefined, (root) => {
      mkdirSync(join(root, 'seed/sub'), { recursive: true });
      writeFileSync(join(root, 'seed/sub/f'), 'one\n', { mode: 0o640 });
      linkSync(join(root, 'seed/sub/f'), join(root, 'seed/g'));
      chownSync(join(root, 'seed'), 5, 6);
      chmodSync(join(root, 'seed'), 0o751);
      writeFileSync(join(root, 'single'), '');
    });
    const inputs: TreeSource[] = [{ kind: 'snapshot', snapshot: seed }];
    const plain = { mode: 0o755, uid: 0, gid: 0, input: 1, source: '/seed' };
    await shell('stat -c "%a %u %g" /c; stat -c "%a %h" /c/sub/f; echo two >> /c/g; cat /c/sub/f', { inputs, mounts: [cache('s', plain)] });
    assert.equal(output('stdout'), '751 5 6\n640 2\none\ntwo\n');
    assert.equal(readFileSync(join(upper(seed), 'seed/g'), 'utf8'), 'one\n', 'no file of the tree is shared with the cache');
    await shell('cat /c/g', { inputs, mounts: [cache('s', plain)] });
    assert.equal(output('stdout'), 'one\ntwo\n');
    await shell('cat /c/g; stat -c "%a %u" /c', { inputs, mounts: [cache('s', { ...plain, uid: 7 })] });
    assert.equal(output('stdout'), 'one\n755 7\n', 'another owner is another cache');
    await shell('ls /c', { mounts: [cache('s', { ...plain, input: null, source: '/' })] });
    assert.equal(output('stdout'), '');
    const context = join(folder, 'seeds');
    mkdirSync(context);
    for (const name of ['kept', 'ignored']) writeFileSync(join(context, name), '');
    const client: TreeSource[] = [{ kind: 'folder', path: context, ignore: ['ignored'] }];
    await shell('ls /c', { inputs: client, mounts: [cache('s', { ...plain, source: '/' })] });
    assert.equal(output('stdout'), 'kept\n');
    for (const [source, code] of [
      ['/single', 'ops/bad-cache-source'],
      ['/none', 'context/missing-source'],
    ] as const) {
      assert.equal((await said(shell('true', { inputs, mounts: [cache('s', { ...plain, source })] }))).code, code);
    }
    assertClean();
  });

  test('T5: locked caches: twice in one step, and two in opposite orders, without waiting for ever', async () => {
    await shell('touch /a/f; ls /b', { mounts: [locked('/a', 'one'), locked('/b', 'one')] });
    assert.equal(output('stdout'), 'f\n');
    const both = Array.from({ length: 4 }, async (_, index) => {
      const order = index % 2 === 0 ? ['x', 'y'] : ['y', 'x'];
      const mounts = order.map((id, place) => locked(`/m${place}`, id));
      await shell('test ! -e /m0/busy; touch /m0/busy; sleep 0.05; rm /m0/busy', { mounts });
    });
    await Promise.all(both);
    assertClean();
  });

  test('who waits long for a cache is told for whom, and stops waiting at once when told to', async () => {
    const ended: string[] = [];
    const stop = new AbortController();
    const wanted = { mounts: [locked('/c', 'long')] };
    // It ends when it is let go: by then the others have waited long enough.
    const untilLetGo = 'touch /c/begun; until [ -e /c/go ]; do sleep 0.05; done; rm /c/go /c/begun';
    const told = async (count: number): Promise<void> => {
      while (notes().length < count) await pause(20);
    };
    const first = shell(untilLetGo, wanted).then(() => ended.push('first'));
    const own = said(shell('true', { ...wanted, signal: stop.signal })).then(({ code }) => ended.push(code));
    tools = { ...tools, engine: 34 };
    const other = shell('true', wanted).then(() => ended.push('other'));
    await told(2);
    stop.abort(new JettisonError('ops/stopped', 'Stopped'));
    await own;
    letGo(join(folder, 'caches'));
    await Promise.all([first, other]);
    assert.deepEqual(ended, ['ops/stopped', 'first', 'other']);
    const lock = 'that has locked the cache mount "long"';
    assert.deepEqual(
      notes().toSorted(),
      [`Waiting for another step of this build ${lock}`, `Waiting for another build (process 12) ${lock}`].toSorted(),
    );

    const shared = shell(untilLetGo, { mounts: [cache('long')] });
    const later = shell('true', wanted);
    await told(1);
    letGo(join(folder, 'caches'));
    await Promise.all([shared, later]);
    assert.deepEqual(notes(), ['Waiting for other steps that use the cache mount "long"']);
    assertClean();
  });

  test('an SSH agent: a socket as asked for, requests answered, gone with the step', async () => {
    let sshAdd = '';
    const withTools = await writeSnapshot(snapshots, base, (root) => {
      sshAdd = bringProgram('ssh-add', join(root, 'tools'), '/tools');
    });
    const ssh: Mount = { kind: 'ssh', id: 'default', target: '/run/a/ssh', mode: 0o620, uid: 700, gid: 701, required: true };
    const asked: number[][] = [];
    const answerNone = async (request: Uint8Array): Promise<Uint8Array> => {
      asked.push([...request]);
      return await Promise.resolve(new Uint8Array([12, 0, 0, 0, 0]));
    };
    const given = { over: withTools, mounts: [ssh], network: 'none', environment: ['PATH=/bin', 'SSH_AUTH_SOCK=/run/a/ssh'] } as const;
    const script = `stat -c '%F %a %u %g' /run/a/ssh; grep -o ' [^ ]* /run/a/ssh ' /proc/self/mountinfo; ${sshAdd} -l || true`;
    const made = await shell(script, { ...given, agents: new Map([['default', answerNone]]) });
    assert.equal(output('stdout'), 'socket 620 700 701\n /0 /run/a/ssh \nThe agent has no identities.\n');
    assert.deepEqual([asked, layer(made)], [[[11]], ['proc', 'sys']]);
    assert.equal((await said(shell('true', given))).code, 'ops/missing-ssh');
    await shell('ls /run', { ...given, mounts: [{ ...ssh, required: false }] }).catch(() => undefined);
    assert.equal(output('stdout'), '');
    // Whoever waits for an agent that says nothing does not hold up the end.
    await shell(`${sshAdd} -l & sleep 0.1`, { ...given, agents: new Map([['default', silent]]) });
    assertClean();
  });

  test('secrets: as file and as variable, for this step only', async () => {
    const secrets = new Map([['tok', Buffer.from('s3cr3t')]]);
    const made = await shell('cat /run/secrets/tok; stat -c " %a %u" /run/secrets/tok; echo $TOKEN', {
      secrets,
      mounts: [secret({ variable: 'TOKEN' })],
    });
    assert.equal(output('stdout'), 's3cr3t 400 700\ns3cr3t\n');
    assert.deepEqual(layer(made), ['proc', 'sys']);
    assert.equal((await said(shell('true', { mounts: [secret({})] }))).code, 'ops/missing-secret');
    await shell('ls /run/secrets 2>/dev/null; echo ${TOKEN-none}', { mounts: [secret({ required: false, variable: 'TOKEN' })] });
    assert.equal(output('stdout'), 'none\n');
    assertClean();
  });

  test('aborting ends the step and removes what it made', async () => {
    const count = readdirSync(join(folder, 'snapshots/s')).length;
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 200);
    await assert.rejects(shell('(setsid sleep 304 &); echo x > /x; sleep 304', { signal: controller.signal }), /enough/);
    assert.equal(readdirSync(join(folder, 'snapshots/s')).length, count);
    const left = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && readIfThere(`/proc/${pid}/cmdline`).includes('sleep\u0000304'));
    assert.deepEqual(left, []);
    assertClean();
  });

  test('100 steps, each over the one before', async () => {
    const start = performance.now();
    let top = base;
    for (let index = 0; index < 100; index++) top = await shell(`echo ${index} > /f${index}`, { over: top });
    console.log(`# ${((performance.now() - start) / 100).toFixed(1)} ms a step`);
    await shell('ls / | grep -c ^f', { over: top });
    assert.equal(output('stdout'), '100\n');
  });

  test('a container has the streams, the exit code and the signals of its process', async () => {
    const place = { folder, image: base };
    assert.deepEqual(
      await container(place, { arguments: ['sh', '-c', 'cat; cat /etc/hostname; echo $HOSTNAME; echo >> /etc/hosts; echo e >&2; exit 9'] }),
      {
        code: 9,
        out: 'from stdin\nbox\nbox\n',
        err: 'e\n',
      },
    );
    const signalled = await container(
      place,
      { arguments: ['sh', '-c', 'trap "echo got; exit 7" USR1; echo ready; while true; do sleep 0.1; done'] },
      (child, text) => {
        if (text === 'ready\n') child.kill('SIGUSR1');
      },
    );
    assert.deepEqual(signalled, { code: 7, out: 'ready\ngot\n', err: '' });
    const onTerminal = await container(place, {
      arguments: ['sh', '-c', 'test -t 0 && test -t 1 && test -c /dev/console && echo $TERM; exit 5'],
      terminal: true,
      onTerminal: true,
    });
    assert.equal(onTerminal.code, 5);
    assert.match(onTerminal.out, /^xterm\r?$/m);
    assert.deepEqual(await container(place, { arguments: ['nope'] }), { code: 125, out: '', err: 'runtime/command-not-found\n' });
  });
});

type Given = {
  readonly over: SnapshotId;
  readonly inputs: readonly TreeSource[];
  readonly quiet: readonly string[];
  readonly secrets: ReadonlyMap<string, Uint8Array>;
  readonly agents: ReadonlyMap<string, AnswerSsh>;
  readonly signal: AbortSignal;
};

/** Ends the steps that wait for it in their caches. */
function letGo(caches: string): void {
  for (const name of readdirSync(caches, { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('/begun')) writeFileSync(join(caches, name, '../go'), '');
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // it has ended meanwhile
  }
}

async function said(promise: Promise<unknown>): Promise<JettisonError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof JettisonError, String(error));
  return error;
}

function bind(source: string, target: string, readOnly = true): Mount {
  return { kind: 'bind', input: 1, source, target, readOnly };
}

async function silent(): Promise<Uint8Array> {
  return await new Promise(() => undefined);
}

function locked(target: string, id: string): Mount {
  return cache(id, { sharing: 'locked', target });
}

function cache(id: string, more: object = {}): Mount {
  const mount = {
    kind: 'cache',
    id,
    input: null,
    source: '/',
    target: '/c',
    sharing: 'shared',
    readOnly: false,
    mode: 0o750,
    uid: 700,
    gid: 0,
  } as const;
  return { ...mount, ...more };
}

function secret(more: object): Mount {
  const mount = {
    kind: 'secret',
    id: 'tok',
    target: '/run/secrets/tok',
    variable: null,
    mode: 0o400,
    uid: 700,
    gid: 0,
    required: true,
  } as const;
  return { ...mount, ...more };
}

/** Runs `programs/container.ts` over an image of the store in `folder`. */
async function container(
  { folder, image }: { readonly folder: string; readonly image: SnapshotId },
  request: object,
  during: (child: ReturnType<typeof spawn>, text: string) => void = () => undefined,
): Promise<{ readonly code: unknown; readonly out: string; readonly err: string }> {
  const defaults = {
    environment: ['PATH=/bin'],
    workingDirectory: '/',
    user: '',
    hostname: 'box',
    network: 'host',
    terminal: false,
    stopSignal: 'SIGTERM',
    keep: false,
  };
  const program = join(import.meta.dirname, 'programs/container.ts');
  const words = [process.execPath, program, folder, image, JSON.stringify({ ...defaults, ...request })];
  // script(1) gives its command a terminal and passes on its exit code.
  const quoted = words.map((word) => `'${word.replaceAll("'", `'"'"'`)}'`).join(' ');
  const [file = '', ...rest] = 'onTerminal' in request ? ['script', '-qec', quoted, '/dev/null'] : words;
  const child = spawn(file, rest, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_DEBUG: '' },
  });
  const heard = { out: '', err: '' };
  // What is typed before a terminal is raw comes out otherwise: an end of file as a NUL, which is echoed.
  if (!('onTerminal' in request)) child.stdin.end('from stdin\n');
  child.stdout.on('data', (bytes: Buffer) => during(child, (heard.out += bytes.toString())));
  child.stderr.on('data', (bytes: Buffer) => (heard.err += bytes.toString()));
  const code = await new Promise((resolve) => child.once('close', resolve));
  return { code, ...heard };
}
