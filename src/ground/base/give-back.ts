/**
 * Frees the memory of bytes that nobody will look at again, now and not when garbage is collected: what streams give piles up to tens of megabytes until then.
 * Does nothing where the memory holds anything else, too.
 */
export function giveBack(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && bytes.length > 0 && bytes.length === buffer.byteLength) buffer.transfer(0);
}
