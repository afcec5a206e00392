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
  poll: libc.func('int poll(uint8_t*, uint64_t, int)'),
  getsockname: libc.func('int getsockname(int, uint8_t*, _Inout_ uint32_t*)'),
};
const [AF_UNIX, AF_INET] = [1, 2];
const readable = 1;
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

/** A socket with a name, as `bindSocket`, at which callers may wait already: its backlog takes them. `path` is short: at most 107 bytes. */
export function listenByName(path: string): number {
  const file = check(native.socket(AF_UNIX, kinds.tcp | closeOnExec | nonBlocking, 0), 'socket', path);
  try {
    const name = new TextEncoder().encode(`${path}\0`);
    const address = new Uint8Array(2 + name.length);
    address.set(new Uint8Array(Uint16Array.of(AF_UNIX).buffer));
    address.set(name, 2);
    check(native.bind(file, address, address.length), 'bind', path);
    check(native.listen(file, backlog), 'listen', path);
    return file;
  } catch (error) {
    closeFile(file);
    throw error;
  }
}

/** Does somebody wait to be taken at a socket that listens? */
export function hasCaller(file: number): boolean {
  const asked = new Uint8Array(Int32Array.of(file, readable).buffer);
  return native.poll(asked, 1, 0) > 0;
}

/** Has a TCP socket take connections. */
export function listenAt(file: number): void {
  check(native.listen(file, backlog), 'listen', 'tcp');
}
