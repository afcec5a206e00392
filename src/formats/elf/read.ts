/** What an ELF program or library says of itself that decides whether it can be started: elf(5), the System V ABI, and the tables of versions of the LSB. */
import { fromBytes, type ByteString } from '#ground/base/byte-string.ts';
import { paged, type FileBytes } from './file-bytes.ts';
import { numbersOf, type Numbers } from './numbers.ts';
import { readVersionsDefined, readVersionsNeeded, type VersionNeed } from './versions.ts';

export type ElfFile = {
  /** EM_... */
  readonly machine: number;
  readonly bits: 32 | 64;
  readonly isLittleEndian: boolean;
  /** ET_EXEC or ET_DYN; others are neither programs nor libraries. */
  readonly kind: 'program' | 'shared' | 'other';
  /** PT_INTERP; undefined for a static program, and for most libraries. */
  readonly interpreter: ByteString | undefined;
  /** DT_NEEDED; and DT_FILTER, without whose library glibc loads nothing either (elf/dl-deps.c). */
  readonly needed: readonly ByteString[];
  readonly soname: ByteString | undefined;
  /** DT_RPATH and DT_RUNPATH as they stand there. */
  readonly rpath: ByteString | undefined;
  readonly runpath: ByteString | undefined;
  /** DF_1_NODEFLIB: libraries are not looked for where the loader looks by itself. */
  readonly skipsDefaultFolders: boolean;
  readonly versionsNeeded: readonly VersionNeed[];
  /** undefined where it has no table of versions. */
  readonly versionsDefined: ReadonlySet<ByteString> | undefined;
};

/** `not-elf`: another kind of file; `broken`: it says that it is ELF, and its tables do not stand where it says. */
export type ElfFault = { readonly fault: 'not-elf' | 'broken' };

/** Entries of a program's dynamic section. */
const mostEntries = 4096;
/** Bytes of a list of folders, and of a name. */
const longestText = 16_384;
const longestName = 1024;
/** The kernel takes no more program headers than fit into 64 KiB (fs/binfmt_elf.c). */
const mostHeaderBytes = 65_536;

const [PT_LOAD, PT_DYNAMIC, PT_INTERP] = [1, 2, 3];
const DT = {
  null: 0,
  needed: 1,
  strtab: 5,
  soname: 14,
  rpath: 15,
  runpath: 29,
  flags1: 0x6ffffffb,
  verdef: 0x6ffffffc,
  verdefnum: 0x6ffffffd,
} as const;
const [DT_VERNEED, DT_VERNEEDNUM, DT_FILTER] = [0x6ffffffe, 0x6fffffff, 0x7fffffff];
const DF_1_NODEFLIB = 0x800;

/** Reads headers, dynamic section and versions, nothing else of the file. Never throws for what stands in it. */
export function readElf(file: FileBytes): ElfFile | ElfFault {
  const pages = paged(file);
  const head = pages.read(0, 64);
  if (head.length < 4 || head[0] !== 0x7f || head[1] !== 0x45 || head[2] !== 0x4c || head[3] !== 0x46) return { fault: 'not-elf' };
  const bits = head[4] === 2 ? 64 : head[4] === 1 ? 32 : undefined;
  if (bits === undefined || (head[5] !== 1 && head[5] !== 2) || head.length < (bits === 64 ? 64 : 52)) return { fault: 'broken' };
  const numbers = numbersOf(bits, head[5] === 1);
  const segments = readSegments(pages, head, numbers);
  if (segments === undefined) return { fault: 'broken' };
  const named = segments.find(({ type }) => type === PT_INTERP);
  const interpreter = named && textAt(pages, named.offset, Math.min(named.size, longestText));
  if (named !== undefined && interpreter === undefined) return { fault: 'broken' };
  const kind = numbers.u16(head, 16);
  return {
    machine: numbers.u16(head, 18),
    bits,
    isLittleEndian: numbers.isLittleEndian,
    kind: kind === 2 ? 'program' : kind === 3 ? 'shared' : 'other',
    interpreter,
    ...readDynamic(pages, segments, numbers),
  };
}

type Segment = { readonly type: number; readonly offset: number; readonly address: number; readonly size: number };

function readSegments(file: FileBytes, head: Uint8Array, numbers: Numbers): readonly Segment[] | undefined {
  const wide = numbers.bits === 64;
  const start = numbers.word(head, wide ? 32 : 28);
  const entry = numbers.u16(head, wide ? 54 : 42);
  const count = numbers.u16(head, wide ? 56 : 44);
  const bytes = entry * count;
  if (count === 0) return [];
  if (entry !== (wide ? 56 : 32) || bytes > mostHeaderBytes || start + bytes > file.size) return undefined;
  const table = file.read(start, bytes);
  return Array.from({ length: count }, (_, index) => {
    const row = table.subarray(index * entry, (index + 1) * entry);
    return {
      type: numbers.u32(row, 0),
      offset: numbers.word(row, wide ? 8 : 4),
      address: numbers.word(row, wide ? 16 : 8),
      size: numbers.word(row, wide ? 32 : 16),
    };
  });
}

function readDynamic(
  file: FileBytes,
  segments: readonly Segment[],
  numbers: Numbers,
): Pick<ElfFile, 'needed' | 'soname' | 'rpath' | 'runpath' | 'skipsDefaultFolders' | 'versionsNeeded' | 'versionsDefined'> {
  const entries = dynamicEntries(file, segments, numbers);
  const value = (tag: number): number | undefined => entries.find((one) => one.tag === tag)?.value;
  const fileOffset = (address: number | undefined): number | undefined => {
    if (address === undefined) return undefined;
    const holder = segments.find((one) => one.type === PT_LOAD && address >= one.address && address < one.address + one.size);
    return holder && holder.offset + (address - holder.address);
  };
  const strings = fileOffset(value(DT.strtab));
  const text = (offset: number | undefined, limit: number = longestName): ByteString | undefined =>
    offset === undefined || strings === undefined ? undefined : textAt(file, strings + offset, limit);
  const table = { file, numbers, text };
  const defined = fileOffset(value(DT.verdef));
  const needed = fileOffset(value(DT_VERNEED));
  return {
    needed: entries.flatMap((one) => (one.tag === DT.needed || one.tag === DT_FILTER ? (text(one.value) ?? []) : [])),
    soname: text(value(DT.soname)),
    rpath: text(value(DT.rpath), longestText),
    runpath: text(value(DT.runpath), longestText),
    skipsDefaultFolders: ((value(DT.flags1) ?? 0) & DF_1_NODEFLIB) !== 0,
    versionsNeeded: needed === undefined ? [] : readVersionsNeeded(table, needed, value(DT_VERNEEDNUM) ?? 0),
    versionsDefined: defined === undefined ? undefined : readVersionsDefined(table, defined, value(DT.verdefnum) ?? 0),
  };
}

function dynamicEntries(
  file: FileBytes,
  segments: readonly Segment[],
  numbers: Numbers,
): readonly { readonly tag: number; readonly value: number }[] {
  const segment = segments.find(({ type }) => type === PT_DYNAMIC);
  if (segment === undefined) return [];
  const width = numbers.bits / 8;
  const bytes = file.read(segment.offset, Math.min(segment.size, mostEntries * width * 2));
  const entries: { readonly tag: number; readonly value: number }[] = [];
  for (let at = 0; at + width * 2 <= bytes.length; at += width * 2) {
    const tag = numbers.word(bytes, at);
    if (tag === DT.null) break;
    entries.push({ tag, value: numbers.word(bytes, at + width) });
  }
  return entries;
}

/** Up to the next NUL; undefined where none comes. */
function textAt(file: FileBytes, offset: number, limit: number): ByteString | undefined {
  for (let length = 256; ; length *= 8) {
    const bytes = file.read(offset, Math.min(length, limit));
    const end = bytes.indexOf(0);
    if (end >= 0) return fromBytes(bytes.subarray(0, end));
    if (length >= limit || bytes.length < length) return undefined;
  }
}
