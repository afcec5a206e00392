/** Where the registry listens, and under which names it may be asked for. */
import { isIP } from 'node:net';
import { JettisonError } from '#ground/base/errors.ts';

export type Address = { readonly host: string; readonly port: number };

/** `HOST:PORT`, `[IPv6]:PORT` or `PORT`. Port 0 is any that is free. Throws `distribution/bad-address`. */
export function parseAddress(text: string): Address {
  const [, name = '', port = ''] = /^(?:(\[[0-9a-fA-F:.]+\]|[^:[\]]*):)?(\d{1,5})$/u.exec(text) ?? [];
  const isPortAlone = /^\d+$/u.test(text);
  const host = isPortAlone ? '127.0.0.1' : name.replaceAll(/^\[|\]$/gu, '');
  const isHost = host === 'localhost' || isIP(host) > 0;
  if (port !== '' && Number(port) <= 65_535 && isHost) return { host, port: Number(port) };
  throw new JettisonError('distribution/bad-address', `"${text}" is no address to listen on`, {
    hint: 'Give an IP address of this machine and a port, such as 127.0.0.1:5000',
  });
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host.startsWith('127.') || host === '::1';
}

/** `127.0.0.1:5000`, `[::1]:5000` */
export function printAddress({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** May a registry without a certificate be asked for by this `Host`? Addresses may, and names that lead to this machine only. */
export function isOwnName(header: string, { host }: Address): boolean {
  const name = header
    .replace(/:\d+$/u, '')
    .replaceAll(/^\[|\]$/gu, '')
    .toLowerCase();
  return name === host || name === 'localhost' || name.endsWith('.localhost') || isIP(name) > 0;
}
