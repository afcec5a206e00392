/** IPv4 addresses and networks as numbers and texts. */

/** A network: `base` is its first address, of which `prefix` bits are its own. */
export type Subnet = { readonly base: number; readonly prefix: number };

/** The number of an address in dotted form; undefined for what is none (also with leading zeros, which some read as octal). */
export function parseIPv4(text: string): number | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/u.test(part) && Number(part) < 256)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** `10.0.0.1` of its number. */
export function ipv4Text(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** The four bytes as they go over the wire. */
export function ipv4Bytes(address: number): Uint8Array {
  return Uint8Array.from([24, 16, 8, 0], (shift) => (address >>> shift) & 255);
}

/** The number of four bytes. */
export function ipv4FromBytes(bytes: Uint8Array): number {
  return bytes.subarray(0, 4).reduce((sum, byte) => sum * 256 + byte, 0);
}

/** `10.1.0.0/16`; the bits behind the prefix are cleared. Undefined for what is none. */
export function parseSubnet(text: string): Subnet | undefined {
  const [, address = '', prefix = ''] = /^([\d.]+)\/(\d{1,2})$/u.exec(text) ?? [];
  const number = parseIPv4(address);
  if (number === undefined || Number(prefix) > 32) return undefined;
  return subnetOf(number, Number(prefix));
}

/** The network of `prefix` bits that an address is in. */
export function subnetOf(address: number, prefix: number): Subnet {
  return { base: (address & maskOf(prefix)) >>> 0, prefix };
}

/** `10.1.0.0/16` */
export function subnetText({ base, prefix }: Subnet): string {
  return `${ipv4Text(base)}/${prefix}`;
}

/** The bits that all addresses of a network share, set. */
export function maskOf(prefix: number): number {
  return prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
}

/** How many addresses there are in a network, its own and that for all included. */
export function sizeOf({ prefix }: Subnet): number {
  return 2 ** (32 - prefix);
}

/** The address for all of a network. */
export function broadcastOf(subnet: Subnet): number {
  return subnet.base + sizeOf(subnet) - 1;
}

/** Is the address in the network? */
export function isWithin(address: number, { base, prefix }: Subnet): boolean {
  return (address & maskOf(prefix)) >>> 0 === base;
}

/** Has one network an address of the other? */
export function overlap(one: Subnet, other: Subnet): boolean {
  return one.prefix <= other.prefix ? isWithin(other.base, one) : isWithin(one.base, other);
}
