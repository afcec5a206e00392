/** What a program says that it was made of: the build information of Go (debug/buildinfo of its standard library), and the list that cargo-auditable leaves. */
import * as v from 'valibot';
import { goPackage, parseJson } from './languages.ts';
import { packageOf, type Package } from './package.ts';

/** A file that is read in places. */
export type FileBytes = {
  readonly size: number;
  /** Fewer bytes at the end of the file. */
  read(offset: number, length: number): Uint8Array;
};

type Section = { readonly name: string; readonly offset: number; readonly size: number };

/** Bytes of what is read of a section. */
const longestSection = 4 << 20;
const mostSections = 512;
const goMagic = '\u00FF Go buildinf:';

/** The sections of an ELF file by name (elf(5)); undefined for any other file. Only little-endian files of 64 and 32 bits have any. */
export function elfSections(file: FileBytes): readonly Section[] | undefined {
  const head = file.read(0, 64);
  if (head.length < 52 || head[0] !== 0x7f || latin1(head.subarray(1, 4)) !== 'ELF') return undefined;
  if (head[5] !== 1) return [];
  const view = viewOf(head);
  const is64 = head[4] === 2;
  if (is64 && head.length < 64) return [];
  const table = is64 ? Number(view.getBigUint64(40, true)) : view.getUint32(32, true);
  const entry = view.getUint16(is64 ? 58 : 46, true);
  const count = Math.min(view.getUint16(is64 ? 60 : 48, true), mostSections);
  const names = view.getUint16(is64 ? 62 : 50, true);
  if (entry < (is64 ? 64 : 40) || table <= 0 || table + entry * count > file.size) return [];
  const rows = viewOf(file.read(table, entry * count));
  const at = (index: number) => {
    const start = index * entry;
    if (start + entry > rows.byteLength) return undefined;
    const offset = is64 ? Number(rows.getBigUint64(start + 24, true)) : rows.getUint32(start + 16, true);
    const size = is64 ? Number(rows.getBigUint64(start + 32, true)) : rows.getUint32(start + 20, true);
    return { name: rows.getUint32(start, true), offset, size };
  };
  const strings = at(names);
  if (strings === undefined) return [];
  const text = latin1(file.read(strings.offset, Math.min(strings.size, longestSection)));
  return Array.from({ length: count }, (_, index) => at(index)).flatMap((row) => {
    if (row === undefined) return [];
    const end = text.indexOf('\0', row.name);
    return [{ name: text.slice(row.name, end < 0 ? text.length : end), offset: row.offset, size: row.size }];
  });
}

/** Go modules that were linked into the program, the standard library as `stdlib`; nothing for what Go did not make, or made before 1.18. */
export function readGoProgram(file: FileBytes, sections: readonly Section[], foundIn: string): readonly Package[] {
  const section = sections.find(({ name }) => name === '.go.buildinfo');
  if (section === undefined) return [];
  const bytes = file.read(section.offset, Math.min(section.size, longestSection));
  // Flag 2: the strings stand behind the head, each with its length before it. Older programs have pointers there.
  if (latin1(bytes.subarray(0, 14)) !== goMagic || ((bytes[15] ?? 0) & 2) === 0) return [];
  const [version, next] = varString(bytes, 32);
  const [modules] = varString(bytes, next);
  // The list is framed by 16 bytes on either side.
  const list = new TextDecoder().decode(modules.length > 32 ? modules.subarray(16, -16) : modules);
  const toolchain = new TextDecoder().decode(version).replace(/^go/u, '');
  const found = [packageOf({ type: 'golang', name: 'stdlib', version: toolchain, foundIn })];
  for (const line of list.split('\n')) {
    const [kind = '', path = '', moduleVersion = ''] = line.split('\t');
    if (kind === '=>' && found.length > 1) found.pop();
    if (kind === 'dep' || kind === 'mod' || kind === '=>')
      found.push(goPackage(path, moduleVersion === '(devel)' ? '' : moduleVersion, foundIn));
  }
  return found;
}

function varString(bytes: Uint8Array, start: number): readonly [Uint8Array, number] {
  let length = 0;
  let at = start;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[at++] ?? 0;
    length += (byte & 0x7f) * 2 ** shift;
    if ((byte & 0x80) === 0) break;
  }
  return [bytes.subarray(at, at + length), at + length];
}

/** Where the compressed list of a Rust program made with cargo-auditable lies; undefined for others. */
export function auditableSection(file: FileBytes, sections: readonly Section[]): Uint8Array | undefined {
  const section = sections.find(({ name }) => name === '.dep-v0');
  return section === undefined ? undefined : file.read(section.offset, Math.min(section.size, longestSection));
}

const auditableShape = v.object({ packages: v.array(v.object({ name: v.string(), version: v.string(), kind: v.optional(v.string()) })) });

/** That list, inflated: https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md; crates that only the build used are not in the program. */
export function readAuditable(text: string, foundIn: string): readonly Package[] {
  const parsed = v.safeParse(auditableShape, parseJson(text));
  if (!parsed.success) return [];
  return parsed.output.packages.flatMap(({ name, version, kind }) =>
    kind === 'build' ? [] : [packageOf({ type: 'cargo', name, version, foundIn })],
  );
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (let index = 0; index < bytes.length; index += 8192) text += String.fromCharCode(...bytes.subarray(index, index + 8192));
  return text;
}
