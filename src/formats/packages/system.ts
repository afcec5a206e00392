/** The databases of dpkg and apk: what a distribution installed. */
import type { Distribution } from './distribution.ts';
import { packageOf, type Package } from './package.ts';

/** Of dpkg's `status` (deb822(5)); packages that were removed and left their settings are none. */
export function readDpkgStatus(text: string, foundIn: string, distribution: Distribution): readonly Package[] {
  return text.split(/\n\s*\n/u).flatMap((paragraph) => {
    const fields = readFields(paragraph);
    const name = fields.get('package');
    const status = fields.get('status');
    // Files of `status.d` (images without dpkg) have no such field: what stands there is installed.
    if (name === undefined || (status !== undefined && !/\b(?:installed)$/u.test(status))) return [];
    const [, source = '', sourceVersion] = /^(\S+)(?:\s+\((.*)\))?/u.exec(fields.get('source') ?? '') ?? [];
    const upstream = source === '' ? '' : `${source}${sourceVersion === undefined ? '' : `@${sourceVersion}`}`;
    return [
      packageOf({
        type: 'deb',
        namespace: distribution.id || 'debian',
        name,
        version: fields.get('version') ?? '',
        qualifiers: { arch: fields.get('architecture') ?? '', distro: distroOf(distribution), upstream },
        supplier: fields.get('maintainer'),
        homepage: fields.get('homepage'),
        foundIn,
      }),
    ];
  });
}

/** First lines of the fields, by name in lower case. */
function readFields(paragraph: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of paragraph.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0 && !/^\s/u.test(line)) fields.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return fields;
}

/** Licenses that `/usr/share/doc/PACKAGE/copyright` names: Debian's machine-readable form, or references to /usr/share/common-licenses. */
export function readDebianCopyright(text: string): readonly string[] {
  const names = new Set<string>();
  for (const [, value = ''] of text.matchAll(/^License:[ \t]*(\S.*)$/gmu)) {
    // One blank for many first: else a long row of them would be looked at from each of its places.
    for (const name of value.replaceAll(/\s+/gu, ' ').split(/ (?:and|or) |, ?/u)) if (/^[\w.+-]+$/u.test(name)) names.add(name);
  }
  if (names.size === 0) for (const [, name = ''] of text.matchAll(/\/usr\/share\/common-licenses\/([\w.+-]*\w)/gu)) names.add(name);
  return [...names].toSorted();
}

/** Of apk's `installed`: a letter a field, an empty line between packages. */
export function readApkInstalled(text: string, foundIn: string, distribution: Distribution): readonly Package[] {
  return text.split('\n\n').flatMap((paragraph) => {
    const fields = new Map(
      paragraph.split('\n').flatMap((line) => (/^[A-Z]:/iu.test(line) ? [[line.charAt(0), line.slice(2)] as const] : [])),
    );
    const name = fields.get('P');
    if (name === undefined) return [];
    const origin = fields.get('o') ?? '';
    return [
      packageOf({
        type: 'apk',
        namespace: distribution.id || 'alpine',
        name,
        version: fields.get('V') ?? '',
        qualifiers: { arch: fields.get('A') ?? '', distro: distroOf(distribution), upstream: origin === name ? '' : origin },
        licenses: fields.get('L') ? [fields.get('L') ?? ''] : [],
        supplier: fields.get('m'),
        homepage: fields.get('U'),
        foundIn,
      }),
    ];
  });
}

function distroOf({ id, version }: Distribution): string {
  return id === '' || version === '' ? id : `${id}-${version}`;
}
