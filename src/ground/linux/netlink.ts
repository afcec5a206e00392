/**
 * Requests to the kernel's network by netlink(7): one socket, one request at a time, each answered at once. The socket belongs to the network namespace in which this thread
 * stood when it was opened (`network-namespace.ts`).
 */
import { endianness } from 'node:os';
import { joinBytes } from '#ground/base/bytes.ts';
import { SystemCallError, check, libc } from './libc.ts';
import { closeFile } from './syscall.ts';

export type Netlink = Disposable & {
  /** Sends requests, each of which the kernel acknowledges, in one message: of several to the firewall all take effect or none. Throws a SystemCallError for the first that was refused. */
  request(requests: readonly NetlinkRequest[], subject: string): void;
  /** What the kernel lists, without the headers of the messages. */
  list(request: NetlinkRequest, subject: string): readonly Uint8Array[];
};

/** `flags` beside those that say request and answer. */
export type NetlinkRequest = { readonly type: number; readonly flags?: number; readonly body: Uint8Array; readonly unanswered?: true };

export const netlinkFamilies = { route: 0, firewall: 12 } as const;
export const netlinkFlags = { replace: 0x100, exclusive: 0x200, create: 0x400, append: 0x800 } as const;
const flags = { request: 1, acknowledge: 4, dump: 0x300 } as const;
const types = { error: 2, done: 3 } as const;

const native = {
  socket: libc.func('int socket(int, int, int)'),
  send: libc.func('long send(int, const uint8_t*, size_t, int)'),
  receive: libc.func('long recv(int, uint8_t*, size_t, int)'),
};
const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const headerSize = 16;
/** The kernel cuts lists into pieces of at most 32 KiB. */
const answerSize = 65536;
export const isLittle = endianness() === 'LE';

/** Opens a socket in the network namespace of this thread. */
export function openNetlink(family: keyof typeof netlinkFamilies): Netlink {
  const file = check(native.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, netlinkFamilies[family]), 'socket', `netlink ${family}`);
  const answer = new Uint8Array(answerSize);
  let sequence = 0;
  const send = (messages: readonly Uint8Array[], subject: string): void => {
    const bytes = joinBytes(messages);
    check(Number(native.send(file, bytes, bytes.length, 0)), 'netlink', subject);
  };
  const receive = (subject: string): readonly Message[] => {
    const size = check(Number(native.receive(file, answer, answer.length, 0)), 'netlink', subject);
    return messagesIn(answer.subarray(0, size));
  };
  return {
    request(requests, subject) {
      const first = sequence + 1;
      const messages = requests.map((one) => message(one, flags.request | (one.unanswered ? 0 : flags.acknowledge), ++sequence));
      const unanswered = new Set(requests.flatMap((one, index) => (one.unanswered ? [] : [first + index])));
      send(messages, subject);
      let refused = 0;
      while (unanswered.size > 0) {
        for (const { type, sequence: number, body } of receive(subject)) {
          if (type !== types.error) continue;
          const error = -numberAt(body, 0);
          if (error !== 0 && refused === 0) refused = error;
          // A batch that is not even looked at is answered by its first message alone.
          if (error !== 0 && !unanswered.has(number)) unanswered.clear();
          unanswered.delete(number);
        }
      }
      if (refused !== 0) throw new SystemCallError('netlink', refused, subject);
    },
    list(request, subject) {
      send([message(request, flags.request | flags.dump, ++sequence)], subject);
      const bodies: Uint8Array[] = [];
      for (;;) {
        for (const { type, body } of receive(subject)) {
          const error = type === types.error || type === types.done ? -numberAt(body, 0) : 0;
          if (error > 0) throw new SystemCallError('netlink', error, subject);
          if (type === types.done || type === types.error) return bodies;
          bodies.push(body.slice());
        }
      }
    },
    [Symbol.dispose]: () => closeFile(file),
  };
}

function message({ type, body, flags: more = 0 }: NetlinkRequest, flag: number, sequence: number): Uint8Array {
  const size = headerSize + body.length;
  const bytes = new Uint8Array(aligned(size));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, size, isLittle);
  view.setUint16(4, type, isLittle);
  view.setUint16(6, flag | more, isLittle);
  view.setUint32(8, sequence, isLittle);
  bytes.set(body, headerSize);
  return bytes;
}

type Message = { readonly type: number; readonly sequence: number; readonly body: Uint8Array };

function messagesIn(bytes: Uint8Array): readonly Message[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const messages: Message[] = [];
  for (let at = 0; at + headerSize <= bytes.length;) {
    const size = view.getUint32(at, isLittle);
    if (size < headerSize || at + size > bytes.length) break;
    const [type, sequence] = [view.getUint16(at + 4, isLittle), view.getUint32(at + 8, isLittle)];
    messages.push({ type, sequence, body: bytes.subarray(at + headerSize, at + size) });
    at += aligned(size);
  }
  return messages;
}

/** What stands in front of the attributes of a message or an attribute: numbers of 8, 16 or 32 bits in the machine's order, without a gap. */
export function packed(...fields: readonly (readonly [bits: 8 | 16 | 32, value: number])[]): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((sum, [bits]) => sum + bits / 8, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [bits, value] of fields) {
    if (bits === 8) view.setUint8(at, value);
    else if (bits === 16) view.setUint16(at, value, isLittle);
    else view.setUint32(at, value, isLittle);
    at += bits / 8;
  }
  return bytes;
}

/** An attribute: its length and type, what is in it, filled up to a multiple of four. */
export function attribute(type: number, ...content: readonly Uint8Array[]): Uint8Array {
  const inner = joinBytes(content);
  const bytes = new Uint8Array(aligned(4 + inner.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + inner.length, isLittle);
  view.setUint16(2, type, isLittle);
  bytes.set(inner, 4);
  return bytes;
}

/** An attribute made of attributes. */
export function nested(type: number, ...content: readonly Uint8Array[]): Uint8Array {
  return attribute(type | 0x8000, ...content);
}

/** The attributes of a message by type, from the byte `from` on. */
export function attributesIn(bytes: Uint8Array, from: number): ReadonlyMap<number, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const found = new Map<number, Uint8Array>();
  for (let at = from; at + 4 <= bytes.length;) {
    const size = view.getUint16(at, isLittle);
    if (size < 4 || at + size > bytes.length) break;
    found.set(view.getUint16(at + 2, isLittle) & 0x3fff, bytes.subarray(at + 4, at + size));
    at += aligned(size);
  }
  return found;
}

/** A text with the NUL that the kernel wants. */
export function textBytes(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

/** A text of an attribute, or ''. */
export function textOf(bytes: Uint8Array | undefined): string {
  return new TextDecoder().decode(bytes).replace(/\0.*$/su, '');
}

/** The signed number of 32 bits that stands at `at`. */
export function numberAt(bytes: Uint8Array, at: number): number {
  return bytes.length < at + 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getInt32(at, isLittle);
}

function aligned(size: number): number {
  return (size + 3) & ~3;
}
