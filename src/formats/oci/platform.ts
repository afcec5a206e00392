/** Platforms as the OCI image index names them: `linux/arm64/v8`. */
import { JettisonError } from '#ground/base/errors.ts';

export type Platform = {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly 'os.version'?: string;
  readonly 'os.features'?: readonly string[];
};

const part = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/u;

/** Names that are an architecture when they stand alone. */
const architectures: ReadonlySet<string> = new Set([
  '386',
  'amd64',
  'arm',
  'arm64',
  'loong64',
  'mips',
  'mipsle',
  'mips64',
  'mips64le',
  'ppc64',
  'ppc64le',
  'riscv64',
  's390x',
  'wasm',
  'i386',
  'x86_64',
  'x86-64',
  'aarch64',
  'armhf',
  'armel',
]);

/** Operating systems as Go names them (GOOS), and `macos`: what may stand alone. */
const systems: ReadonlySet<string> = new Set([
  'aix',
  'android',
  'darwin',
  'dragonfly',
  'freebsd',
  'hurd',
  'illumos',
  'ios',
  'js',
  'linux',
  'macos',
  'netbsd',
  'openbsd',
  'plan9',
  'solaris',
  'wasip1',
  'windows',
  'zos',
]);

/**
 * `linux/amd64`, `linux/arm/v7`, `arm64`, `linux`, with the aliases that people use (x86_64, aarch64, armhf); what is missing comes
 * from `native`. Gives a normal form. Throws `oci/invalid-platform`.
 */
export function parsePlatform(text: string, native: Platform): Platform {
  const parts = text.split('/');
  if (parts.length > 3 || !parts.every((one) => part.test(one))) {
    throw new JettisonError('oci/invalid-platform', `Invalid platform: "${text.slice(0, 100)}"`, {
      hint: 'A platform is os/architecture or os/architecture/variant, such as "linux/arm64"',
    });
  }
  const [first = '', second, third] = parts;
  if (second === undefined) {
    const alone = first.toLowerCase();
    if (architectures.has(alone)) return normalPlatform({ os: native.os, architecture: alone });
    if (systems.has(alone)) return normalPlatform({ ...native, os: alone });
    throw new JettisonError(
      'oci/invalid-platform',
      `Invalid platform: "${text.slice(0, 100)}" is no operating system and no architecture`,
      {
        hint: 'A platform is os/architecture or os/architecture/variant, such as "linux/arm64"',
      },
    );
  }
  return normalPlatform({ os: first, architecture: second, ...(third === undefined ? {} : { variant: third }) });
}

/** One spelling for each platform, as containerd spells it: aliases replaced, default variants left out (amd64 v1, arm64 v8) or put in (arm v7). */
export function normalPlatform(platform: Platform): Platform {
  const { variant: given, ...rest } = platform;
  const os = platform.os.toLowerCase() === 'macos' ? 'darwin' : platform.os.toLowerCase();
  const [architecture, variant] = normalArchitecture(platform.architecture.toLowerCase(), (given ?? '').toLowerCase());
  return { ...rest, os, architecture, ...(variant === '' ? {} : { variant }) };
}

/** `linux/arm64`, `linux/arm/v7`. */
export function printPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, ...(platform.variant ? [platform.variant] : [])].join('/');
}

/** The platform of this machine by Node's names (`process.arch`): ia32, x64, arm, arm64, ppc64, riscv64, s390x. */
export function nativePlatform(nodeArchitecture: string): Platform {
  const known: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' };
  const architecture = Object.hasOwn(known, nodeArchitecture) ? known[nodeArchitecture] : undefined;
  return normalPlatform({ os: 'linux', architecture: architecture ?? nodeArchitecture });
}

/**
 * How well `offered` serves one who wants `wanted`: 0 is exactly it, higher numbers are older variants that run there too
 * (arm v6 for v7, 386 for amd64), undefined means that it does not run.
 */
export function platformRank(offered: Platform, wanted: Platform): number | undefined {
  const rank = runnable(normalPlatform(wanted)).indexOf(printPlatform(normalPlatform(offered)));
  return rank === -1 ? undefined : rank;
}

/** Those of `entries` that run on `wanted`, best first; those without a platform come last, for their config must say it. */
export function matchPlatform<T extends { readonly platform?: Platform }>(entries: readonly T[], wanted: Platform): readonly T[] {
  const unknown = entries.filter((entry) => entry.platform === undefined);
  const ranked = entries.flatMap((entry) => {
    const rank = entry.platform && platformRank(entry.platform, wanted);
    return rank === undefined ? [] : [{ entry, rank }];
  });
  return [...ranked.toSorted((a, b) => a.rank - b.rank).map(({ entry }) => entry), ...unknown];
}

/** All that runs where `wanted` is at home, best first. */
function runnable(wanted: Platform): readonly string[] {
  const own = printPlatform(wanted);
  const level = Number(/^v(\d)(?:\.\d)?$/u.exec(wanted.variant ?? '')?.[1] ?? 0);
  const variants = (architecture: string, highest: number, lowest: number): readonly string[] =>
    Array.from({ length: Math.max(0, highest - lowest + 1) }, (_, index) =>
      printPlatform(normalPlatform({ os: wanted.os, architecture, variant: `v${highest - index}` })),
    );
  if (wanted.architecture === 'amd64') return [own, ...variants('amd64', level - 1, 1), `${wanted.os}/386`];
  if (wanted.architecture === 'arm') return [own, ...variants('arm', level - 1, 5)];
  if (wanted.architecture === 'arm64') {
    return [own, ...variants('arm64', level - 1, 8), ...variants('arm', 8, 5)];
  }
  return [own];
}

function normalArchitecture(architecture: string, variant: string): readonly [string, string] {
  switch (architecture) {
    case 'i386':
      return ['386', ''];
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return ['amd64', variant === 'v1' ? '' : variant];
    case 'aarch64':
    case 'arm64':
      return ['arm64', variant === '8' || variant === 'v8' || variant === 'v8.0' ? '' : variant];
    case 'armhf':
      return ['arm', 'v7'];
    case 'armel':
      return ['arm', 'v6'];
    case 'arm':
      return ['arm', variant === '' ? 'v7' : /^[5-8]$/u.test(variant) ? `v${variant}` : variant];
    default:
      return [architecture, variant];
  }
}
