/** /etc/ld.so.cache, which glibc's loader asks instead of the folders of ld.so.conf: glibc, sysdeps/generic/dl-cache.h. */
import { asByteString, fromBytes, type ByteString } from '#ground/base/byte-string.ts';

const magic = 'glibc-ld.so.cache1.1';
const oldMagic = 'ld.so-1.7.0';
const mostEntries = 200_000;

/** Paths by name, in the order in which they stand there; nothing for a file of another form. The file is the image's: nothing that it says is believed, each path is looked at. */
export function readLoaderCache(bytes: Uint8Array): ReadonlyMap<ByteString, readonly ByteString[]> {
  const found = new Map<ByteString, ByteString[]>();
  const text: string = fromBytes(bytes);
  const start = text.startsWith(magic) ? 0 : text.startsWith(oldMagic) ? text.indexOf(magic) : -1;
  if (start < 0) return found;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (start + 48 > bytes.length) return found;
  // Its own flags say the byte order: 2 is little, 3 is big; older ones have 0 and are of this machine's.
  const isLittle = (bytes[start + 28] ?? 0) % 4 !== 3;
  const count = Math.min(view.getUint32(start + 20, isLittle), mostEntries);
  const textAt = (offset: number): ByteString => {
    const end = text.indexOf('\0', start + offset);
    return asByteString(end < 0 ? '' : text.slice(start + offset, end));
  };
  for (let index = 0; index < count; index++) {
    const row = start + 48 + index * 24;
    if (row + 24 > bytes.length) break;
    const name = textAt(view.getUint32(row + 4, isLittle));
    const path = textAt(view.getUint32(row + 8, isLittle));
    if (!path.startsWith('/')) continue;
    const paths = found.get(name);
    if (paths === undefined) found.set(name, [path]);
    else paths.push(path);
  }
  return found;
}
