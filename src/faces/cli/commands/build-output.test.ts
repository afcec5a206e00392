import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { readOutput, readOutputs } from './build-output.ts';

const { signal } = new AbortController();
const around = { currentFolder: '/w', streams: { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() } };
const read = (text: string) => readOutput(text, around, signal);
const usual = {
  compression: undefined,
  level: undefined,
  isForced: false,
  mediaTypes: undefined,
  clampsTimes: false,
  annotations: [],
};

test('short forms: a folder, and a tar on standard output', () => {
  const out = { kind: 'local', destination: { kind: 'folder', path: '/w/out' }, source: '/', isSplit: undefined };
  assert.deepEqual(read('out'), out);
  assert.deepEqual(read('type=local,dest=out'), out);
  const tar = read('-');
  assert.ok(tar.kind === 'tar' && tar.destination.kind === 'stream');
});

test('archives: as a file, a folder, a stream', () => {
  assert.deepEqual(read('type=oci,dest=a.tar'), {
    kind: 'oci',
    destination: { kind: 'file', path: '/w/a.tar' },
    names: undefined,
    form: usual,
  });
  assert.deepEqual(
    read(
      'type=docker,"dest=/x/a,b",tar=false,"name=a,b:1",compression=zstd,compression-level=9,force-compression,oci-mediatypes=false'.replace(
        'force-compression',
        'force-compression=true',
      ),
    ),
    {
      kind: 'docker',
      destination: { kind: 'folder', path: '/x/a,b' },
      names: ['a', 'b:1'],
      form: { ...usual, compression: 'zstd', level: 9, isForced: true, mediaTypes: 'docker' },
    },
  );
  const stream = read('type=oci,dest=-');
  assert.ok('destination' in stream && stream.destination.kind === 'stream');
});

test('annotations say where they belong and to which platform; their keys keep their case', () => {
  const output = read('type=oci,dest=a,annotation.Key=v,annotation-manifest-descriptor[linux/arm64].org.x=1');
  assert.ok('form' in output);
  assert.deepEqual(output.form.annotations, [
    { place: 'manifest', platform: undefined, key: 'Key', value: 'v' },
    { place: 'manifest-descriptor', platform: 'linux/arm64', key: 'org.x', value: '1' },
  ]);
});

test('an image: in the store, pushed, or both', () => {
  const image = { kind: 'image', names: undefined, form: usual, byDigest: false, isCanonical: false, danglingPrefix: undefined };
  assert.deepEqual(read('type=docker'), { ...image, isStored: true, isPushed: false });
  assert.deepEqual(read('type=image,push=true,store=false'), { ...image, isStored: false, isPushed: true });
  assert.deepEqual(read('type=registry,name=r.example/a,push-by-digest=true'), {
    ...image,
    names: ['r.example/a'],
    isStored: false,
    isPushed: true,
    byDigest: true,
  });
});

const all = (outputs: readonly string[], push: boolean, load = false) =>
  readOutputs({ outputs, push, load }, around, signal).map((one) => (one.kind === 'image' ? `image ${one.isPushed}` : one.kind));

test('--push makes images that are wanted anyway be pushed, else it is an output of its own', () => {
  assert.deepEqual(all([], false), []);
  assert.deepEqual(all([], true), ['image true']);
  assert.deepEqual(all(['type=image'], true), ['image true']);
  assert.deepEqual(all(['out', 'type=cacheonly'], true, true), ['local', 'none', 'image true', 'image false']);
});

test('what is not there, or not here, is named, with the nearest that is', () => {
  for (const [text, named] of [
    ['type=oci,dest=x,oci-artifact=true', 'oci-artifact'],
    ['type=local,dest=x,mode=delete', 'mode'],
    ['type=registry,registry.insecure=true', 'registry.insecure'],
  ] as const) {
    assert.throws(() => read(text), { code: 'cli/not-built', message: new RegExp(named, 'u') }, text);
  }
  for (const [text, why] of [
    ['', 'use'],
    ['dest=x', 'no "type"'],
    ['type=oci,x', '"x" is no'],
    ['type=zip,dest=x', '"tar"'],
    ['type=lokal,dest=x', 'did you mean "local"'],
    ['type=local,dst=x', 'did you mean "dest"'],
    ['type=local', 'dest=FOLDER'],
    ['type=local,dest=-', 'type=tar'],
    ['type=oci,tar=false', 'dest=FOLDER'],
    ['type=oci,dest=x,compression=lz4', 'gzip'],
    ['type=oci,dest=x,compression-level=10', '1 to 9'],
    ['type=oci,dest=x,compression=uncompressed,compression-level=1', 'no levels'],
    ['type=oci,dest=x,force-compression=true', 'compression=...'],
    ['type=oci,dest=x,tar=maybe', 'true'],
    ['type=tar,dest=x,name=y', '"name" means nothing'],
    ['type=local,dest=x,annotation.a=b', 'no annotations'],
    ['type=image,unpack=false', 'unpacked'],
    ['type=image,push-by-digest=true', 'push=true'],
    ['type=registry,name=a:1,push-by-digest=true', 'has a tag'],
    ['type=image,name=a@sha256:0000000000000000000000000000000000000000000000000000000000000000', 'digest'],
  ] as const) {
    assert.throws(
      () => read(text),
      (error: Error) => error.message.includes(why) && 'code' in error && error.code === 'cli/bad-value',
      text,
    );
  }
});

test('a terminal gets no archive, and standard output only one', () => {
  const terminal = { ...around, streams: { ...around.streams, stdout: Object.assign(new PassThrough(), { isTTY: true }) } };
  assert.throws(() => readOutput('-', terminal, signal), { code: 'cli/usage', message: /terminal/u });
  assert.throws(() => readOutputs({ outputs: ['-', 'type=oci,dest=-'], push: false, load: false }, around, signal), { code: 'cli/usage' });
});
