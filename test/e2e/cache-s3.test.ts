/** `type=s3`, against a bucket that checks each signature (test/kit/s3-service.ts); Amazon's own was never asked. */
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { answer, openProject, ran } from '#test/kit/cache-project.ts';
import { startS3 } from '#test/kit/s3-service.ts';

test('the second store runs nothing and downloads the list and the layers of the image; what is there is not written again', async () => {
  await using service = await startS3();
  const { environment } = service;
  const place = `type=s3,bucket=caches,prefix=team/,endpoint_url=${service.url},use_path_style=true`;
  await using one = await openProject('busybox', { environment });
  const first = await one.build(`--cache-to=${place},mode=max,name=app;latest`);
  assert.match(
    first.plain,
    /exporting cache to Amazon S3\n.*preparing build cache for export\n(?:.*writing layer sha256:[0-9a-f]{64} done\n)+/u,
  );
  assert.ok(service.objects.has('team/manifests/app') && service.objects.has('team/manifests/latest'));
  assert.ok([...service.objects.keys()].every((key) => /^team\/(?:blobs\/sha256:[0-9a-f]{64}|manifests\/[a-z]+)$/u.test(key)));

  await using two = await openProject('busybox', { environment });
  const before = service.calls.length;
  const second = await two.build(`--cache-from=${place},name=latest`);
  assert.deepEqual(ran(second.plain), []);
  assert.equal(second.id, first.id);
  assert.equal(service.calls.slice(before).filter(({ key }) => key.startsWith('team/blobs/')).length, 5, 'those that the last stage made');
  assert.equal(await two.succeed(['run', '--rm', 'app', 'cat', '/srv/all']), answer);

  // What tells of the steps is asked for only where one runs.
  await using three = await openProject('busybox', { environment });
  three.files({ 'src/b': 'other\n' });
  const third = await three.build(`--cache-from=${place},name=latest`);
  assert.deepEqual(
    [...third.plain.matchAll(/^why: (.*?); cost/gmu)].map(([, line]) => line),
    ['COPY src /src (Dockerfile:7) ran again: src/b changed (content)'],
  );

  // A layer that is cut short at the bucket is written anew, an old one is made new; nothing else of the layers is sent.
  const [cut, old] = [...service.objects].filter(([key]) => key.includes('/blobs/'));
  assert.ok(cut && old);
  cut[1].bytes = cut[1].bytes.subarray(1);
  old[1].modified = 0;
  const again = service.calls.length;
  await one.build(`--cache-to=${place},mode=max,touch_refresh=1h`);
  const puts = service.calls.slice(again).filter(({ method, key }) => method === 'PUT' && key.includes('/blobs/'));
  assert.deepEqual(new Set(puts.map(({ key }) => key)), new Set([cut[0], old[0]]));
  assert.ok(old[1].modified > 0);
  assert.deepEqual(service.complaints, []);
  for (const secret of [service.secretKey, service.sessionToken]) {
    for (const text of [first.plain, second.plain]) assert.equal(text.includes(secret), false);
    for (const { store } of [one, two]) assert.equal(spawnSync('grep', ['-rlF', '-e', secret, store], { encoding: 'utf8' }).stdout, '');
  }
});

test('a bucket that cannot be read is a warning, one that cannot be written an error; secrets are not shown', async () => {
  await using service = await startS3();
  const nothing = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_REGION: '', AWS_BUCKET: '' };
  await using one = await openProject('busybox', { environment: nothing });
  const place = `type=s3,bucket=caches,region=eu-test-1,endpoint_url=${service.url},use_path_style=true`;
  const keys = `access_key_id=${service.keyId},secret_access_key=H1dden`;
  const done = await one.build(`--cache-from=${place}`, `--cache-from=${place},${keys}`, `--cache-to=${place},${keys},ignore-error=true`);
  assert.match(done.plain, /Warning: cannot use the cache s3:caches\/buildkit: it needs an access key/u);
  assert.match(done.plain, /Warning: cannot use the cache s3:caches\/buildkit: .*403 .*SignatureDoesNotMatch/u);
  assert.match(done.plain, /Warning: the cache was not exported to s3:caches\/buildkit: .*403/u);
  assert.equal(done.plain.includes('H1dden'), false);
  for (const [option, reason] of [
    [`--cache-to=${place}`, /it needs an access key/u],
    [`--cache-to=${place},${keys}`, /403 Forbidden/u],
    ['--cache-from=type=s3,region=r,secret_access_key=H1dden', /"bucket=..." is missing/u],
    ['--cache-from=type=s3,bucket=b,secret_access_key=H1dden', /"region=..." is missing/u],
    ['--cache-from=type=s3,bucket=b,region=r,secret_access_key=H1dden', /go together/u],
    ['--cache-from=type=s3,bucket=b/c,region=r,secret_access_key=H1dden', /no name of a bucket/u],
    ['--cache-from=type=s3,bucket=b,region=r.evil/,secret_access_key=H1dden', /no name of a region/u],
    ['--cache-to=type=s3,bucket=b,region=r,session_token=H1dden,touch_refresh=x', /touch_refresh is a duration/u],
    ['--cache-to=type=s3,bucket=b,region=r,session_token=H1dden,upload_parallelism=0', /from 1 to 32/u],
    ['--cache-to=type=s3,bucket=b,region=r,session_token=H1dden,retry_mode=adaptive', /"retry_mode" of "--cache-to" is not built yet/u],
    [`--cache-to=type=s3,bucket=b,region=r,endpoint_url=nowhere,${keys}`, /no web address/u],
  ] as const) {
    const refused = await one.jettison(['build', option, `${one.folder}/context`], { environment: nothing });
    assert.equal(refused.status === 0, false, option);
    assert.match(refused.stderr, reason, option);
    assert.equal(refused.stderr.includes('H1dden'), false, refused.stderr);
  }
});
