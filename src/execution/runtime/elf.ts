/** Static programs as files: elf(5), 64 bits, little-endian, for Linux on x86-64 and arm64. */

/** Node's names of the architectures that programs can be written for here. */
export type ElfArchitecture = 'x64' | 'arm64';

export type ElfProgram = {
  readonly architecture: ElfArchitecture;
  /** Begins with the first instruction. To be read and executed. */
  readonly code: Uint8Array;
  /** To be read and written; it stands at `dataAddress(code.length)`. */
  readonly data?: Uint8Array;
};

const machines: Readonly<Record<ElfArchitecture, number>> = { x64: 62, arm64: 183 };
const codeBase = 0x400000;
const dataBase = 0x600000;
const headerSize = 64;
const segmentSize = 56;
/** A multiple of every size of pages that arm64 may have. */
const alignment = 0x10000n;
const [readable, writable, executable] = [4, 2, 1];

export function isElfArchitecture(name: string): name is ElfArchitecture {
  return name === 'x64' || name === 'arm64';
}

/** Where the data of a program with so many bytes of code is found when it runs. */
export function dataAddress(codeLength: number): number {
  return dataBase + dataOffset(codeLength);
}

export function elfProgram({ architecture, code, data }: ElfProgram): Uint8Array {
  const segments = data === undefined ? 1 : 2;
  const codeOffset = headerSize + 2 * segmentSize;
  const size = data === undefined ? codeOffset + code.length : dataOffset(code.length) + data.length;
  const view = new DataView(new ArrayBuffer(size));
  view.setUint32(0, 0x7f454c46);
  view.setUint32(4, 0x02010100); // 64 bits, little endian, version 1
  view.setUint16(16, 2, true); // executable
  view.setUint16(18, machines[architecture], true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(codeBase + codeOffset), true);
  view.setBigUint64(32, BigInt(headerSize), true);
  view.setUint16(52, headerSize, true);
  view.setUint16(54, segmentSize, true);
  view.setUint16(56, segments, true);
  writeSegment(view, { number: 0, flags: readable | executable, base: codeBase, offset: 0, size: codeOffset + code.length });
  const program = new Uint8Array(view.buffer);
  program.set(code, codeOffset);
  if (data !== undefined) {
    const offset = dataOffset(code.length);
    writeSegment(view, { number: 1, flags: readable | writable, base: dataBase, offset, size: data.length });
    program.set(data, offset);
  }
  return program;
}

/** Numbers of `size` bytes in hexadecimal, little-endian. */
export function assemble(lines: readonly string[], size: 1 | 4): Uint8Array {
  const numbers = lines.flatMap((line) => line.split(' ')).map((digits) => Number.parseInt(digits, 16));
  const view = new DataView(new ArrayBuffer(numbers.length * size));
  for (const [index, number] of numbers.entries()) {
    if (size === 1) view.setUint8(index, number);
    else view.setUint32(index * size, number, true);
  }
  return new Uint8Array(view.buffer);
}

function dataOffset(codeLength: number): number {
  return Math.ceil((headerSize + 2 * segmentSize + codeLength) / 16) * 16;
}

type Segment = { readonly number: number; readonly flags: number; readonly base: number; readonly offset: number; readonly size: number };

function writeSegment(view: DataView, { number, flags, base, offset, size }: Segment): void {
  const at = headerSize + number * segmentSize;
  view.setUint32(at, 1, true); // PT_LOAD
  view.setUint32(at + 4, flags, true);
  view.setBigUint64(at + 8, BigInt(offset), true);
  view.setBigUint64(at + 16, BigInt(base + offset), true);
  view.setBigUint64(at + 24, BigInt(base + offset), true);
  view.setBigUint64(at + 32, BigInt(size), true);
  view.setBigUint64(at + 40, BigInt(size), true);
  view.setBigUint64(at + 48, alignment, true);
}
