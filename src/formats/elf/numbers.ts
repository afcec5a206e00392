/** Numbers of an ELF file, in its own width and byte order. */
export type Numbers = {
  readonly bits: 32 | 64;
  readonly isLittleEndian: boolean;
  u16(bytes: Uint8Array, at: number): number;
  u32(bytes: Uint8Array, at: number): number;
  /** An address, offset or size; what no file can have comes as more than any file has. */
  word(bytes: Uint8Array, at: number): number;
};

/** Reading beyond the end gives 0. */
export function numbersOf(bits: 32 | 64, isLittleEndian: boolean): Numbers {
  const u32 = (bytes: Uint8Array, at: number): number => (at + 4 > bytes.length ? 0 : view(bytes).getUint32(at, isLittleEndian));
  return {
    bits,
    isLittleEndian,
    u16: (bytes, at) => (at + 2 > bytes.length ? 0 : view(bytes).getUint16(at, isLittleEndian)),
    u32,
    word: (bytes, at) => {
      if (bits === 32) return u32(bytes, at);
      return at + 8 > bytes.length ? 0 : Number(view(bytes).getBigUint64(at, isLittleEndian));
    },
  };
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
