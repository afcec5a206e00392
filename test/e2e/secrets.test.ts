/** Values that are to be kept secret: no way into a layer, a config, the history, a log or the store is open, unless it is asked for. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { addImage, sampleImage, startRegistry } from '#test/kit/registry.ts';
import { openSandbox, type Finished, type Sandbox } from '#test/kit/sandbox.ts';

const value = 'Pa55-for:the/store';
const option = ['--secret', 'id=tok,src=tok'];

/** No file below the folder has one of the texts in its bytes, and none in its name. */
function assertNowhere(folder: string, texts: readonly string[]): void {
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const stats = statSync(join(folder, path), { throwIfNoEntry: false });
    const bytes = stats?.isFile() === true ? readFileSync(join(folder, path), 'latin1') : '';
    for (const text of texts) assert.ok(!path.includes(text) && !bytes.includes(text), `${path} has ${text}`);
  }
}

const forms = [value, btoa(value).slice(0, 20), Buffer.from(value).toString('hex'), encodeURIComponent(value)];

function assertSilent(done: Finished, texts: readonly string[] = forms): void {
  for (const text of texts) assert.ok(!done.stderr.includes(text) && !done.stdout.includes(text), `it says ${text}: ${done.stderr}`);
}

async function build(sandbox: Sandbox, dockerfile: string, words: readonly string[] = [], files: Readonly<Record<string, string>> = {}) {
  const context = sandbox.files({ ...files, Dockerfile: `FROM busybox\n${dockerfile}\n` }, `context-${Math.random()}`);
  return await sandbox.jettison(['build', '--progress=plain', ...option, ...words, '-t', 'leak', context]);
}

/** Dockerfile, further words and files, what the error says, and the line of the Dockerfile that it names. */
type Leak = {
  readonly text: string;
  readonly words?: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
  readonly says: RegExp;
  readonly line?: number;
};

const given = 'RUN --mount=type=secret,id=tok';
const leaks: Readonly<Record<string, Leak>> = {
  'RUN writes it to a file': {
    text: `${given} mkdir /d && { echo one; cat /run/secrets/tok; } > /d/f`,
    says: /"\/d\/f", line 2:/u,
    line: 2,
  },
  'RUN puts it into a tar archive': {
    text: `RUN true\n${given} tar -cf /a.tar -C /run/secrets tok`,
    says: /"\/a\.tar", byte 512:/u,
    line: 3,
  },
  'RUN writes it far into a large file': {
    text: `${given} { head -c 5000000 /dev/zero; cat /run/secrets/tok; } > /large`,
    says: /"\/large", byte 5000000:/u,
    line: 2,
  },
  'in a stage that is not shipped': {
    text: `${given} cp /run/secrets/tok /left\nFROM busybox\nCOPY --from=0 /bin/sh /sh`,
    says: /"\/left", line 1:/u,
    line: 2,
  },
  'ENV by ARG': {
    text: 'ARG T\nENV\\\n TOKEN=$T',
    words: ['--build-arg', `T=${value}`],
    says: /the variable TOKEN of the image/u,
    line: 4,
  },
  'LABEL by ARG': { text: 'ARG T\nLABEL a.b=x$T', words: ['--build-arg', `T=${value}`], says: /the label "a\.b"/u, line: 3 },
  '--label': { text: 'RUN true', words: ['--label', `c=${value}`], says: /the label "c"/u },
  'RUN with ARG, in its history': { text: 'ARG T\nRUN true', words: ['--build-arg', `T=${value}`], says: /stands in this step/u, line: 3 },
  'the text of RUN': { text: `RUN echo ${value} | wc -c`, says: /stands in this step/u, line: 2 },
  'CMD by ARG': { text: 'ARG T\nCMD serve $T', words: ['--build-arg', 'T=x', '--annotation', `a=${value}`], says: /an annotation/u },
  'COPY of a file that has it': {
    text: 'COPY conf /etc/conf',
    files: { conf: `a\nb\nc=${value}` },
    says: /"\/etc\/conf", line 3:/u,
    line: 2,
  },
  'COPY of a large file that has it': {
    text: 'COPY conf /etc/conf',
    files: { conf: `${'x'.repeat(9_000_000)}${value}` },
    says: /"\/etc\/conf", line 1:/u,
    line: 2,
  },
  'a here-document': { text: `COPY <<E /e\n${value}\nE`, says: /stands in this step/u, line: 2 },
  base64: { text: `${given} cat /run/secrets/tok | base64 > /b`, says: /"\/b", line 1, as base64:/u, line: 2 },
  'base64 of user and password': { text: `${given} printf u:%s $(cat /run/secrets/tok) | base64 > /b`, says: /as base64:/u, line: 2 },
  hex: { text: `${given} cat /run/secrets/tok | hexdump -ve '1/1 "%02x"' > /h`, says: /"\/h", line 1, as hex:/u, line: 2 },
  'an address': { text: `${given} echo https://u:Pa55-for%3Athe$(echo "%2Fstore") > /h`, says: /"\/h", line 1/u, line: 2 },
  'the name of a file': { text: `${given} mkdir "/$(base64 /run/secrets/tok)"`, says: /the name, the link or an attribute of/u, line: 2 },
  'the target of a link': { text: `${given} ln -s "$(cat /run/secrets/tok)" /link`, says: /attribute of "\/link"/u, line: 2 },
  '.npmrc by COPY, given as a file of several lines': {
    text: 'COPY . /app',
    words: ['--secret', 'id=npmrc,src=npmrc'],
    files: { '.npmrc': 'always-auth=true\n//other/:_authToken=npm_a8Gh33kdPq7LmZx0\n' },
    says: /secret "npmrc" stands in "\/app\/\.npmrc", line 2:/u,
    line: 2,
  },
};

test('a value that would get into the image ends the build, whichever way it takes; nothing of it stays in the store', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  sandbox.files(
    { tok: `${value}\n`, npmrc: 'registry=https://registry.npmjs.org/\n//registry.npmjs.org/:_authToken=npm_a8Gh33kdPq7LmZx0\n' },
    '.',
  );
  for (const [name, { text, words, files, says, line }] of Object.entries(leaks)) {
    const done = await build(sandbox, text, words, files);
    assert.equal(done.status, 1, `${name}: ${done.stderr}`);
    assert.match(done.stderr, says, name);
    assert.match(done.stderr, /--allow-secret-in-image (?:tok|npmrc)/u, name);
    if (line !== undefined) assert.match(done.stderr, new RegExp(`^Dockerfile:${line}(?::|$)`, 'mu'), name);
    assertSilent(done, [...forms, 'npm_a8Gh33kdPq7LmZx0']);
  }
  assertNowhere(sandbox.store, [...forms, 'npm_a8Gh33kdPq7LmZx0']);
  assert.equal((await sandbox.succeed(['images', '-q', 'leak'])).trim(), '', 'no name was given');
});

test('what a step prints shows *** for a value, however it is cut and coded, in every log', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  sandbox.files({ tok: `${value}\n` }, '.');
  const prints = `${given} cat /run/secrets/tok; printf 'Pa55-f'; sleep 0.2; printf 'or:the'; sleep 0.2; echo '/store.'; base64 /run/secrets/tok;`;
  const shown = await build(sandbox, `${prints} true`);
  assert.equal(shown.status, 0, shown.stderr);
  assert.match(shown.stderr, /\*\*\*\n.*\*\*\*\.\n.*\*\*\*/u);
  assertSilent(shown);
  const failed = await build(sandbox, `${prints} false`, ['--metadata-file', 'metadata.json']);
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /^------$[^]*\*\*\*[^]*^------$/mu, 'the last lines of the failed step');
  assertSilent(failed);
  const raw = await build(sandbox, `${prints} echo again`, ['--progress=rawjson']);
  assert.equal(raw.status, 0);
  assertSilent(raw, [value, btoa(value).slice(0, 20)]);
  assertSilent(await sandbox.jettison(['logs']));
  assertNowhere(sandbox.folder.concat('/store'), forms);
});

test('keys of --ssh and passwords of registries are kept out, too; what is allowed by name is let in, and still hidden', async () => {
  await using sandbox = await openSandbox();
  await using registry = await startRegistry('basic');
  await sandbox.base('busybox');
  const key = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  sandbox.files({ tok: 'something-else-0\n', key }, '.');
  const copied = await build(sandbox, 'COPY k /k', ['--ssh', 'default=key'], { k: key });
  assert.equal(copied.status, 1);
  assert.match(copied.stderr, /secret "ssh:default" stands in "\/k", line [12]:/u);

  addImage(registry, 'private:latest', sampleImage([]));
  const { username, password } = registry.credential;
  sandbox.files({ 'config.json': JSON.stringify({ auths: { [registry.host]: { auth: btoa(`${username}:${password}`) } } }) }, 'docker');
  const config = readFileSync(join(sandbox.folder, 'docker/config.json'), 'utf8');
  const withConfig = await build(sandbox, `FROM ${registry.host}/private\nCOPY config.json /`, [], { 'config.json': config });
  assert.equal(withConfig.status, 1);
  assert.match(withConfig.stderr, /secret "registry:127\.0\.0\.1:\d+" stands in "\/config\.json", line 1, as base64:/u);

  const allowed = await build(sandbox, 'COPY k /k\nRUN cat /k', ['--ssh', 'default=key', '--allow-secret-in-image', 'ssh:default'], {
    k: key,
  });
  assert.equal(allowed.status, 0, allowed.stderr);
  assertSilent(
    allowed,
    key.split('\n').filter((line) => line.length > 20),
  );
  // The same step with another value: what the build says of the reason, and what is kept of it.
  const argument = ['--allow-secret-in-image', 'tok', '--build-arg'];
  const again = sandbox.files({ Dockerfile: 'FROM busybox\nARG T\nRUN true\n' }, 'again');
  for (const text of ['T=before', 'T=something-else-0']) {
    const done = await sandbox.jettison(['build', '--progress=plain', ...option, ...argument, text, again]);
    assert.equal(done.status, 0, done.stderr);
    assertSilent(done, ['something-else-0']);
    if (text !== 'T=before') assert.match(done.stderr, /^why: .*ARG T changed: before -> \*\*\*/mu);
  }
  assertSilent(await sandbox.jettison(['why']), ['something-else-0']);
  const unknown = await build(sandbox, 'RUN true', ['--allow-secret-in-image', 'tik']);
  assert.match(unknown.stderr, /names "tik", but this build has no such secret/u);
});

test('a step that was given no secret and is no layer of the image is looked at when its layer is made for a cache', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  sandbox.files({ tok: `${value}\n` }, '.');
  const text = 'RUN echo "Pa55-for:the$(echo /store)" > /made\nFROM busybox\nCOPY --from=0 /bin/sh /sh';
  const done = await build(sandbox, text, ['--cache-to', 'type=local,dest=cache,mode=max']);
  assert.equal(done.status, 1, done.stderr);
  assert.match(done.stderr, /"\/made", line 1:/u);
  assertNowhere(join(sandbox.store, 'content'), forms);
});
