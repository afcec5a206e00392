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
/** Seconds; it takes up to a minute. */
const longestAttempt = 300;
const attempts = 3;
/** What timeout(1) ends with. */
const timedOut = 124;
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
  const excluded = ['/usr/share/doc/*', '/usr/share/man/*', '/usr/share/locale/*', '/usr/share/info/*'].map(
    (path) => `--dpkgopt=path-exclude=${path}`,
  );
  return findPackages(name, cache, ['--variant=minbase', `--include=${packages[name]}`, ...excluded]);
}

/** musl's loader and library as Debian has them, as a tar: made by mmdebstrap when it is not there yet. */
export function findMusl(cache: string): string {
  return findPackages('musl', cache, ['--variant=extract', '--include=musl']);
}

/** The tar of that name in `cache`; without /dev, as Debian's own images. A download that stands still is begun anew: apt waits for as long as a few bytes come. */
function findPackages(name: string, cache: string, options: readonly string[]): string {
  const file = join(cache, `${name}-${suite}.tar`);
  if (existsSync(file)) return file;
  mkdirSync(cache, { recursive: true });
  const unfinished = `${file}.${process.pid}.tar`;
  for (let left = attempts; left > 0; left--) {
    const words = ['--foreground', '--kill-after=20', String(longestAttempt), 'mmdebstrap', '--quiet', '--skip=output/dev', ...options];
    const made = spawnSync('timeout', [...words, suite, unfinished], { stdio: ['ignore', 'inherit', 'inherit'] });
    if (made.status === 0) {
      renameSync(unfinished, file);
      return file;
    }
    rmSync(unfinished, { force: true });
    if (made.status !== timedOut) break;
    process.stderr.write(`mmdebstrap did not make ${name} within ${longestAttempt} seconds\n`);
  }
  throw new Error(`mmdebstrap could not make ${name}`);
}
