/** Build arguments: which exist without being declared, and how those before the first FROM get their values. */
import { printPlatform, type Platform } from '#formats/oci/platform.ts';

const proxyNames = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'];

/** Build arguments that steer the builder itself and are no variables of a RUN. */
const builderArguments = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);

/** Is a declared argument of this name a variable of the processes, too? */
export function isVariableArgument(name: string): boolean {
  return !builderArguments.has(name);
}

/**
 * The arguments every Dockerfile can declare without a value: BUILDPLATFORM, TARGETPLATFORM and their parts, TARGETSTAGE.
 * `--build-arg` wins over them.
 */
export function platformArguments(
  platforms: { readonly target: Platform; readonly build: Platform },
  targetStage: string,
  buildArgs: ReadonlyMap<string, string>,
): Map<string, string> {
  const values = new Map<string, string>();
  for (const [prefix, platform] of [
    ['BUILD', platforms.build],
    ['TARGET', platforms.target],
  ] as const) {
    values.set(`${prefix}PLATFORM`, printPlatform(platform));
    values.set(`${prefix}OS`, platform.os);
    values.set(`${prefix}OSVERSION`, platform['os.version'] ?? '');
    values.set(`${prefix}ARCH`, platform.architecture);
    values.set(`${prefix}VARIANT`, platform.variant ?? '');
  }
  values.set('TARGETSTAGE', targetStage === '' ? 'default' : targetStage);
  for (const name of values.keys()) {
    const given = buildArgs.get(name);
    if (given !== undefined) values.set(name, given);
  }
  return values;
}

/**
 * Proxy settings among the build arguments, as `NAME=value` in upper and lower case: every RUN sees them, declared or not, and they
 * count neither for the cache nor for the history.
 */
export function proxyEnvironment(buildArgs: ReadonlyMap<string, string>): readonly string[] {
  const found = new Map<string, string>();
  for (const [name, value] of [...buildArgs].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const upper = name.toUpperCase();
    if (proxyNames.includes(upper)) found.set(upper, value);
  }
  return [...found].filter(([, value]) => value !== '').flatMap(([name, value]) => [`${name}=${value}`, `${name.toLowerCase()}=${value}`]);
}
