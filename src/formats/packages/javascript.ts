/** Packages of npm: those that are installed, and those that lock files pin. */
import * as v from 'valibot';
import { parseJson } from './languages.ts';
import { packageOf, type Package } from './package.ts';

const licenseShape = v.union([v.string(), v.object({ type: v.string() })]);
const manifestShape = v.object({
  name: v.string(),
  version: v.string(),
  license: v.optional(v.fallback(v.nullable(licenseShape), null)),
  licenses: v.optional(v.fallback(v.array(licenseShape), [])),
  homepage: v.optional(v.fallback(v.nullable(v.string()), null)),
});

/** `package.json` of an installed package. */
export function readPackageJson(text: string, foundIn: string): readonly Package[] {
  const parsed = v.safeParse(manifestShape, parseJson(text));
  if (!parsed.success || parsed.output.name === '') return [];
  const { name, version, license, licenses, homepage } = parsed.output;
  const named = [...(license === null || license === undefined ? [] : [license]), ...(licenses ?? [])];
  return [
    npmPackage(name, version, {
      foundIn,
      licenses: named.map((one) => (typeof one === 'string' ? one : one.type)),
      homepage: homepage ?? undefined,
    }),
  ];
}

const lockShape = v.object({
  packages: v.optional(
    v.record(v.string(), v.object({ name: v.optional(v.string()), version: v.optional(v.string()), link: v.optional(v.boolean()) })),
  ),
  dependencies: v.optional(v.record(v.string(), v.unknown())),
});
const oldDependency = v.object({ version: v.string(), dependencies: v.optional(v.record(v.string(), v.unknown())) });

/** `package-lock.json` and `npm-shrinkwrap.json`, versions 1 to 3. */
export function readPackageLock(text: string, foundIn: string): readonly Package[] {
  const parsed = v.safeParse(lockShape, parseJson(text));
  if (!parsed.success) return [];
  const { packages, dependencies } = parsed.output;
  if (packages === undefined) return readOldDependencies(dependencies ?? {}, foundIn, 0);
  return Object.entries(packages).flatMap(([path, { name, version, link }]) => {
    const at = path.lastIndexOf('node_modules/');
    if (at < 0 || version === undefined || link === true) return [];
    return [npmPackage(name ?? path.slice(at + 'node_modules/'.length), version, { foundIn })];
  });
}

const deepest = 100;

function readOldDependencies(dependencies: Readonly<Record<string, unknown>>, foundIn: string, depth: number): readonly Package[] {
  if (depth > deepest) return [];
  return Object.entries(dependencies).flatMap(([name, value]) => {
    const parsed = v.safeParse(oldDependency, value);
    if (!parsed.success) return [];
    const { version, dependencies: inner } = parsed.output;
    return [npmPackage(name, version, { foundIn }), ...readOldDependencies(inner ?? {}, foundIn, depth + 1)];
  });
}

/** `yarn.lock`, of Yarn 1 and of later ones. */
export function readYarnLock(text: string, foundIn: string): readonly Package[] {
  const found: Package[] = [];
  let name: string | undefined;
  for (const line of text.split('\n')) {
    if (/^\S.*:\s*$/u.test(line)) name = nameOfYarnEntry(line);
    const version = /^ {2}version:? "?([^"\s]+)"?/u.exec(line)?.[1];
    if (version !== undefined && name !== undefined && !version.startsWith('0.0.0-use.local')) {
      found.push(npmPackage(name, version, { foundIn }));
      name = undefined;
    }
  }
  return found;
}

function nameOfYarnEntry(line: string): string | undefined {
  const [first = ''] = line.replaceAll('"', '').split(',');
  return /^(?<name>@?[^@\s]+)@/u.exec(first.trim())?.groups?.['name'];
}

/** `pnpm-lock.yaml`: the keys below `packages:`, in the forms of versions 5 to 9. */
export function readPnpmLock(text: string, foundIn: string): readonly Package[] {
  const start = text.search(/^packages:\s*$/mu);
  if (start < 0) return [];
  const [section = ''] = text.slice(start).split(/\n(?=[a-z])/u);
  return section.split('\n').flatMap((line) => {
    const { groups } = /^ {2}'?\/?(?<name>@?[^@\s'/]+(?:\/[^@\s'/]+)?)[@/](?<version>\d[^:'(_\s]*)(?:['(_\s][^:]*)?:\s*$/u.exec(line) ?? {};
    return groups === undefined ? [] : [npmPackage(groups['name'] ?? '', groups['version'] ?? '', { foundIn })];
  });
}

function npmPackage(full: string, version: string, rest: Pick<Package, 'foundIn'> & Partial<Package>): Package {
  const slash = full.startsWith('@') ? full.indexOf('/') : -1;
  const named = slash < 0 ? { name: full } : { namespace: full.slice(0, slash), name: full.slice(slash + 1) };
  return packageOf({ type: 'npm', version, ...named, ...rest });
}
