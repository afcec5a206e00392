/** Which files of an image say what packages it has, and what they say. */
import type { Distribution } from './distribution.ts';
import { readPackageJson, readPackageLock, readPnpmLock, readYarnLock } from './javascript.ts';
import {
  readComposer,
  readGemfileLock,
  readGemspec,
  readGoMod,
  readPipfileLock,
  readPythonMetadata,
  readRequirements,
  readTomlLock,
} from './languages.ts';
import type { Package } from './package.ts';
import { readApkInstalled, readDpkgStatus } from './system.ts';

export type CatalogReader = (text: string, path: string, distribution: Distribution) => readonly Package[];

type Rule = readonly [RegExp, CatalogReader];

/** By path, without a leading slash. What is installed says more than what a lock file pins; both are read, since an image may have either. */
const rules: readonly Rule[] = [
  [/^var\/lib\/dpkg\/status$/u, readDpkgStatus],
  [/^var\/lib\/dpkg\/status\.d\/[^/]+(?<!\.md5sums)$/u, readDpkgStatus],
  [/^(?:usr\/)?lib\/apk\/db\/installed$/u, readApkInstalled],
  [/(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json$/u, readPackageJson],
  [/(?:^|\/)(?:package-lock|npm-shrinkwrap)\.json$/u, readPackageLock],
  [/(?:^|\/)yarn\.lock$/u, readYarnLock],
  [/(?:^|\/)pnpm-lock\.yaml$/u, readPnpmLock],
  [/\.dist-info\/METADATA$/u, readPythonMetadata],
  [/\.egg-info(?:\/PKG-INFO)?$/u, readPythonMetadata],
  [/(?:^|\/)requirements\.txt$/u, readRequirements],
  [/(?:^|\/)(?:poetry|uv)\.lock$/u, (text, path) => readTomlLock(text, path, 'pypi')],
  [/(?:^|\/)Pipfile\.lock$/u, readPipfileLock],
  [/(?:^|\/)Cargo\.lock$/u, (text, path) => readTomlLock(text, path, 'cargo')],
  [/(?:^|\/)Gemfile\.lock$/u, readGemfileLock],
  [/(?:^|\/)specifications\/(?:default\/)?[^/]+\.gemspec$/u, readGemspec],
  [/(?:^|\/)composer(?:\.lock|\/installed\.json)$/u, readComposer],
  [/(?:^|\/)go\.mod$/u, readGoMod],
];

/** Databases that are there and that nobody here can read: an SBOM without them has to say so. */
export const unreadDatabases: ReadonlyMap<string, string> = new Map([
  ['var/lib/rpm/rpmdb.sqlite', 'rpm'],
  ['var/lib/rpm/Packages', 'rpm'],
  ['var/lib/rpm/Packages.db', 'rpm'],
  ['usr/lib/sysimage/rpm/rpmdb.sqlite', 'rpm'],
  ['usr/lib/sysimage/rpm/Packages.db', 'rpm'],
  ['var/lib/pacman/local', 'pacman'],
]);

/** Undefined for a file that says nothing of packages. */
export function readerFor(path: string): CatalogReader | undefined {
  return rules.find(([pattern]) => pattern.test(path))?.[1];
}

/** Each package once, in the order of their URLs. */
export function distinctPackages(found: readonly Package[], urlOf: (one: Package) => string): readonly Package[] {
  const byUrl = new Map<string, Package>();
  for (const one of found) {
    const url = urlOf(one);
    const before = byUrl.get(url);
    if (before === undefined || (before.licenses.length === 0 && one.licenses.length > 0)) byUrl.set(url, one);
  }
  return [...byUrl].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}
