/** What is said of an ELF file that says nothing: to be spread under what a test is about. */
import type { ElfFile } from '#formats/elf/read.ts';

export const plainProgram: ElfFile = {
  machine: 62,
  bits: 64,
  isLittleEndian: true,
  kind: 'program',
  interpreter: undefined,
  needed: [],
  soname: undefined,
  rpath: undefined,
  runpath: undefined,
  skipsDefaultFolders: false,
  versionsNeeded: [],
  versionsDefined: undefined,
};

/** A static program for 32-bit x86 with this code, loaded whole at 0x8048000. */
export function program32(code: readonly number[]): Uint8Array {
  const size = 84 + code.length;
  const address = 0x8048000;
  const file = Buffer.alloc(size);
  // elf(5): class, byte order and version; then ET_EXEC, EM_386, version, entry, the place of the program headers; their size and number.
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  for (const [at, value] of [
    [16, 2],
    [18, 3],
    [40, 52],
    [42, 32],
    [44, 1],
  ] as const)
    file.writeUInt16LE(value, at);
  for (const [at, value] of [
    [20, 1],
    [24, address + 84],
    [28, 52],
  ] as const)
    file.writeUInt32LE(value, at);
  // PT_LOAD from the beginning, to be read and executed.
  for (const [index, value] of [1, 0, address, address, size, size, 5, 4096].entries()) file.writeUInt32LE(value, 52 + index * 4);
  file.set(code, 84);
  return file;
}
