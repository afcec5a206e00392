/** `jettison replay`: a tutorial that is right, one that is not, and what it leaves behind; and the one of our own documents that it keeps true. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

let sandbox: Sandbox;

before(async () => {
  sandbox = await openSandbox();
  await sandbox.base('busybox');
});
after(async () => await sandbox[Symbol.asyncDispose]());

const good = `# Hello

\`\`\`dockerfile
FROM busybox
COPY word .
CMD ["cat", "word"]
\`\`\`

Write \`word\` too: <!-- a comment in a line is text -->

<!-- replay: file=word -->
\`\`\`text
hi
\`\`\`

\`\`\`sh
docker build -q -t hello .
export NAME=hello
\`\`\`

\`\`\`console
$ docker images $NAME
REPOSITORY   TAG      IMAGE ID       CREATED          SIZE
hello        latest   de9b3b4d017c   10 seconds ago   5.59MB
$ docker run --rm "$NAME"
hi
$ mkdir deeper && cd deeper && exit 0
$ basename "$PWD"
deeper
\`\`\`

<!-- replay: exit=125 excerpt -->
\`\`\`console
$ docker run --rm --pull never nowhere
...nowhere...
\`\`\`
`;

test('a tutorial that shows what its commands print', async () => {
  const folder = sandbox.files({ 'good.md': good }, 'tutorials');
  const done = await sandbox.jettison(['replay', '--force', join(folder, 'good.md')]);
  assert.equal(done.status, 0, done.stdout + done.stderr);
  assert.match(done.stdout, /^6 commands, 4 print what is shown, 2 show nothing, 0 differ$/mu);
});

test('the stories of docs/stories.md are what the command says', async () => {
  await using own = await openSandbox();
  await own.base('busybox');
  await own.base('debian-gcc');
  await own.succeed(['tag', 'debian-gcc', 'gcc']);
  const done = await own.jettison(['replay', '--force', join(import.meta.dirname, '../../docs/stories.md')]);
  assert.equal(done.status, 0, `${done.stdout}\n${done.stderr}`);
});

test('what differs is told with its line, and written where that is asked for', async () => {
  const text = good.replace('\nhi\n$ mkdir', '\nho\n$ mkdir').replace('REPOSITORY   TAG ', 'NAME         TAG ');
  const folder = sandbox.files({ 'wrong.md': text }, 'tutorials');
  const file = join(folder, 'wrong.md');
  const done = await sandbox.jettison(['replay', '-f', '--write', file]);
  assert.equal(done.status, 1);
  const line = text.split('\n').indexOf('$ docker run --rm "$NAME"') + 1;
  assert.ok(done.stdout.includes(`DIFFERS ${file}:${line}: $ docker run --rm "$NAME"\n    - ho\n    + hi\n`), done.stdout);
  assert.match(done.stdout, /2 differ$/mu);
  const written = readFileSync(file, 'utf8');
  assert.match(written, /\$ docker run --rm "\$NAME"\nhi\n\$ mkdir/u);
  assert.match(written, /^REPOSITORY +TAG/mu);
  assert.equal((await sandbox.jettison(['replay', '-f', file])).status, 0);
});

test('nobody is there to be asked: nothing runs', async () => {
  const folder = sandbox.files({ 'evil.md': `\`\`\`sh\ntouch ${sandbox.folder}/ran\n\`\`\`\n` }, 'tutorials');
  const done = await sandbox.jettison(['replay', join(folder, 'evil.md')]);
  assert.equal(done.status, 1);
  assert.match(done.stderr, /nobody to ask/u);
  assert.ok(!existsSync(join(sandbox.folder, 'ran')));
});

test('a command that hangs is ended, what one leaves running too', async () => {
  const pids = join(sandbox.folder, 'pids');
  const text = `\`\`\`console\n$ sleep 1000 & echo $! >${pids}\n$ echo $$ >>${pids}; sleep 1000\n$ echo on\non\n\`\`\`\n`;
  const folder = sandbox.files({ 'slow.md': text }, 'tutorials');
  const done = await sandbox.jettison(['replay', '-f', '--timeout', '10s', join(folder, 'slow.md')]);
  assert.equal(done.status, 1);
  assert.match(done.stdout, /^TOOK TOO LONG/mu);
  assert.match(done.stdout, /^same .*echo on$/mu);
  const left = readFileSync(pids, 'utf8').trim().split('\n');
  assert.equal(left.length, 2);
  for (const pid of left) assert.ok(!isRunning(pid), `${pid} runs`);
});

test('a command that wants a terminal has one', async () => {
  const text = '<!-- replay: tty -->\n```console\n$ test -t 0 && test -t 1 && sleep 0.3 && echo yes\nyes\n```\n';
  const folder = sandbox.files({ 'tty.md': text }, 'tutorials');
  const done = await sandbox.jettison(['replay', '-f', join(folder, 'tty.md')]);
  assert.equal(done.status, 0, done.stdout);
});

test('a folder with files is not mixed with those of a tutorial', async () => {
  const folder = sandbox.files({ 'good.md': good, 'full/x': '' }, 'tutorials');
  writeFileSync(join(folder, 'full/y'), '');
  const done = await sandbox.jettison(['replay', '-f', '--folder', join(folder, 'full'), join(folder, 'good.md')]);
  assert.match(done.stderr, /is not empty/u);
});

function isRunning(pid: string): boolean {
  const state = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'latin1') : '';
  return state !== '' && !/\) Z /u.test(state);
}
