/** Tars as no proper writer makes them. */

/** A header block with whatever `change` does to it, its checksum made right. */
export function rawHeader(name: string, type: string, size: number, change: (block: Buffer) => void = () => undefined): Uint8Array {
  const block = Buffer.alloc(512);
  block.write(name, 0);
  block.write('0000644\0', 100);
  block.write('0000000\0', 108);
  block.write('0000000\0', 116);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  block.write('00000000000\0', 136);
  block.write('        ', 148);
  block.write(type, 156);
  block.write('ustar\u000000', 257);
  change(block);
  const sum = block.reduce((all, byte) => all + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return new Uint8Array(block);
}

/** Blocks as a whole archive. */
export function rawTar(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat([...parts, new Uint8Array(1024)]));
}

/** An extended header (`g`: a global one) of these records. */
export function paxHeader(records: Readonly<Record<string, string>>, type: 'x' | 'g' = 'x'): Uint8Array {
  const body = Buffer.from(Object.entries(records).map(paxRecord).join(''), 'latin1');
  return new Uint8Array(Buffer.concat([rawHeader('pax', type, body.length), body, new Uint8Array((512 - (body.length % 512)) % 512)]));
}

function paxRecord([key, value]: readonly [string, string]): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return `${length}${rest}`;
}

/** A file of 512 bytes that says it is `size` bytes long, in the sparse form of old GNU tar. */
export function sparseBomb(size: bigint): readonly Uint8Array[] {
  const header = rawHeader('huge', 'S', 512, (block) => {
    block.write('00000000000\0', 386);
    block.write('00000001000\0', 398);
    block.writeUInt8(0x80, 483);
    block.writeBigUInt64BE(size, 487);
  });
  return [header, new Uint8Array(512)];
}

/** `d/d/d/...`: `count` names. */
export function deepPath(count: number, name = 'd'): string {
  return Array.from({ length: count }, () => name).join('/');
}
