/** Names of licenses as SPDX license expressions: https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/ */

/** Identifiers of the SPDX License List that packages of the common kinds carry; what is not among them is quoted as it was found. */
const known: ReadonlySet<string> = new Set(
  `0BSD AFL-2.1 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-1.0 Artistic-1.0-Perl Artistic-2.0 BSD-1-Clause BSD-2-Clause BSD-2-Clause-Patent
   BSD-3-Clause BSD-4-Clause BSL-1.0 BlueOak-1.0.0 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDDL-1.0 CDDL-1.1 EPL-1.0 EPL-2.0 EUPL-1.2 FSFAP FSFUL
   FSFULLR FTL GFDL-1.1-only GFDL-1.1-or-later GFDL-1.2-only GFDL-1.2-or-later GFDL-1.3-only GFDL-1.3-or-later GPL-1.0-only GPL-1.0-or-later GPL-2.0-only
   GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later HPND ICU IJG IPL-1.0 ISC JSON LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only
   LGPL-3.0-or-later LPPL-1.3c Libpng MIT MIT-0 MPL-1.1 MPL-2.0 MS-PL NCSA OFL-1.1 OLDAP-2.8 OpenSSL PHP-3.01 PSF-2.0 PostgreSQL Python-2.0 Ruby SGI-B-2.0 SISSL
   Sleepycat TCL UPL-1.0 Unicode-3.0 Unicode-DFS-2016 Unlicense Vim W3C WTFPL X11 ZPL-2.1 Zlib bzip2-1.0.6 curl libtiff zlib-acknowledgement`.split(
    /\s+/u,
  ),
);
const exceptions: ReadonlySet<string> = new Set([
  'Autoconf-exception-2.0',
  'Autoconf-exception-3.0',
  'Bison-exception-2.2',
  'Classpath-exception-2.0',
  'Font-exception-2.0',
  'GCC-exception-2.0',
  'GCC-exception-3.1',
  'LLVM-exception',
  'Libtool-exception',
  'Linux-syscall-note',
  'OpenSSL-exception',
  'openvpn-openssl-exception',
]);

/** Names of Debian's copyright files and of older lists. */
const aliases: ReadonlyMap<string, string> = new Map([
  ['GPL-1', 'GPL-1.0-only'],
  ['GPL-1+', 'GPL-1.0-or-later'],
  ['GPL-2', 'GPL-2.0-only'],
  ['GPL-2+', 'GPL-2.0-or-later'],
  ['GPL-2.0', 'GPL-2.0-only'],
  ['GPL-2.0+', 'GPL-2.0-or-later'],
  ['GPL-3', 'GPL-3.0-only'],
  ['GPL-3+', 'GPL-3.0-or-later'],
  ['GPL-3.0', 'GPL-3.0-only'],
  ['GPL-3.0+', 'GPL-3.0-or-later'],
  ['LGPL-2', 'LGPL-2.0-only'],
  ['LGPL-2+', 'LGPL-2.0-or-later'],
  ['LGPL-2.0+', 'LGPL-2.0-or-later'],
  ['LGPL-2.1', 'LGPL-2.1-only'],
  ['LGPL-2.1+', 'LGPL-2.1-or-later'],
  ['LGPL-3', 'LGPL-3.0-only'],
  ['LGPL-3+', 'LGPL-3.0-or-later'],
  ['LGPL-3.0', 'LGPL-3.0-only'],
  ['LGPL-3.0+', 'LGPL-3.0-or-later'],
  ['AGPL-3', 'AGPL-3.0-only'],
  ['AGPL-3.0', 'AGPL-3.0-only'],
  ['GFDL-1.2', 'GFDL-1.2-only'],
  ['GFDL-1.3', 'GFDL-1.3-only'],
  ['BSD-2-clause', 'BSD-2-Clause'],
  ['BSD-3-clause', 'BSD-3-Clause'],
  ['BSD-4-clause', 'BSD-4-Clause'],
  ['Expat', 'MIT'],
  ['MIT License', 'MIT'],
  ['Apache License 2.0', 'Apache-2.0'],
  ['Apache 2.0', 'Apache-2.0'],
  ['Apache Software License', 'Apache-2.0'],
  ['zlib', 'Zlib'],
  ['Artistic', 'Artistic-1.0-Perl'],
  ['ISC License (ISCL)', 'ISC'],
  ['Mozilla Public License 2.0 (MPL 2.0)', 'MPL-2.0'],
]);

/** All of them together, as one expression; names that SPDX does not know become references, whose texts go into `extracted`. `NOASSERTION` where there is none. */
export function licenseExpression(licenses: readonly string[], extracted: Map<string, string>): string {
  const parts = licenses.map((text) => text.trim()).filter((text) => text !== '' && text.length <= 200);
  if (parts.length === 0) return 'NOASSERTION';
  const each = parts.map((text) => expressionOf(text, extracted));
  return each.length === 1 ? (each[0] ?? '') : each.map((text) => (/ (?:AND|OR) /u.test(text) ? `(${text})` : text)).join(' AND ');
}

function expressionOf(text: string, extracted: Map<string, string>): string {
  const alias = aliases.get(text);
  if (alias !== undefined) return alias;
  const tokens = text.split(/(\(|\)|\s+(?:AND|OR|WITH)\s+)/iu).filter((token) => token.trim() !== '');
  const isExpression = tokens.every((token) => /^\s*(?:\(|\)|AND|OR|WITH|[A-Za-z0-9.+-]+)\s*$/iu.test(token));
  if (!isExpression || !isBalanced(tokens)) return reference(text, extracted);
  let expression = '';
  let before = '';
  for (const token of tokens) {
    const word = token.trim();
    if (word === '(') expression += word;
    else if (word === ')') expression += word;
    else if (/^(?:AND|OR|WITH)$/iu.test(word)) expression += ` ${word.toUpperCase()} `;
    else if (before === 'WITH') expression += exceptions.has(word) ? word : reference(word, extracted);
    else expression += known.has(word) ? word : (aliases.get(word) ?? reference(word, extracted));
    before = word.toUpperCase();
  }
  return expression;
}

/** Operands and operators in turn, parentheses in pairs. */
function isBalanced(tokens: readonly string[]): boolean {
  let depth = 0;
  let wantsOperand = true;
  for (const token of tokens.map((one) => one.trim())) {
    if (token === '(' && wantsOperand) depth++;
    else if (token === ')' && !wantsOperand && depth > 0) depth--;
    else if (/^(?:AND|OR|WITH)$/iu.test(token) !== wantsOperand && token !== '(' && token !== ')') wantsOperand = !wantsOperand;
    else return false;
  }
  return depth === 0 && !wantsOperand;
}

function reference(text: string, extracted: Map<string, string>): string {
  const id = `LicenseRef-${text.replaceAll(/[^A-Za-z0-9.-]+/gu, '-').replaceAll(/^-+|-+$/gu, '') || 'unnamed'}`;
  if (!extracted.has(id)) extracted.set(id, text);
  return id;
}
