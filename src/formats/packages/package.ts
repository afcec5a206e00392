/** A package that an image has, as its package manager wrote it down. */

export type Package = {
  /** Of the package URL: https://github.com/package-url/purl-spec */
  readonly type: 'deb' | 'apk' | 'npm' | 'pypi' | 'golang' | 'cargo' | 'gem' | 'composer';
  /** Distribution, scope or vendor. */
  readonly namespace: string | undefined;
  readonly name: string;
  /** '' where nobody says. */
  readonly version: string;
  /** Of the package URL, beside the version: `arch`, `distro`, `upstream`. */
  readonly qualifiers: Readonly<Record<string, string>>;
  /** As its package manager has it: an SPDX expression, or a name of its own. */
  readonly licenses: readonly string[];
  /** Who made this package of it. */
  readonly supplier: string | undefined;
  readonly homepage: string | undefined;
  /** Path of what says so, without a leading slash. */
  readonly foundIn: string;
};

/** The members that most readers fill; the others are as nobody said anything. */
export type PackageSaid = Pick<Package, 'type' | 'name' | 'version' | 'foundIn'> & Partial<Package>;

export function packageOf(said: PackageSaid): Package {
  return { namespace: undefined, qualifiers: {}, licenses: [], supplier: undefined, homepage: undefined, ...said };
}

/** The package URL: parts percent-encoded, qualifiers in the order of their names, names in the case that the type asks for. */
export function purlOf({ type, namespace, name, version, qualifiers }: Package): string {
  const lower = type === 'deb' || type === 'apk' || type === 'pypi' || type === 'composer';
  const shownName = type === 'pypi' ? name.toLowerCase().replaceAll('_', '-') : lower ? name.toLowerCase() : name;
  const path = [...(namespace === undefined ? [] : namespace.split('/')), ...shownName.split('/')].map(encode).join('/');
  const behind = Object.entries(qualifiers)
    .filter(([, value]) => value !== '')
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${encode(value)}`)
    .join('&');
  return `pkg:${type}/${path}${version === '' ? '' : `@${encode(version)}`}${behind === '' ? '' : `?${behind}`}`;
}

/** The specification leaves letters, digits, `.-_~` and `:` as they are. JSON may hold halves of characters, which have no encoding. */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replaceAll(/[!'()*]/gu, (character) => `%${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}`)
    .replaceAll('%3A', ':');
}
