/** Sockets that are bound before Node knows of them: they belong to the network namespace in which this thread stands now. */
import { ipv4Bytes } from '#ground/base/ipv4.ts';
import { check, libc } from './libc.ts';
import { packed } from './netlink.ts';
import { closeFile } from './syscall.ts';

export type BoundSocket = { readonly file: number; readonly port: number; close(): void };

const native = {
  socket: libc.func('int socket(int, int, int)'),
  bind: libc.func('int bind(int, const uint8_t*, uint32_t)'),
  listen: libc.func('int listen(int, int)'),
  getsockname: libc.func('int getsockname(int, uint8_t*, _Inout_ uint32_t*)'),
};
const AF_INET = 2;
const closeOnExec = 0o2000000;
const nonBlocking = 0o4000;
const kinds = { tcp: 1, udp: 2 } as const;
const backlog = 64;

/** A socket at an IPv4 address; port 0: any free one. For `server.listen({fd})` of Node, which closes it. Throws a SystemCallError (`EADDRINUSE`). */
export function bindSocket(protocol: 'tcp' | 'udp', at: { readonly address: number; readonly port: number }): BoundSocket {
  const file = check(native.socket(AF_INET, kinds[protocol] | closeOnExec | nonBlocking, 0), 'socket', protocol);
  try {
    const address = new Uint8Array(16);
    address.set(packed([16, AF_INET]));
    address.set([at.port >> 8, at.port & 255, ...ipv4Bytes(at.address)], 2);
    check(native.bind(file, address, address.length), 'bind', `${protocol} port ${at.port}`);
    check(native.getsockname(file, address, [address.length]), 'getsockname', protocol);
    return { file, port: ((address[2] ?? 0) << 8) | (address[3] ?? 0), close: () => closeFile(file) };
  } catch (error) {
    closeFile(file);
    throw error;
  }
}

/** Has a TCP socket take connections. */
export function listenAt(file: number): void {
  check(native.listen(file, backlog), 'listen', 'tcp');
}
