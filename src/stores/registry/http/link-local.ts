/** Addresses that mean something only to the machine that asks: 169.254.0.0/16 (RFC 3927) and fe80::/10 (RFC 4291), where clouds hand out credentials. */
import { lookup as lookupHost, type LookupAddress, type LookupOptions } from 'node:dns';

/** Is it such an address, as the host of a URL has it (IPv6 in brackets)? A name is none. */
export function isLinkLocal(host: string): boolean {
  const address = host.replace(/^\[|\]$/gu, '').toLowerCase();
  if (/^169\.254\.\d+\.\d+$/u.test(address)) return true;
  // URLs write an IPv4 address within IPv6 in hexadecimal.
  return /^fe[89ab][\da-f]:/u.test(address) || /^::ffff:(?:a9fe:|169\.254\.)/u.test(address) || address === 'fd00:ec2::254';
}

type Found = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;

/** As dns.lookup, but a name that leads to such an address is not found. */
export function publicLookup(host: string, options: LookupOptions, found: Found): void {
  lookupHost(host, options, (error, address, family) => {
    const all = typeof address === 'string' ? [address] : (address ?? []).map((one) => one.address);
    if (error === null && all.some(isLinkLocal)) {
      const refusal: NodeJS.ErrnoException = Object.assign(new Error(`${host} is an address of this network link only`), {
        code: 'EACCES',
      });
      return found(refusal, '');
    }
    found(error, address, family);
  });
}
