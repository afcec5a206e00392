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
