/**
 * Published holes of builders, tried by builds: hostile Dockerfiles, contexts, images, repositories and web servers. Each is typed by root and by a normal user; a canary
 * of the host is compared after each command, and what is left in the store must hold nothing of it.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { assertNothingLeft, assertOneError } from '#test/kit/aftermath.ts';
import { imageOf, tarOf, type ShortEntry } from '#test/kit/archives.ts';
import { attackers, attackersOfEngine, openAttackedHost, type AttackedHost } from '#test/kit/attacked-host.ts';
import { commitAll, makeRepository, serveGit } from '#test/kit/git-server.ts';
import { addImage, addManifest, encodeJson, sha256, startRegistry } from '#test/kit/registry.ts';
import type { Finished } from '#test/kit/sandbox.ts';
import { serve } from '#test/kit/web.ts';

/** `engine`: for `attackersOfEngine`. */
type Attack = readonly [name: string, attack: (host: AttackedHost) => Promise<void>, where?: 'engine'];
type Files = Readonly<Record<string, string | Uint8Array>>;

const small: readonly ShortEntry[] = [
  ['bin', 'folder'],
  ['bin/busybox', 'file', readFileSync('/bin/busybox'), { mode: 0o755 }],
  ...['sh', 'cat', 'ls', 'echo', 'touch', 'id', 'true'].map((name) => [`bin/${name}`, 'symlink', 'busybox'] as const),
  ['etc', 'folder'],
];
const ownPath = { Env: ['PATH=/bin'] };

async function build(host: AttackedHost, lines: readonly string[], files: Files = {}, ...options: readonly string[]): Promise<Finished> {
  const context = host.context({ Dockerfile: `${lines.join('\n')}\n`, file: 'of the context\n', ...files });
  return await host.jettison(['build', '--progress=plain', '-t', 'evil', ...options, context]);
}

/** What steps printed, a line each. */
function said({ stderr }: Finished): readonly string[] {
  return [...stderr.matchAll(/^#\d+ \d[\d.]* (.*)$/gmu)].map(([, line = '']) => line);
}

function assertBuilt(done: Finished): void {
  assert.equal(done.status, 0, done.stderr);
}

function text(json: string): Uint8Array {
  return new TextEncoder().encode(json);
}

function descriptorOf(mediaType: string, bytes: Uint8Array): object {
  return { mediaType, digest: sha256(bytes), size: bytes.length };
}

const attacks: readonly Attack[] = [
  [
    'CVE-2024-23651: source= of a cache mount that an earlier step made a link to the host, or that climbs',
    async (host) => {
      const { folder } = host.canary;
      const cache = '--mount=type=cache,target=/c,id=poisoned';
      assertBuilt(
        await build(host, [
          'FROM busybox',
          `RUN ${cache} ln -s ${folder} /c/sub; ln -s ../../../../../..${folder} /c/up; mkdir /c/d; ln -s / /c/d/root`,
        ]),
      );
      for (const source of ['sub', 'up/folder', `d/root${folder}`, 'sub/new'])
        assertOneError(
          await build(host, ['FROM busybox', `RUN --mount=type=cache,target=/m,id=poisoned,source=${source} touch /m/evil`]),
          /"[^"]+"/u,
        );
      const climbing = await build(host, [
        'FROM busybox',
        `RUN --mount=type=cache,target=/m,id=poisoned,source=../../../../../../..${folder} ls /m; touch /m/evil`,
      ]);
      assert.ok(!said(climbing).includes('second-name'), climbing.stderr);
      assert.ok([0, 1].includes(climbing.status ?? -1), climbing.stderr);
      for (const source of [folder, `../../../../..${folder}`]) {
        const done = await build(host, ['FROM busybox', `RUN --mount=type=bind,source=${source},target=/m ls /m`]);
        assert.equal(done.status, 1, done.stderr);
      }
    },
  ],
  [
    'CVE-2024-23652: mount points that a step made links to the host are not cleaned up there, and stubs do not stay in the layer',
    async (host) => {
      const { folder } = host.canary;
      const mounts = '--mount=type=tmpfs,target=/m/empty --mount=type=secret,id=s,target=/m/file --mount=type=cache,id=x,target=/n/folder';
      const secret = join(host.sandbox.folder, 'token');
      writeFileSync(secret, 'token-of-nobody', { mode: 0o644 });
      const done = await build(
        host,
        [
          'FROM busybox',
          `RUN ${mounts} mv /m /away; ln -s ${folder} /m; mv /n /gone; ln -s ../../../../..${folder} /n`,
          `RUN ls -ld /m /n /away/* /gone/* 2>&1`,
          'RUN --mount=type=tmpfs,target=/made/dir --mount=type=bind,source=file,target=/made/for/file true',
          'RUN ls /made 2>&1; true',
        ],
        {},
        '--secret',
        `id=s,src=${secret}`,
      );
      assertBuilt(done);
      assert.equal(said(done).at(-1), 'ls: /made: No such file or directory');
      await host.load('linked', {
        layers: [tarOf([...small, ['t', 'symlink', folder], ['u', 'symlink', `../../..${folder}`]])],
        config: ownPath,
      });
      assertBuilt(
        await build(host, [
          'FROM linked',
          'RUN --mount=type=tmpfs,target=/t/folder --mount=type=cache,target=/u/made touch /t/folder/x /u/made/x',
        ]),
      );
    },
  ],
  [
    'CVE-2024-23653: rights that were not granted, also asked for by ONBUILD of a base',
    async (host) => {
      const { folder } = host.canary;
      for (const [line, refusal] of [
        ['RUN --security=insecure id', /security\.insecure is not allowed/u],
        ['RUN --network=host id', /network\.host is not allowed/u],
        [`COPY --from=../../..${folder} file /x`, /reference|from/iu],
        [`COPY ../../..${host.canary.file} /x`, /canary-of-host/u],
        ['FROM busybox', /FROM/u],
      ] as const) {
        await host.load('triggers', { layers: [tarOf(small)], config: { ...ownPath, OnBuild: [line] } });
        assertOneError(await build(host, ['FROM triggers', 'RUN true']), refusal);
      }
      await host.load('triggers', {
        layers: [tarOf(small)],
        config: { ...ownPath, OnBuild: [`RUN --mount=type=bind,source=/,target=/m ls ${folder} /m; echo ${folder} > /m/evil`] },
      });
      assert.ok(!said(await build(host, ['FROM triggers'])).includes('second-name'));
    },
  ],
  [
    'CVE-2024-24557: an image that looks like a step of this build is not taken for it; every instruction counts',
    async (host) => {
      const lines = ['FROM busybox', 'RUN echo real > /f; echo RAN', 'CMD ["cat", "/f"]'];
      assertBuilt(await build(host, lines));
      const archive = join(host.home, 'real.tar');
      await host.succeed(['save', '-o', archive, 'evil']);
      const forged = join(host.sandbox.folder, 'forged');
      mkdirSync(forged, { recursive: true });
      execFileSync('tar', ['-xf', archive, '-C', forged]);
      const [manifest] = JSON.parse(readFileSync(join(forged, 'manifest.json'), 'utf8')) as [
        { Config: string; Layers: string[]; RepoTags: string[] },
      ];
      const config = JSON.parse(readFileSync(join(forged, manifest.Config), 'utf8')) as { rootfs: { diff_ids: string[] } };
      const layer = tarOf([['f', 'file', 'forged\n']]);
      const load = async (diffId: string, name: string): Promise<Finished> => {
        const diffIds = [...config.rootfs.diff_ids.slice(0, -1), diffId];
        writeFileSync(join(forged, 'c.json'), JSON.stringify({ ...config, rootfs: { type: 'layers', diff_ids: diffIds } }));
        writeFileSync(join(forged, 'l.tar'), layer);
        const document = { Config: 'c.json', RepoTags: [`${name}:latest`], Layers: [...manifest.Layers.slice(0, -1), 'l.tar'] };
        writeFileSync(join(forged, 'manifest.json'), JSON.stringify([document]));
        execFileSync('tar', ['-cf', join(host.sandbox.folder, 'forged.tar'), '-C', forged, '.']);
        return await host.jettison(['load', '-i', join(host.sandbox.folder, 'forged.tar')]);
      };
      await host.succeed(['rmi', 'evil']);
      await host.succeed(['prune', '-f']);
      assertBuilt(await load(sha256(layer), 'forged'));
      // Other bytes under the DiffID of the real layer.
      const lying = await load(config.rootfs.diff_ids.at(-1) ?? '', 'lying');
      // Where another build has left the very layer (the same inputs give the same one), that is taken, and what the archive has is not looked at.
      if (lying.status === 0) assert.equal(await host.succeed(['run', '--rm', 'lying']), 'real\n');
      else assertOneError(lying, /sha256:/u);
      const again = await build(host, lines);
      assertBuilt(again);
      assert.deepEqual(said(again), ['RAN']);
      assert.equal(await host.succeed(['run', '--rm', 'evil']), 'real\n');
      const more = ['HEALTHCHECK CMD ["true"]', 'ONBUILD RUN id', 'STOPSIGNAL 9', 'LABEL a=b', 'VOLUME /v'];
      assertBuilt(await build(host, [...lines.slice(0, 2), ...more]));
      const [{ Config: made }] = JSON.parse(await host.succeed(['inspect', 'evil'])) as [{ Config: Record<string, unknown> }];
      for (const part of [/"true"/u, /RUN id/u, /"9"|SIGKILL/u, /"a":"b"/u, /"\/v"/u]) assert.match(JSON.stringify(made), part);
    },
    'engine',
  ],
  [
    'CVE-2026-33747: a # syntax line pulls and runs nothing',
    async (host) => {
      await using registry = await startRegistry();
      addImage(registry, 'evil:1', imageOf({ layers: [tarOf(small)], config: { Entrypoint: ['/bin/touch', host.canary.file] } }));
      for (const syntax of [`${registry.host}/evil:1`, 'docker/dockerfile:1', 'evil/x']) {
        const done = await build(host, [`# syntax=${syntax}`, 'FROM busybox', 'RUN true']);
        assert.ok([0, 1].includes(done.status ?? -1), done.stderr);
      }
      assert.deepEqual(registry.seen, []);
    },
    'engine',
  ],
  [
    'CVE-2026-33748, CVE-2022-39253, CVE-2024-32002: a repository whose subfolder, links, names and refs lead out',
    async (host) => {
      const root = join(host.sandbox.folder, 'repositories');
      const folder = join(root, 'r');
      makeRepository(folder);
      symlinkSync(host.canary.folder, join(folder, 'out'));
      symlinkSync(`../../../../../..${host.canary.folder}`, join(folder, 'up'));
      symlinkSync(host.canary.file, join(folder, 'Linked'));
      writeFileSync(join(folder, 'Dockerfile'), 'FROM busybox\nCOPY . /all/\nRUN cat /all/out/file /all/Linked; ls /all/out/; true\n');
      writeFileSync(join(folder, '.gitmodules'), `[submodule "x"]\n\tpath = x\n\turl = ${host.canary.folder}\n`);
      commitAll(folder);
      await using server = await serveGit(root);
      const at = `http://${server.host}/r.git`;
      for (const subfolder of ['out', 'up/folder', '..', '../..', '.git', 'out/../../x']) {
        const done = await host.jettison(['build', `${at}#main:${subfolder}`]);
        assert.ok([0, 1].includes(done.status ?? -1), `${subfolder}: ${done.stderr}`);
      }
      for (const ref of [`--upload-pack=touch ${host.canary.folder}/evil`, '-c', '../../x', 'a..b', '@{-1}']) {
        const done = await host.jettison(['build', `${at}#${encodeURIComponent(ref)}`]);
        assert.equal(done.status, 1, `${ref}: ${done.stderr}`);
      }
      assert.equal((await host.jettison(['build', '-f', 'Linked', at])).status, 1);
      const done = await host.jettison(['build', '--progress=plain', '--build-arg', 'BUILDKIT_CONTEXT_KEEP_GIT_DIR=1', at]);
      assert.ok([0, 1].includes(done.status ?? -1), done.stderr);
      for (const source of [
        `file://${folder}`,
        `ext::sh -c touch% ${host.canary.folder}/evil`,
        `ssh://-oProxyCommand=touch\\ ${host.canary.folder}/evil/x.git`,
        `git@host.invalid:--upload-pack=touch\\ ${host.canary.folder}/evil.git`,
        `git@-oProxyCommand=touch\\ ${host.canary.folder}/evil:x.git`,
      ])
        assert.equal((await build(host, ['FROM scratch', `ADD ["${source.replaceAll('\\', '\\\\')}", "/r/"]`])).status, 1, source);
    },
    'engine',
  ],
  [
    'BuildKit 0.28.1 (4f26c2023, 7cf63df2a): names of files that a web server or an address gives are names and no paths',
    async (host) => {
      const { folder } = host.canary;
      await using server = await serve((request, response) => {
        const name = decodeURIComponent((request.url ?? '').split('?name=')[1] ?? '');
        response.writeHead(200, name === '' ? {} : { 'content-disposition': `attachment; filename="${name}"` }).end('evil');
      });
      const paths = ['..%2f..%2f..%2fevil', '%2e%2e', 'x/', 'a%5c..%5cevil', 'a%00b'];
      const named = [`../../../../..${folder}/evil`, '..', `${folder}/evil`].map((name) => `f?name=${encodeURIComponent(name)}`);
      for (const path of [...paths, ...named]) {
        const lines = ['FROM busybox', `ADD http://${server.host}/${path} /into/`, 'RUN find / -xdev -name "*evil*" -o -path "/into/*"'];
        const done = await build(host, lines, {}, '--no-cache');
        assertBuilt(done);
        assert.equal(said(done).length, 1, done.stderr);
        assert.match(said(done).join(), /^\/into\/[^/]+$/u);
      }
    },
    'engine',
  ],
  [
    'BuildKit 408266e4b, CVE-2026-47262: /etc/passwd and /etc/group that are huge, endless, pipes or links to the host',
    async (host) => {
      const huge = new Uint8Array(11 << 20).fill(0x61);
      const shapes: readonly (readonly ShortEntry[])[] = [
        [
          ['etc/passwd', 'file', huge],
          ['etc/group', 'file', huge],
        ],
        [
          ['etc/passwd', 'fifo'],
          ['etc/group', 'fifo'],
        ],
        [
          ['etc/passwd', 'symlink', '/dev/zero'],
          ['etc/group', 'symlink', '../dev/zero'],
          ['dev', 'folder'],
          ['dev/zero', 'character-device', '', { device: { major: 1, minor: 5 } }],
        ],
        [
          ['etc/passwd', 'symlink', `${host.canary.folder}/etc/passwd`],
          ['etc/group', 'symlink', `../../../..${host.canary.folder}/etc/group`],
        ],
        [
          ['etc/passwd', 'folder'],
          ['etc/group', 'symlink', 'group'],
        ],
      ];
      for (const shape of shapes) {
        await host.load('accounts', { layers: [tarOf([...small, ...shape])], config: ownPath });
        for (const lines of [['COPY --chown=hostuser:hostuser file /f'], ['USER hostuser:hostuser', 'WORKDIR /w', 'RUN id']]) {
          const done = await build(host, ['FROM accounts', ...lines]);
          // An owner that the image does not know may be a warning, and root; never the host's.
          assert.ok(done.took < 200_000, `${done.took} ms`);
          if (lines[0]?.startsWith('USER') === true) assertOneError(done, /passwd|group|hostuser/u);
        }
      }
    },
  ],
  [
    'BuildKit 64bbec89c: a security mode that is not known is refused',
    async (host) => {
      for (const mode of ['x', '99', 'Insecure', ''])
        assertOneError(await build(host, ['FROM busybox', `RUN --security=${mode} id`], {}, '--allow', 'security.insecure'), /security/iu);
    },
    'engine',
  ],
  [
    'CVE-2018-15664: sources and destinations of COPY and ADD through links to the host',
    async (host) => {
      const { folder, file } = host.canary;
      const context = host.context({
        Dockerfile: 'FROM busybox\nARG SOURCE=x\nCOPY $SOURCE /got/\nRUN cat /got/* /got/*/* 2>/dev/null; true\n',
        'plain/x': 'x',
      });
      for (const [name, target] of [
        ['abs', file],
        ['dir', folder],
        ['up', `../../../../../..${folder}`],
        ['loop', 'loop'],
        ['self', '/proc/self/root'],
      ] as const)
        symlinkSync(target, join(context, name));
      for (const source of ['abs', 'dir/*', 'up/file', 'self/etc/passwd', `plain/../../../../..${file}`])
        assert.ok(
          [0, 1].includes((await host.jettison(['build', '--progress=plain', '--build-arg', `SOURCE=${source}`, context])).status ?? -1),
        );
      const links = `ln -s ${file} /abs; ln -s ${folder} /dir; ln -s ../../../../../..${folder} /up; ln -s /proc/self/root /self; ln -s /proc/1/cwd /cwd; ln -s ${folder}/new /new`;
      for (const source of ['/abs', '/up/file', `/self${file}`, '/d*/file']) {
        const done = await build(host, [
          'FROM busybox AS links',
          `RUN ${links}`,
          'FROM busybox',
          `COPY --from=links ${source} /got/`,
          'RUN cat /got/* 2>/dev/null; true',
        ]);
        assert.ok([0, 1].includes(done.status ?? -1), done.stderr);
      }
      const inner = tarOf([['t', 'file', 'of the archive']]);
      const into = [
        'COPY file /dir/',
        'COPY file /dir/file',
        'COPY file /abs',
        'COPY --chmod=777 --chown=5:6 . /up/',
        'ADD inner.tar /up/folder',
        'COPY file /new',
        `WORKDIR /dir/made`,
        'COPY file .',
      ];
      assertBuilt(
        await build(host, ['FROM busybox', `RUN ${links}; mkdir -p ${folder}`, ...into, 'RUN ls -la /dir/ /up/'], { 'inner.tar': inner }),
      );
      // Where nothing of the image stands behind the links, folders are made in the image or the step is refused.
      assert.ok([0, 1].includes((await build(host, ['FROM busybox', `RUN ${links}`, ...into], { 'inner.tar': inner })).status ?? -1));
    },
  ],
  [
    'CVE-2019-14271: no library and no setting of an image has a say in who a user is',
    async (host) => {
      const accounts: readonly ShortEntry[] = [
        ['etc/passwd', 'file', 'app:x:700:701::/:/bin/sh\n'],
        ['etc/group', 'file', 'app:x:701:\n'],
        ['etc/nsswitch.conf', 'file', 'passwd: evil\ngroup: evil\n'],
        ['etc/ld.so.preload', 'file', '/lib/evil.so\n'],
        ...['lib', 'lib64', 'usr', 'usr/lib', 'usr/lib/x86_64-linux-gnu'].map((name) => [name, 'folder'] as const),
        ...['lib/libnss_evil.so.2', 'lib64/libnss_files.so.2', 'usr/lib/x86_64-linux-gnu/libnss_evil.so.2', 'lib/evil.so'].map(
          (name) => [name, 'fifo'] as const,
        ),
      ];
      await host.load('nss', {
        layers: [tarOf([...small, ...accounts])],
        config: { Env: ['PATH=/bin', 'LD_PRELOAD=/lib/evil.so', 'LD_LIBRARY_PATH=/lib'] },
      });
      const done = await build(host, [
        'FROM nss',
        'COPY --chown=app:app file /f',
        'USER app',
        'WORKDIR /w',
        'RUN id -u; id -g; ls -n /f | cut -c1-40',
      ]);
      assertBuilt(done);
      assert.ok(done.took < 200_000, `${done.took} ms`);
      assert.deepEqual(said(done).slice(0, 2), ['700', '701']);
    },
  ],
  [
    'CVE-2021-41089, CVE-2014-9356, CVE-2014-9357: archives whose entries go through their own links, by ADD and in a layer',
    async (host) => {
      const { folder, file } = host.canary;
      const tricks: readonly (readonly ShortEntry[])[] = [
        [
          ['link', 'symlink', folder],
          ['link', 'folder', '', { mode: 0o700, uid: 9 }],
        ],
        [
          ['link', 'symlink', folder],
          ['link/evil', 'file', 'evil'],
        ],
        [['link', 'hard-link', file]],
        [
          ['a', 'symlink', folder],
          ['link', 'hard-link', 'a/file'],
          ['link', 'file', 'evil', { mode: 0o4777 }],
        ],
        [
          ['a', 'symlink', file],
          ['a', 'file', 'evil', { mode: 0o777, uid: 3 }],
        ],
        [['../../../../../../../../..' + folder + '/evil', 'file', 'evil']],
        [
          ['a', 'symlink', '.'],
          ['a/b', 'symlink', '..'],
          ['a/b/c', 'symlink', '..'],
          [`a/b/c/../../../../..${folder}/evil`, 'file', 'evil'],
        ],
      ];
      for (const entries of tricks) {
        const archive = tarOf(entries);
        const added = await build(host, ['FROM busybox', 'ADD evil.tar /into/'], { 'evil.tar': archive });
        assert.ok([0, 1].includes(added.status ?? -1), added.stderr);
        const loaded = await host.load('layer', { layers: [tarOf(small), archive] });
        assert.ok([0, 1].includes(loaded.status ?? -1), loaded.stderr);
        if (loaded.status === 0) assertBuilt(await build(host, ['FROM layer', 'COPY --chmod=777 file /link/x']));
      }
    },
  ],
  [
    'CVE-2021-41091: nobody else enters the store',
    async (host) => {
      assertBuilt(await build(host, ['FROM busybox', 'RUN cp /bin/busybox /root-shell; chmod 4755 /root-shell']));
      const wide = readdirSync(host.store).filter((name) => (statSync(join(host.store, name)).mode & 0o077) !== 0);
      assert.equal(statSync(host.store).mode & 0o777, 0o700);
      assert.deepEqual(wide, []);
      const made = join(host.home, 'made-before');
      mkdirSync(made);
      chmodSync(made, 0o777);
      const { uid, gid } = statSync(host.home);
      execFileSync('chown', [`${uid}:${gid}`, made]);
      const context = host.context({ Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
      const done = await host.jettison(['build', '-q', context], { environment: { JETTISON_STORE: made } });
      assert.ok(
        done.status !== 0 ||
          (statSync(made).mode & 0o077) === 0 ||
          readdirSync(made).every((name) => (statSync(join(made, name)).mode & 0o077) === 0),
        'a store in a folder that was open is closed',
      );
    },
  ],
  [
    'CVE-2026-41567: archives are unpacked by no program and no setting of the image or the Dockerfile',
    async (host) => {
      const evil = `#!/bin/sh\necho evil > ${host.canary.file}\nexec cat\n`;
      const programs = ['xz', 'unxz', 'bzip2', 'gzip', 'unpigz', 'pigz', 'zstd', 'tar', 'git', 'sh'].flatMap((name) =>
        ['usr/bin', 'evil'].map((folder) => [`${folder}/${name}`, 'file', evil, { mode: 0o755 }] as const),
      );
      await host.load('programs', {
        layers: [tarOf([...small, ['usr', 'folder'], ['usr/bin', 'folder'], ['evil', 'folder'], ...programs])],
        config: { Env: ['PATH=/evil'] },
      });
      const plain = tarOf([['t', 'file', 'of the archive']]);
      const packed = (...words: readonly [string, ...string[]]): Uint8Array =>
        new Uint8Array(execFileSync(words[0], words.slice(1), { input: plain }));
      const files = {
        'a.tar.xz': packed('xz', '-c'),
        'b.tar.bz2': packed('bzip2', '-c'),
        'c.tar.gz': packed('gzip', '-c'),
        'd.tar.zst': packed('zstd', '-c'),
      };
      const names = Object.keys(files);
      const context = host.context({
        ...files,
        ...Object.fromEntries(['xz', 'bzip2', 'gzip', 'unpigz', 'zstd'].map((name) => [name, evil])),
        Dockerfile: [
          'FROM programs',
          'ENV PATH=/evil:. LD_PRELOAD=/evil/x XZ_OPT=--help GZIP=-h',
          ...names.map((name) => `ADD ${name} /${name}/`),
          'FROM busybox',
          ...names.map((name) => `COPY --from=0 /${name}/t /${name}`),
          `RUN cat ${names.map((name) => `/${name}`).join(' ')}`,
        ].join('\n'),
      });
      for (const name of ['xz', 'bzip2', 'gzip', 'unpigz', 'zstd']) chmodSync(join(context, name), 0o755);
      const done = await host.jettison(['build', '--progress=plain', '.'], { cwd: context });
      assertBuilt(done);
      assert.equal(said(done).join(''), 'of the archive'.repeat(4));
    },
  ],
  [
    'CVE-2014-6407, CVE-2014-9358: digests and names that are paths',
    async (host) => {
      await using registry = await startRegistry();
      const image = imageOf({ layers: [tarOf(small)] });
      const type = 'application/vnd.oci.image.manifest.v1+json';
      const bad = [
        `sha256:../../../../../../..${host.canary.file}`,
        'sha256:abc',
        `sha256:${'A'.repeat(64)}`,
        `md5:${'0'.repeat(32)}`,
        '',
        `sha256:${'0'.repeat(63)}/`,
      ];
      for (const [index, digest] of bad.entries()) {
        const own = JSON.parse(new TextDecoder().decode(image.manifest)) as { config: object; layers: object[] };
        const [config, layers] =
          index % 2 === 0 ? [{ ...own.config, digest }, own.layers] : [own.config, own.layers.map((layer) => ({ ...layer, digest }))];
        addImage(registry, `bad:${index}`, image);
        addManifest(registry, `bad:${index}`, encodeJson({ ...own, config, layers }), type);
        assertOneError(await host.jettison(['pull', `${registry.host}/bad:${index}`]), /digest/iu);
      }
      for (const [index, name] of ['../../../etc', `sha256:../../..${host.canary.file}`, '-rf', 'a/../b', './x', 'sha256:..'].entries()) {
        const command = ['inspect', 'rmi', 'history'][index % 3] ?? '';
        assertOneError(await host.jettison([command, '--', name]), /No such (?:object|image)|invalid reference format/u);
      }
    },
    'engine',
  ],
  [
    'CVE-2022-36109, CVE-2023-25173, CVE-2022-2990, CVE-2022-2989: the groups of a user are those of /etc/group, the primary one among them',
    async (host) => {
      const done = await build(host, [
        'FROM busybox',
        'RUN echo "app:x:700:700::/home/app:/bin/sh" >> /etc/passwd; printf "app:x:700:\\nextra:x:701:app\\nother:x:702:app,root\\n" >> /etc/group',
        ...['app', '700', 'app:app', '700:701', '4040'].flatMap((user) => [
          `USER ${user}`,
          'RUN id -G; grep ^Groups /proc/self/status | tr "\\t" " "',
        ]),
      ]);
      assertBuilt(done);
      const lines = said(done).map((line) => line.trim());
      assert.deepEqual(lines, [
        '700 701 702',
        'Groups: 700 701 702',
        '700 701 702',
        'Groups: 700 701 702',
        '700',
        'Groups: 700',
        '701',
        'Groups: 701',
        '0',
        'Groups: 0',
      ]);
    },
  ],
  [
    'CVE-2021-21285: malformed manifests and configs are errors',
    async (host) => {
      await using registry = await startRegistry();
      const type = 'application/vnd.oci.image.manifest.v1+json';
      const manifests = [
        '',
        'null',
        '[]',
        '{}',
        '{"schemaVersion":2',
        '"x"',
        '{"schemaVersion":2,"config":null,"layers":null}',
        '{"schemaVersion":2,"config":{"mediaType":7,"digest":7,"size":"x"},"layers":[null]}',
        '\u0000',
        '['.repeat(50_000),
        '{"schemaVersion":2,"config":{"mediaType":"a","digest":"sha256:aa","size":-1},"layers":{}}',
      ];
      for (const [index, json] of manifests.entries()) {
        addManifest(registry, `broken:m${index}`, text(json), type);
        const done = await host.jettison(['pull', `${registry.host}/broken:m${index}`]);
        assertOneError(done, /manifest|index|JSON|schema/iu);
      }
      const whole = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [sha256(tarOf(small))] } };
      // Each of the later ones is wrong in one place.
      const configs = [
        'null',
        '[]',
        '{}',
        '{"os"',
        ...[
          { architecture: 7 },
          { os: [] },
          { rootfs: null },
          { rootfs: { type: 'layers', diff_ids: 'x' } },
          { rootfs: { type: 'layers', diff_ids: [null] } },
          { rootfs: { type: 'layers', diff_ids: [] } },
          { config: { Env: [7] } },
          { config: { Cmd: {} } },
          { history: 7 },
        ].map((wrong) => JSON.stringify({ ...whole, ...wrong })),
      ];
      for (const [index, json] of configs.entries()) {
        const config = text(json);
        const layer = tarOf(small);
        const manifest = encodeJson({
          schemaVersion: 2,
          mediaType: type,
          config: descriptorOf('application/vnd.oci.image.config.v1+json', config),
          layers: [descriptorOf('application/vnd.oci.image.layer.v1.tar', layer)],
        });
        addImage(registry, `broken:c${index}`, {
          config,
          layers: [layer],
          manifest,
          mediaType: type,
          digest: sha256(manifest),
        });
        const done = await host.jettison(['pull', `${registry.host}/broken:c${index}`]);
        assertOneError(done, /image config|DiffID|layers/u);
      }
    },
    'engine',
  ],
];

for (const as of attackers) {
  describe(`by ${as}`, () => {
    let host: AttackedHost;
    before(async () => {
      host = await openAttackedHost({ as, watched: ['/etc/passwd', '/etc/group', '/bin/busybox'] });
      await host.busybox();
    });
    after(async () => {
      await assertNothingLeft(host.sandbox, [], host.store);
      host.canary.assertUnread({ below: host.store });
      await host[Symbol.asyncDispose]();
    });
    const mine = attacks.filter(([, , where]) => where !== 'engine' || attackersOfEngine.includes(as));
    for (const [name, attack] of mine) test(`${name} (${as})`, async () => await attack(host));
  });
}
