/**
 * Base images from Debian packages, for places that cannot reach Docker Hub: `busybox` from busybox-static, `debian` and `debian-gcc` from mmdebstrap.
 * The root file systems are kept in a folder of the machine's cache, since making them takes up to a minute.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type BaseName = 'busybox' | 'debian' | 'debian-gcc';
export type BuildImage = (image: { readonly context: string; readonly tag: string }) => void | Promise<void>;

const suite = 'trixie';
const packages: Readonly<Record<'debian' | 'debian-gcc', string>> = {
  debian: 'ca-certificates',
  'debian-gcc': 'ca-certificates,gcc,g++,libc6-dev,make',
};

/** Writes a build context for the base image `name` into `folder` and has `build` make it. */
export async function makeBase(
  name: BaseName,
  options: { readonly cache: string; readonly tag: string; readonly build: BuildImage },
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), `jettison-base-${name}-`));
  try {
    if (name === 'busybox') writeBusyboxContext(folder);
    else writeDebianContext(folder, findRootfs(name, options.cache));
    await options.build({ context: folder, tag: options.tag });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeBusyboxContext(folder: string): void {
  const found = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
  if (found === undefined) throw new Error('busybox-static is not installed');
  copyFileSync(found, join(folder, 'busybox'));
  writeFileSync(
    join(folder, 'passwd'),
    'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n',
  );
  writeFileSync(join(folder, 'group'), 'root:x:0:\nwheel:x:10:root\nwww-data:x:33:\nnobody:x:65534:\n');
  writeFileSync(
    join(folder, 'Dockerfile'),
    [
      'FROM scratch',
      'COPY --chmod=755 busybox /bin/busybox',
      'COPY passwd group /etc/',
      'RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin && /bin/mkdir -p -m 1777 /tmp && /bin/mkdir -p /root /home /usr/bin /var"]',
      'CMD ["sh"]',
      '',
    ].join('\n'),
  );
}

function writeDebianContext(folder: string, rootfs: string): void {
  copyFileSync(rootfs, join(folder, 'rootfs.tar'));
  writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nADD rootfs.tar /\nCMD ["bash"]\n');
}

/** The root file system as a tar, made by mmdebstrap when it is not there yet. */
function findRootfs(name: 'debian' | 'debian-gcc', cache: string): string {
  const file = join(cache, `${name}-${suite}.tar`);
  if (existsSync(file)) return file;
  mkdirSync(cache, { recursive: true });
  const unfinished = `${file}.${process.pid}.tar`;
  const excluded = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'].map(
    (path) => `--dpkgopt=path-exclude=${path}`,
  );
  // Without /dev, as Debian's own images.
  const options = ['--quiet', '--variant=minbase', '--skip=output/dev', `--include=${packages[name]}`, ...excluded];
  const made = spawnSync('mmdebstrap', [...options, suite, unfinished], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (made.status !== 0) {
    rmSync(unfinished, { force: true });
    throw new Error(`mmdebstrap could not make ${name}`);
  }
  renameSync(unfinished, file);
  return file;
}

/** musl's loader and library as Debian has them, as a tar: made by mmdebstrap when it is not there yet. */
export function findMusl(cache: string): string {
  const file = join(cache, `musl-${suite}.tar`);
  if (existsSync(file)) return file;
  mkdirSync(cache, { recursive: true });
  const unfinished = `${file}.${process.pid}.tar`;
  const made = spawnSync('mmdebstrap', ['--quiet', '--variant=extract', '--skip=output/dev', '--include=musl', suite, unfinished], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (made.status !== 0) {
    rmSync(unfinished, { force: true });
    throw new Error('mmdebstrap could not make musl');
  }
  renameSync(unfinished, file);
  return file;
}
