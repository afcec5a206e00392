/** A file that is read in places: whoever has the file gives this, the rooms of formats read it. */
export type FileBytes = {
  readonly size: number;
  /** Fewer bytes at the end of the file. */
  read(offset: number, length: number): Uint8Array;
};

const pageSize = 1 << 14;
/** Pages kept of one file. */
const mostPages = 64;

/** The same file, of which nothing is read twice: tables of a program lie close together and are read in small pieces. */
export function paged(file: FileBytes): FileBytes {
  const pages = new Map<number, Uint8Array>();
  const page = (number: number): Uint8Array => {
    const known = pages.get(number);
    if (known !== undefined) return known;
    const bytes = file.read(number * pageSize, pageSize);
    if (pages.size >= mostPages) pages.clear();
    pages.set(number, bytes);
    return bytes;
  };
  return {
    size: file.size,
    read(offset, length) {
      if (!Number.isSafeInteger(offset) || offset < 0 || offset >= file.size || length <= 0) return new Uint8Array(0);
      const end = Math.min(offset + length, file.size);
      if (end - offset > pageSize * mostPages) return file.read(offset, end - offset);
      const first = Math.floor(offset / pageSize);
      const last = Math.floor((end - 1) / pageSize);
      if (first === last) return page(first).subarray(offset - first * pageSize, end - first * pageSize);
      const bytes = new Uint8Array(end - offset);
      let filled = 0;
      for (let number = first; number <= last; number++) {
        const part = page(number).subarray(
          number === first ? offset - first * pageSize : 0,
          number === last ? end - last * pageSize : pageSize,
        );
        bytes.set(part, filled);
        filled += part.length;
      }
      return bytes.subarray(0, filled);
    },
  };
}
