/** Build arguments: which exist without being declared, and how those before the first FROM get their values. */
import { JettisonError } from '#ground/base/errors.ts';
import { printPlatform, type Platform } from '#formats/oci/platform.ts';

const proxyNames = ['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'];

/** Go's strconv.ParseBool. */
const trueWords = ['1', 't', 'T', 'TRUE', 'true', 'True'];

/** Does Go read this as true (strconv.ParseBool)? */
export function isTrueWord(text: string): boolean {
  return trueWords.includes(text);
}

/** What BuildKit does for these arguments is not built: they are refused when they ask for something. */
const notBuilt: ReadonlyMap<string, string> = new Map([
  ['BUILDKIT_MULTI_PLATFORM', 'Leave it out: the result is an image for one platform, without an index'],
]);

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

/** Throws `frontend/not-built-yet` for a built-in argument of BuildKit that asks for what there is not. */
export function refuseUnbuiltArguments(buildArgs: ReadonlyMap<string, string>): void {
  for (const [name, hint] of notBuilt) {
    if (!isTrueWord(buildArgs.get(name) ?? '')) continue;
    throw new JettisonError('frontend/not-built-yet', `Build argument "${name}" is not built yet`, { hint });
  }
}

/**
 * SOURCE_DATE_EPOCH (reproducible-builds.org): what an image gives as the time of its making, in milliseconds since the epoch; undefined without it.
 * Throws `frontend/bad-epoch`.
 */
export function readEpoch(buildArgs: ReadonlyMap<string, string>): number | undefined {
  const given = buildArgs.get('SOURCE_DATE_EPOCH') ?? '';
  if (given === '') return undefined;
  if (given === 'context')
    throw new JettisonError('frontend/not-built-yet', 'SOURCE_DATE_EPOCH=context is not built yet', { hint: 'Give seconds since 1970' });
  const seconds = /^\d{1,12}$/u.test(given) ? Number(given) : Number.NaN;
  if (seconds <= lastSecond) return seconds * 1000;
  throw new JettisonError('frontend/bad-epoch', `Invalid SOURCE_DATE_EPOCH: "${given}"`, {
    hint: 'Give whole seconds since 1970, as "git log -1 --pretty=%ct" prints them',
  });
}

/** The end of the year 9999, the last that RFC 3339 can write. */
const lastSecond = 253_402_300_799;

/** Arguments that were given and that no ARG asks for, sorted; those that need none are left out. */
export function unusedArguments(buildArgs: ReadonlyMap<string, string>, declared: ReadonlySet<string>): readonly string[] {
  return [...buildArgs.keys()].filter((name) => !declared.has(name) && !needsNone(name)).toSorted();
}

function needsNone(name: string): boolean {
  return proxyNames.includes(name.toUpperCase()) || name.startsWith('BUILDKIT_') || name === 'SOURCE_DATE_EPOCH';
}
