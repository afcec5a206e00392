/** Lines about images that tutorials and scripts type, with `docker` replaced by `jettison`: what they print has docker's form. Found by running both and comparing. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSandbox, type Sandbox } from '#test/kit/sandbox.ts';

async function build(sandbox: Sandbox, tag: string, more: string): Promise<void> {
  const folder = sandbox.files({ Dockerfile: `FROM busybox\n${more}\n` }, tag.replaceAll(/\W/gu, '-'));
  await sandbox.succeed(['build', '-q', '-t', tag, folder]);
}

test('images: names, filters, templates, and a table whose columns are those of the template', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  await build(sandbox, 'me/kittycat:thick', 'LABEL tier=web owner="a team"\nCOPY Dockerfile /');
  await build(sandbox, 'me/kittycat:thin', 'LABEL tier=db\nCOPY Dockerfile /thin');
  await sandbox.succeed(['tag', 'me/kittycat:thin', 'me/kittycat:0.1.6']);
  const images = async (...words: readonly string[]): Promise<string> => await sandbox.succeed(['images', ...words]);
  const names = async (...words: readonly string[]): Promise<readonly string[]> =>
    (await images('--format', '{{.Repository}}:{{.Tag}}', ...words)).split('\n').slice(0, -1);

  assert.match(
    await images('me/kittycat'),
    /^REPOSITORY {4}TAG {7}IMAGE ID {7}CREATED {2,}SIZE\nme\/kittycat {3}0\.1\.6 {5}([0-9a-f]{12}) {3}\S.* ago {3,}[\d.]+MB\nme\/kittycat {3}thin {6}\1 .*\nme\/kittycat {3}thick .*\n$/u,
  );
  assert.match(
    await images('--format', '{{.Repository}}:{{.Tag}}\\t\\t Built: {{.CreatedSince}}\\t\\tSize: {{.Size}}', 'me/kittycat:0.1.6'),
    /^me\/kittycat:0\.1\.6\t\t Built: .* ago\t\tSize: [\d.]+MB\n$/u,
  );
  assert.deepEqual(await names('--filter', 'label=tier=web'), ['me/kittycat:thick']);
  assert.deepEqual(await names('--filter', 'label=tier', '--filter', 'label=owner=a team'), ['me/kittycat:thick']);
  assert.deepEqual(await names('--filter', 'since=me/kittycat:thick', 'me/*'), ['me/kittycat:0.1.6', 'me/kittycat:thin']);
  assert.deepEqual(await names('--filter', 'before=me/kittycat:thin', 'me/*'), ['me/kittycat:thick']);
  assert.deepEqual(await names('--filter', 'reference=*:latest', '-f', 'reference=me/*:thick'), ['me/kittycat:thick', 'busybox:latest']);
  assert.deepEqual(await names('--filter', 'until=2001-01-01T00:00:00Z'), []);
  assert.deepEqual(await names('--filter', 'dangling=true'), []);
  assert.equal(
    await images(
      '--format',
      '{{$x := .Repository}}{{range $i, $p := split $x "/"}}{{$i}}={{upper $p}};{{end}}{{printf "%6s|" .Tag}}',
      'me/kittycat:thin',
    ),
    '0=ME;1=KITTYCAT;  thin|\n',
  );
  assert.match(
    await images('--format', 'table {{.Tag}}\\t{{.ID}}\\t{{.VirtualSize}}', 'me/kittycat:thin'),
    /^TAG {7}IMAGE ID {7}SIZE\nthin {6}[0-9a-f]{12} {3}/u,
  );
  assert.deepEqual(Object.keys(JSON.parse(await images('--format', 'json', 'me/kittycat:thin'))), [
    'Containers',
    'CreatedAt',
    'CreatedSince',
    'Digest',
    'ID',
    'Repository',
    'SharedSize',
    'Size',
    'Tag',
    'UniqueSize',
    'VirtualSize',
  ]);
  const tree = await images('--tree', 'me/*');
  assert.match(
    tree,
    /^ +Info -> {3}U {2}In Use\n\nIMAGE +ID +DISK USAGE {3}CONTENT SIZE {3}EXTRA\nme\/kittycat:0\.1\.6\nme\/kittycat:thin +[0-9a-f]{12} /u,
  );
});

test('mistakes about images have docker’s words and exit codes', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  for (const [line, status, message] of [
    ['images --filter nope=1', 1, "ERROR: invalid filter 'nope'\n"],
    ['images --filter dangling=maybe', 1, "ERROR: invalid filter 'dangling=[maybe]'\n"],
    [
      'images --filter reference',
      125,
      'invalid argument "reference" for "-f, --filter" flag: bad format of filter (expected name=value)\n',
    ],
    ['images --filter before=nope', 1, 'ERROR: No such image: nope:latest\n'],
    ['images a b', 1, "jettison: 'jettison images' requires at most 1 argument\n\nUsage:  jettison images [OPTIONS] [REPOSITORY[:TAG]]\n"],
    ['images --tree -q', 1, 'ERROR: --quiet is not yet supported with --tree\n'],
    ['images --format {{.Nope}}', 1, 'ERROR: Template: no field "Nope"\n'],
    ['images --format {{nope}}', 1, 'ERROR: template parsing error: template: :1: function "nope" not defined\n'],
    ['image inspect nope', 1, 'ERROR: No such image: nope:latest\n'],
    ['tag nope x', 1, 'ERROR: No such image: nope:latest\n'],
    [`tag busybox x@sha256:${'0'.repeat(64)}`, 1, 'ERROR: refusing to create a tag with a digest reference\n'],
    ['tag busybox', 1, "jettison: 'jettison tag' requires 2 arguments\n"],
    ['rmi nope', 1, 'ERROR: No such image: nope:latest\n'],
    ['rmi -f nope', 0, 'ERROR: No such image: nope:latest\n'],
    ['image prune -f --filter until=x', 1, 'ERROR: failed to parse value as time or duration: "x"\n'],
  ] as const) {
    const done = await sandbox.jettison(line.split(' '));
    assert.equal(done.status, status, line);
    assert.ok(done.stderr.startsWith(message), `${line}\n${done.stderr}`);
  }
});

test('rmi: names go one by one, the image with the last; what a container uses stays unless forced', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  await build(sandbox, 'one:1', 'LABEL a=1');
  const id = (await sandbox.succeed(['images', '-q', '--no-trunc', 'one'])).trim();
  await sandbox.succeed(['tag', 'one:1', 'two:2']);
  const refused = await sandbox.jettison(['rmi', id.slice(7, 15)]);
  assert.match(
    refused.stderr,
    /^ERROR: conflict: unable to delete [0-9a-f]{12} \(must be forced\) - image is referenced in multiple repositories\n/u,
  );
  assert.equal(await sandbox.succeed(['rmi', 'two:2']), 'Untagged: two:2\n');
  await sandbox.succeed(['run', '--name', 'user', 'one:1', 'true']);
  assert.match(
    (await sandbox.jettison(['rmi', 'one:1'])).stderr,
    /^ERROR: conflict: unable to remove repository reference "one:1" \(must force\) - container [0-9a-f]{12} is using its referenced image [0-9a-f]{12}\n/u,
  );
  assert.match(
    (await sandbox.jettison(['rmi', id.slice(7, 19)])).stderr,
    /^ERROR: conflict: unable to delete [0-9a-f]{12} \(must be forced\) - image is being used by stopped container [0-9a-f]{12}\n/u,
  );
  assert.equal(await sandbox.succeed(['rmi', '-f', 'one:1']), `Untagged: one:1\nDeleted: ${id}\n`);
});

test('inspect, version, info and system df answer the templates that scripts have', async () => {
  await using sandbox = await openSandbox();
  await sandbox.base('busybox');
  const ask = async (words: string, format: string): Promise<string> =>
    (await sandbox.succeed([...words.split(' '), '--format', format])).trimEnd();
  assert.match(
    await ask('image inspect busybox', '{{.Id}} {{.ID}} {{.RepoTags}} {{.Os}}/{{.Architecture}}'),
    /^(sha256:[0-9a-f]{64}) \1 \[busybox:latest\] linux\/\w+$/u,
  );
  assert.equal(
    await ask('inspect --type image busybox', '{{.Config.Entrypoint}} {{.Config.Labels}} {{json .Config.Volumes}} {{.GraphDriver.Name}}'),
    '[] map[] null overlay',
  );
  assert.match(await ask('image inspect busybox', '{{range .RootFS.Layers}}{{println .}}{{end}}'), /^(?:sha256:[0-9a-f]{64}\n?)+$/u);
  assert.match(await ask('version', '{{.Client.Version}} {{.Server.Version}} {{.Server.Os}}/{{.Server.Arch}}'), /^(\S+) \1 linux\/\w+$/u);
  assert.match(
    await ask('info', '{{.OSType}} {{.Architecture}} {{.NCPU}} {{.Swarm.LocalNodeState}} {{.ContainersRunning}}'),
    /^linux \w+ \d+ inactive 0$/u,
  );
  assert.match(
    await ask(
      'info',
      '{{.IndexServerAddress}} {{json .RegistryConfig.Mirrors}} {{.RegistryConfig.InsecureRegistryCIDRs}} {{.IPv4Forwarding}}',
    ),
    /^https:\/\/index\.docker\.io\/v1\/ null \[::1\/128 127\.0\.0\.0\/8\] (?:true|false)$/u,
  );
  const limits = ['MemoryLimit', 'SwapLimit', 'CpuCfsPeriod', 'CpuCfsQuota', 'CPUShares', 'CPUSet', 'PidsLimit'];
  const offered = async (...words: readonly string[]): Promise<string> =>
    await sandbox.succeed(['info', '-f', `${limits.map((name) => `{{.${name}}}`).join(' ')} {{.OomKillDisable}} {{.CgroupDriver}}`], {
      environment: words[0] === undefined ? {} : { JETTISON_ISOLATION: words[0] },
    });
  assert.equal(await offered('chroot'), `${limits.map(() => 'false').join(' ')} false none\n`);
  assert.equal((await ask('info', '{{.SecurityOptions}} {{.CgroupVersion}}')).replace(/ [12]$/u, ''), '[name=seccomp,profile=builtin]');
  // What is said to hold does.
  const memory = await sandbox.jettison(['run', '--rm', '-m', '64m', '--pids-limit', '50', '--network', 'none', 'busybox', 'true']);
  assert.equal((await offered()).startsWith('true'), memory.status === 0, memory.stderr);
  const proxied = await sandbox.jettison(['info', '-f', '{{.HttpProxy}} {{.HttpsProxy}} {{.NoProxy}}'], {
    environment: { HTTP_PROXY: 'http://me:pass@proxy:3128', HTTPS_PROXY: '', https_proxy: 'proxy:3129', NO_PROXY: 'localhost' },
  });
  assert.equal(proxied.stdout, 'http://xxxxx:xxxxx@proxy:3128 proxy:3129 localhost\n');
  const version = JSON.parse(await ask('version', 'json')) as { readonly Client: object; readonly Server: object };
  const [client, server] = [Object.keys(version.Client), Object.keys(version.Server)];
  const words = 'Version ApiVersion DefaultAPIVersion GitCommit GoVersion Os Arch BuildTime Context';
  assert.equal(client.slice(1, -1).join(' '), words);
  assert.equal(
    server.join(' '),
    'Platform Components Version ApiVersion MinAPIVersion GitCommit GoVersion Os Arch KernelVersion Experimental BuildTime',
  );
  assert.equal(await ask('version', '{{.Client.Platform.Name}} {{.Server.Platform.Name}}'), 'jettison jettison');
  assert.match(
    await sandbox.succeed(['info']),
    /^Client: jettison\n[^]*\nServer:\n Containers: 0\n {2}Running: 0\n[^]*\n Total Memory: [\d.]+GiB\n/u,
  );
  assert.equal(
    await ask('system df', '{{.Type}} {{.TotalCount}}'),
    'Images 1\nContainers 0\nLocal Volumes 0\nBuild Cache 0'.replace(
      /0$/u,
      (await ask('system df', '{{.TotalCount}}')).split('\n').at(-1) ?? '',
    ),
  );
  assert.equal(await ask('system df -v', '{{range .Images}}{{.Repository}} {{.Containers}}{{end}}'), 'busybox 0');
  assert.equal(
    await sandbox.succeed(['--config', join(sandbox.folder, 'c'), '-D', '--context', 'default', 'context', 'show']),
    'default\n',
  );
});

test('a builder is made, used, asked and removed, as tutorials type it; those of other machines are refused', async () => {
  await using sandbox = await openSandbox();
  const buildx = async (...words: readonly string[]): Promise<string> => await sandbox.succeed(['buildx', ...words]);
  const refused = async (...words: readonly string[]): Promise<string> => {
    const done = await sandbox.jettison(['buildx', ...words]);
    assert.equal(done.status, 1, words.join(' '));
    return done.stderr;
  };
  assert.equal(
    await buildx('create', '--name', 'multi', '--driver', 'docker-container', '--driver-opt', 'network=host', '--use', '--bootstrap'),
    'multi\n',
  );
  assert.match(
    await buildx('ls'),
    /^NAME\/NODE +DRIVER\/ENDPOINT +STATUS +BUILDKIT +PLATFORMS *\nmulti\* +jettison *\n \\_ multi +\\_ default +running +v\S+ +linux\/.*\ndefault +jettison *\n/u,
  );
  assert.match(await buildx('inspect', '--bootstrap'), /^Name: {3}multi\nDriver: jettison\n/u);
  assert.equal(await buildx('ls', '--format', '{{.Name}}'), 'multi*\n \\_ multi\ndefault\n \\_ default\n');
  const folder = sandbox.files({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
  assert.match(await buildx('build', '-q', '--builder', 'multi', folder), /^sha256:/u);
  assert.match(await refused('build', '-q', '--builder', 'other', folder), /^ERROR: no builder "other" found/u);
  assert.match(
    (await sandbox.jettison(['build', folder], { environment: { BUILDX_BUILDER: 'other' } })).stderr,
    /no builder "other" found/u,
  );
  // The machine is in each builder already: docker has these words, too.
  assert.match(await refused('create', '--append'), /append requires a builder name/u);
  assert.match(await refused('create', '--append', '--name', 'nobody'), /failed to find instance "nobody" for append/u);
  assert.match(await refused('create', '--append', '--name', 'multi'), /invalid duplicate endpoint default/u);
  assert.equal(await buildx('stop', 'multi'), '');
  assert.equal(await buildx('rm', 'multi'), 'multi removed\n');
  assert.match(await buildx('inspect'), /^Name: {3}default\n/u);
  assert.match(await refused('create', '--driver', 'kubernetes'), /means other machines/u);
  assert.match(await refused('create', 'ssh://somewhere'), /builds on this machine only/u);
  assert.match(await refused('create', '--driver-opt', 'image=moby/buildkit:master'), /no image of BuildKit is run/u);
  assert.match(await refused('create', '--buildkitd-flags', '--debug'), /there is no such daemon/u);
});
