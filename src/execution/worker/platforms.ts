/** Which platforms' programs run on this machine: its own, those its processor runs as well, and those that the kernel hands to an emulator. */
import { nativePlatform, normalPlatform, platformRank, printPlatform, type Platform } from '#formats/oci/platform.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { findEmulators, installedEmulator, isEmulationMounted } from '#ground/linux/emulation.ts';

export type RunnablePlatform = {
  /** `linux/arm64` */
  readonly platform: string;
  /** The program that runs its programs; undefined where the processor does. */
  readonly emulator: string | undefined;
};

/** This machine's first; those that are emulated last. */
export function runnablePlatforms(): readonly RunnablePlatform[] {
  const native = nativePlatform(process.arch);
  const others = native.architecture === 'amd64' ? ['386'] : [];
  const own = [native.architecture, ...others].map((architecture) => ({
    platform: printPlatform(normalPlatform({ os: 'linux', architecture })),
    emulator: undefined,
  }));
  const emulated = [...findEmulators()].map(([architecture, { interpreter }]) => ({
    platform: printPlatform(normalPlatform({ os: 'linux', architecture })),
    emulator: interpreter,
  }));
  const known = new Set(own.map(({ platform }) => platform));
  return [...own, ...emulated.filter(({ platform }) => !known.has(platform)).toSorted((a, b) => (a.platform < b.platform ? -1 : 1))];
}

/** Is the platform of this machine's own processor? */
export function isNative(platform: Platform): boolean {
  return platformRank(platform, nativePlatform(process.arch)) !== undefined;
}

/**
 * Throws `worker/no-emulator` when programs of the platform cannot run here, with what to install. `what`: what would run them, for the message; `path`: where programs
 * are looked for.
 */
export function requireRunnable(platform: Platform, { what, path }: { readonly what: string; readonly path: string }): void {
  if (isNative(platform)) return;
  const { architecture } = platform;
  const name = printPlatform(platform);
  if (platform.os === 'linux' && findEmulators().has(architecture)) return;
  throw new JettisonError('worker/no-emulator', `${what} needs to run programs of ${name}, for which this machine has no emulator`, {
    fault: 'environment',
    hint: platform.os === 'linux' ? hintFor(architecture, path) : 'Only programs of Linux can run here',
  });
}

function hintFor(architecture: string, path: string): string {
  const installed = installedEmulator(architecture, path);
  const compile = 'or compile on this machine: FROM --platform=$BUILDPLATFORM';
  if (!isEmulationMounted())
    return `Mount binfmt_misc (mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc), then apt-get install --reinstall qemu-user-static binfmt-support; ${compile}`;
  if (installed !== undefined)
    return `"${installed}" is installed, but not registered with the kernel: apt-get install --reinstall qemu-user-static binfmt-support; ${compile}`;
  return `Install one as root: apt-get install qemu-user-static binfmt-support; ${compile}`;
}
