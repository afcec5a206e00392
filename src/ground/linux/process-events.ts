/**
 * What the kernel tells of each process of the machine that starts, becomes a program, gets a name, or ends: the process connector (Documentation/driver-api/connector.rst,
 * include/uapi/linux/cn_proc.h). Since Linux 6.6 a normal user may listen; it has to stand in the machine's own user and PID namespaces, by whose numbers processes are told.
 */
import { constants } from 'node:os';
import { check, lastError, libc } from './libc.ts';
import { isLittle } from './netlink.ts';
import { closeFile } from './syscall.ts';

/** `process` is the number that all threads of one share. A thread's own is told apart only where it matters. */
export type ProcessEvent =
  | { readonly kind: 'start'; readonly process: number; readonly parent: number }
  | { readonly kind: 'program'; readonly process: number }
  /** Of the first thread; given to itself, or by another that wrote it to /proc. The name of a program that begins is not told. */
  | { readonly kind: 'name'; readonly process: number; readonly name: string }
  /** `code` as a shell gives it: 128 + n for signal n. The first thread may end before others do. */
  | { readonly kind: 'end'; readonly process: number; readonly code: number; readonly isFirstThread: boolean };

/** `processor` counts what it tells: a number that is left out is something that was lost. */
export type ToldEvent = { readonly processor: number; readonly count: number; readonly event: ProcessEvent | undefined };

export type ProcessEvents = Disposable & {
  /** Hands on all that was told by now, in order; gives how much. Undefined where something was lost: then nothing more comes, and another one has to be opened. */
  take(receiver: (event: ProcessEvent) => void): number | undefined;
  /** Is it still told of? Takes, and asks for an event of this process. */
  isListening(receiver: (event: ProcessEvent) => void): boolean;
};

const native = {
  socket: libc.func('int socket(int, int, int)'),
  bind: libc.func('int bind(int, const uint8_t*, uint32_t)'),
  option: libc.func('int setsockopt(int, int, int, const uint8_t*, uint32_t)'),
  send: libc.func('long send(int, const uint8_t*, size_t, int)'),
  receive: libc.func('long recv(int, uint8_t*, size_t, int)'),
  prctl: libc.func('int prctl(int, uint8_t*, unsigned long, unsigned long, unsigned long)'),
};
const AF_NETLINK = 16;
const NETLINK_CONNECTOR = 11;
const SOCK_DGRAM_CLOEXEC_NONBLOCK = 2 | 0o2000000 | 0o4000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
/** CN_IDX_PROC and CN_VAL_PROC. */
const connectorOfProcesses = 1;
const listen = 1;
const [setName, getName] = [15, 16];
const nameSize = 16;
/** Bytes that are asked for; the kernel gives at most net.core.rmem_max, 200 KiB by default, which is some 500 events. */
const bufferSize = 4 * 1024 * 1024;
const messageSize = 4096;
const netlinkHeader = 16;
const connectorHeader = 20;
const eventHeader = 16;
const noProcessor = 0xffffffff;
/** Bits of `what`. */
const what = { start: 1, program: 2, name: 0x200, end: 0x80000000 } as const;

/** Undefined where this process is not told: another namespace, a kernel before 6.6 or without CONFIG_PROC_EVENTS, or a filter of system calls. */
export function openProcessEvents(): ProcessEvents | undefined {
  const file = Number(native.socket(AF_NETLINK, SOCK_DGRAM_CLOEXEC_NONBLOCK, NETLINK_CONNECTOR));
  if (file < 0) return undefined;
  const bytes = new Uint8Array(messageSize);
  const counts = new Map<number, number>();
  let isWhole = true;
  const take: ProcessEvents['take'] = (receiver) => {
    let taken = 0;
    while (isWhole) {
      const size = Number(native.receive(file, bytes, bytes.length, 0));
      if (size < 0) {
        // Nothing more, or ENOBUFS: there was no room.
        isWhole = lastError() === constants.errno.EAGAIN || lastError() === constants.errno.EINTR;
        if (isWhole && lastError() === constants.errno.EAGAIN) return taken;
        continue;
      }
      const told = readProcessEvent(bytes.subarray(0, size));
      if (told === undefined) continue;
      const before = counts.get(told.processor);
      isWhole = before === undefined || (before + 1) >>> 0 === told.count;
      counts.set(told.processor, told.count);
      taken++;
      if (told.event !== undefined && isWhole) receiver(told.event);
    }
    return undefined;
  };
  const isListening: ProcessEvents['isListening'] = (receiver) => {
    if (take(receiver) === undefined) return false;
    let isTold = false;
    renameThread(ownName());
    const taken = take((event) => {
      if (event.kind === 'name' && event.process === process.pid) isTold = true;
      receiver(event);
    });
    return taken !== undefined && isTold;
  };
  const events: ProcessEvents = { take, isListening, [Symbol.dispose]: () => closeFile(file) };
  const size = numbers(bufferSize);
  native.option(file, SOL_SOCKET, SO_RCVBUF, size, size.length);
  const isTold = join(file) && isListening(() => undefined);
  if (!isTold) events[Symbol.dispose]();
  return isTold ? events : undefined;
}

/**
 * To all kinds of events: only then each one counts, and a filter that leaves nothing for anybody makes the kernel tell nothing any more. To stop, the file is closed: the message for
 * that is counted against other listeners when ours was not counted any more.
 */
function join(file: number): boolean {
  const address = numbers(0, 0, connectorOfProcesses);
  new DataView(address.buffer).setUint16(0, AF_NETLINK, isLittle);
  if (Number(native.bind(file, address, address.length)) < 0) return false;
  const message = numbers(netlinkHeader + connectorHeader + 4, 0, 0, 0, connectorOfProcesses, connectorOfProcesses, 0, 0, 0, listen);
  const view = new DataView(message.buffer);
  view.setUint16(4, 3, isLittle); // NLMSG_DONE
  view.setUint16(netlinkHeader + 16, 4, isLittle);
  return Number(native.send(file, message, message.length, 0)) === message.length;
}

function numbers(...values: readonly number[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  for (const [index, value] of values.entries()) view.setUint32(index * 4, value, isLittle);
  return new Uint8Array(view.buffer);
}

/** What a message of the connector tells; undefined for one that is none of these. */
export function readProcessEvent(bytes: Uint8Array): ToldEvent | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = netlinkHeader + connectorHeader;
  const data = at + eventHeader;
  if (bytes.length < data + 8) return undefined;
  const number = (offset: number): number => view.getUint32(offset, isLittle);
  const kind = number(at);
  if (number(netlinkHeader) !== connectorOfProcesses || number(netlinkHeader + 4) !== connectorOfProcesses) return undefined;
  // An answer to who began to listen is counted as events are; older kernels send it from no processor.
  if (number(at + 4) === noProcessor) return undefined;
  const has = (size: number): boolean => bytes.length >= data + size;
  const told = (event: ProcessEvent | undefined): ToldEvent => ({ processor: number(at + 4), count: number(netlinkHeader + 8), event });
  const [thread, process] = [number(data), number(data + 4)];
  if (kind === what.start && has(16)) {
    const [child, children] = [number(data + 8), number(data + 12)];
    // A thread that begins is told with the parent of its process.
    return told(child === children ? { kind: 'start', process: child, parent: process } : undefined);
  }
  if (kind === what.program) return told({ kind: 'program', process });
  if (kind === what.name && has(8 + nameSize))
    return told(thread === process ? { kind: 'name', process, name: textAt(bytes, data + 8) } : undefined);
  if (kind === what.end && has(12)) {
    const status = number(data + 8);
    const signal = status & 0x7f;
    return told({ kind: 'end', process, code: signal === 0 ? (status >> 8) & 0xff : 128 + signal, isFirstThread: thread === process });
  }
  return told(undefined);
}

function textAt(bytes: Uint8Array, at: number): string {
  const name = bytes.subarray(at, at + nameSize);
  const end = name.indexOf(0);
  return new TextDecoder().decode(end < 0 ? name : name.subarray(0, end));
}

/** The name of this thread as the kernel has it, with its NUL. */
export function ownName(): Uint8Array {
  const name = new Uint8Array(nameSize);
  check(native.prctl(getName, name, 0, 0, 0), 'prctl', 'PR_GET_NAME');
  return name;
}

/** At most 15 bytes and a NUL. */
export function renameThread(name: Uint8Array): void {
  check(native.prctl(setName, name, 0, 0, 0), 'prctl', 'PR_SET_NAME');
}
