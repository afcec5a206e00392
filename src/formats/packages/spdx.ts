/** A list of packages as an SPDX document: https://spdx.github.io/spdx-spec/v2.3/, in JSON. */
import type { Json } from '#ground/base/canonical-json.ts';
import { distinctPackages } from './catalog.ts';
import { purlOf, type Package } from './package.ts';
import { licenseExpression } from './license.ts';

export type SpdxSubject = {
  /** What the packages are in, as people call it: an image's name, a stage. */
  readonly name: string;
  /** `sha256:...` of its manifest or config. */
  readonly digest: string;
  readonly distribution: { readonly id: string; readonly version: string };
};

export type SpdxOrigin = {
  /** `jettison-0.1.0` */
  readonly tool: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Databases that were there and could not be read. */
  readonly unread: readonly string[];
};

const none = 'NOASSERTION';

/** The same packages in the same subject give the same document. */
export function spdxDocument(subject: SpdxSubject, packages: readonly Package[], { tool, created, unread }: SpdxOrigin): Json {
  const listed = distinctPackages(packages, purlOf).map((one, index) => ({ one, id: spdxId(one, index) }));
  const extracted = new Map<string, string>();
  const rows = listed.map(({ one, id }) => packageRow(one, id, extracted));
  const image = 'SPDXRef-DocumentRoot-Image';
  return {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: subject.name,
    documentNamespace: `https://spdx.org/spdxdocs/${encodeURIComponent(subject.name)}-${subject.digest.replace(/^sha256:/u, '')}`,
    creationInfo: {
      licenseListVersion: '3.25',
      creators: ['Organization: jettison', `Tool: ${tool}`],
      created: new Date(created).toISOString().replace(/\.\d+Z$/u, 'Z'),
      ...(unread.length === 0 ? {} : { comment: `Not read: ${unread.join(', ')}` }),
    },
    packages: [
      ...rows,
      {
        name: subject.name,
        SPDXID: image,
        versionInfo: subject.digest,
        downloadLocation: none,
        filesAnalyzed: false,
        licenseConcluded: none,
        licenseDeclared: none,
        copyrightText: none,
        checksums: [{ algorithm: 'SHA256', checksumValue: subject.digest.replace(/^sha256:/u, '') }],
        primaryPackagePurpose: 'CONTAINER',
        ...(subject.distribution.id === ''
          ? {}
          : { comment: `Distribution: ${subject.distribution.id} ${subject.distribution.version}`.trimEnd() }),
      },
    ],
    ...(extracted.size === 0
      ? {}
      : { hasExtractedLicensingInfos: [...extracted].map(([licenseId, text]) => ({ licenseId, extractedText: text, name: text })) }),
    relationships: [
      ...listed.map(({ id }) => ({ spdxElementId: image, relatedSpdxElement: id, relationshipType: 'CONTAINS' })),
      { spdxElementId: 'SPDXRef-DOCUMENT', relatedSpdxElement: image, relationshipType: 'DESCRIBES' },
    ],
  };
}

function packageRow(one: Package, id: string, extracted: Map<string, string>): Json {
  const supplier = one.supplier === undefined ? none : `Person: ${one.supplier.replaceAll(/[\u0000-\u001f]/gu, ' ')}`; // oxlint-disable-line no-control-regex
  return {
    name:
      one.namespace !== undefined && (one.type === 'npm' || one.type === 'golang' || one.type === 'composer')
        ? `${one.namespace}/${one.name}`
        : one.name,
    SPDXID: id,
    ...(one.version === '' ? {} : { versionInfo: one.version }),
    supplier,
    downloadLocation: none,
    filesAnalyzed: false,
    ...(one.homepage === undefined || !/^https?:\/\/[^\s]+$/u.test(one.homepage) ? {} : { homepage: one.homepage }),
    sourceInfo: `found in /${one.foundIn}`,
    licenseConcluded: none,
    licenseDeclared: licenseExpression(one.licenses, extracted),
    copyrightText: none,
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purlOf(one) }],
  };
}

/** Letters, digits, `.` and `-` alone: section 3.2. */
function spdxId({ type, name }: Package, index: number): string {
  return `SPDXRef-Package-${type}-${name.replaceAll(/[^A-Za-z0-9.-]/gu, '-')}-${index + 1}`;
}
