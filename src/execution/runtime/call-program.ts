/**
 * Programs that are a list of system calls: written for one use as a static ELF file, they need nothing of the place they run in and start in a fraction of a
 * millisecond. What such a program does is all said by its list; the few machine instructions here only go from call to call, as results tell.
 */
import { unreachable } from '#ground/base/errors.ts';
import { assemble, dataAddress, elfProgram, type ElfArchitecture } from './elf.ts';

/** Bytes in the program's memory. Pointers are other pieces; null is the pointer to nothing. */
export type Piece = { readonly bytes: Uint8Array } | { readonly pointers: readonly (Piece | null)[] };

/** Where a result is put besides: into a piece, or into the list itself, as an argument (0 to 5) or the number to compare with of a call. */
export type Place =
  | { readonly piece: Piece; readonly offset: number }
  | { readonly call: string; readonly word: 'expected' | 0 | 1 | 2 | 3 | 4 | 5 };

export type Call = {
  /** By which other calls find it. */
  readonly name?: string;
  /** `value`: no call, gives its first argument. `kill-all`: SIGKILL to each process of a list of numbers (text at the first argument, so many bytes), each with something after it. */
  readonly call: CallName | 'value' | 'kill-all';
  /** A place stands for its address. */
  readonly with?: readonly (number | bigint | Piece | Place)[];
  readonly result?: Place;
  /** With this result, go on there. */
  readonly when?: readonly [result: number, goTo: string];
  /** After an error, go on there; without it an error counts for nothing. */
  readonly failed?: string;
  /** Go on there; without it with the next of the list. */
  readonly next?: string;
};

type CallName = keyof typeof numbers;

/** Numbers by architecture: syscalls(2), include/uapi/asm-generic/unistd.h. */
const numbers = {
  write: { x64: 1, arm64: 64 },
  read: { x64: 0, arm64: 63 },
  close: { x64: 3, arm64: 57 },
  rt_sigprocmask: { x64: 14, arm64: 135 },
  ioctl: { x64: 16, arm64: 29 },
  nanosleep: { x64: 35, arm64: 101 },
  clone: { x64: 56, arm64: 220 },
  execve: { x64: 59, arm64: 221 },
  wait4: { x64: 61, arm64: 260 },
  fcntl: { x64: 72, arm64: 25 },
  chdir: { x64: 80, arm64: 49 },
  umask: { x64: 95, arm64: 166 },
  getppid: { x64: 110, arm64: 173 },
  setsid: { x64: 112, arm64: 157 },
  setgroups: { x64: 116, arm64: 159 },
  setresuid: { x64: 117, arm64: 147 },
  setresgid: { x64: 119, arm64: 149 },
  capset: { x64: 126, arm64: 91 },
  rt_sigtimedwait: { x64: 128, arm64: 137 },
  prctl: { x64: 157, arm64: 167 },
  chroot: { x64: 161, arm64: 51 },
  mount: { x64: 165, arm64: 40 },
  exit_group: { x64: 231, arm64: 94 },
  openat: { x64: 257, arm64: 56 },
  unshare: { x64: 272, arm64: 97 },
  prlimit64: { x64: 302, arm64: 261 },
} as const satisfies Readonly<Record<string, Readonly<Record<ElfArchitecture, number>>>>;

/** A call in memory is 13 words of 64 bits: its number, six arguments, then these, and its own result. */
const words = { store: 7, expected: 8, whenEqual: 9, whenFailed: 10, otherwise: 11, result: 12 } as const;
const callSize = 13 * 8;
/** No call gives this. */
const never = -(2n ** 63n);
const special = { 'kill-all': -1n, value: -2n } as const;

/** The program as the bytes of an ELF file. It begins with the first call; the last one has to say where it goes on, or end the process. */
export function callProgram(architecture: ElfArchitecture, calls: readonly Call[]): Uint8Array {
  const codeLength = machineCode(architecture, 0).length;
  const base = dataAddress(codeLength);
  const layout = layOut(calls, base);
  const view = new DataView(new ArrayBuffer(layout.size));
  for (const [index, call] of calls.entries()) writeCall(view, { call, index, architecture, layout });
  for (const [piece, address] of layout.pieces) writePiece(view, piece, { offset: address - base, layout });
  return elfProgram({ architecture, code: machineCode(architecture, base), data: new Uint8Array(view.buffer) });
}

type Layout = {
  readonly base: number;
  readonly size: number;
  readonly names: ReadonlyMap<string, number>;
  readonly pieces: ReadonlyMap<Piece, number>;
};

function layOut(calls: readonly Call[], base: number): Layout {
  const names = new Map(calls.flatMap(({ name }, index) => (name === undefined ? [] : [[name, base + index * callSize] as const])));
  const pieces = new Map<Piece, number>();
  let end = base + calls.length * callSize;
  const place = (piece: Piece): void => {
    if (pieces.has(piece)) return;
    pieces.set(piece, end);
    end += Math.ceil(('bytes' in piece ? piece.bytes.length : piece.pointers.length * 8) / 8) * 8;
    if ('pointers' in piece) for (const inner of piece.pointers) if (inner !== null) place(inner);
  };
  for (const { with: values = [], result } of calls) {
    for (const value of [...values, ...(result === undefined ? [] : [result])]) {
      if (isPiece(value)) place(value);
      else if (typeof value === 'object' && 'piece' in value) place(value.piece);
    }
  }
  return { base, size: end - base, names, pieces };
}

type Writing = { readonly call: Call; readonly index: number; readonly architecture: ElfArchitecture; readonly layout: Layout };

function writeCall(view: DataView, { call, index, architecture, layout }: Writing): void {
  const at = index * callSize;
  const set = (word: number, value: number | bigint): void => view.setBigInt64(at + word * 8, BigInt(value), true);
  const following = layout.base + at + callSize;
  const target = (name: string | undefined): number => (name === undefined ? following : addressOf(layout, name));
  set(0, call.call === 'value' || call.call === 'kill-all' ? special[call.call] : numbers[call.call][architecture]);
  for (const [number, value] of (call.with ?? []).entries()) set(1 + number, valueOf(layout, value));
  set(words.store, call.result === undefined ? layout.base + at + words.result * 8 : placeAddress(layout, call.result));
  set(words.expected, call.when?.[0] ?? never);
  set(words.whenEqual, target(call.when?.[1]));
  set(words.whenFailed, target(call.failed ?? call.next));
  set(words.otherwise, target(call.next));
}

function isPiece(value: number | bigint | Piece | Place): value is Piece {
  return typeof value === 'object' && ('bytes' in value || 'pointers' in value);
}

function valueOf(layout: Layout, value: number | bigint | Piece | Place): number | bigint {
  if (typeof value !== 'object') return value;
  return isPiece(value) ? pieceAddress(layout, value) : placeAddress(layout, value);
}

function placeAddress(layout: Layout, place: Place): number {
  if ('piece' in place) return pieceAddress(layout, place.piece) + place.offset;
  return addressOf(layout, place.call) + (place.word === 'expected' ? words.expected : 1 + place.word) * 8;
}

function addressOf({ names }: Layout, name: string): number {
  const found = names.get(name);
  if (found === undefined) throw new Error(`No call is named "${name}"`);
  return found;
}

function pieceAddress({ pieces }: Layout, piece: Piece): number {
  return pieces.get(piece) ?? 0;
}

function writePiece(view: DataView, piece: Piece, { offset, layout }: { readonly offset: number; readonly layout: Layout }): void {
  if ('bytes' in piece) return new Uint8Array(view.buffer).set(piece.bytes, offset);
  for (const [index, inner] of piece.pointers.entries()) {
    view.setBigInt64(offset + index * 8, BigInt(inner === null ? 0 : pieceAddress(layout, inner)), true);
  }
}

/** The instructions; `first` is the address of the first call. */
function machineCode(architecture: ElfArchitecture, first: number): Uint8Array {
  switch (architecture) {
    case 'x64':
      return assemble([`bb ${[0, 8, 16, 24].map((shift) => hex((first >> shift) & 0xff)).join(' ')}`, ...x64], 1);
    case 'arm64':
      return assemble([hex(0xd2800013 + (first & 0xffff) * 32), hex(0xf2a00013 + (first >> 16) * 32), ...arm64], 4);
    default:
      return unreachable(architecture, 'architecture');
  }
}

function hex(number: number): string {
  return number.toString(16);
}

/** rbx is the call. After `mov ebx, first`: */
const x64: readonly string[] = [
  '48 8b 03 48 8b 7b 08 48 8b 73 10 48 8b 53 18', // next: mov rax, [rbx]; mov rdi, [rbx+8]; mov rsi, [rbx+16]; mov rdx, [rbx+24]
  '4c 8b 53 20 4c 8b 43 28 4c 8b 4b 30', // mov r10, [rbx+32]; mov r8, [rbx+40]; mov r9, [rbx+48]
  '48 85 c0 78 2a 0f 05', // test rax, rax; js special; syscall
  '48 89 43 60 48 8b 4b 38 48 89 01', // after: mov [rbx+96], rax; mov rcx, [rbx+56]; mov [rcx], rax
  '48 3b 43 40 75 06 48 8b 5b 48 eb c7', // cmp rax, [rbx+64]; jne over; mov rbx, [rbx+72]; jmp next
  '48 85 c0 79 06 48 8b 5b 50 eb bc', // over: test rax, rax; jns over; mov rbx, [rbx+80]; jmp next
  '48 8b 5b 58 eb b6', // over: mov rbx, [rbx+88]; jmp next
  '48 ff c0 74 05 48 89 f8 eb ce', // special: inc rax; jz kill; mov rax, rdi; jmp after
  '49 89 fc 4c 8d 2c 37', // kill: mov r12, rdi; lea r13, [rdi+rsi]
  '31 ff', // number: xor edi, edi
  '4d 39 ec 73 29 41 0f b6 04 24 49 ff c4', // digit: cmp r12, r13; jae done; movzx eax, byte [r12]; inc r12
  '83 e8 30 83 f8 09 77 07', // sub eax, '0'; cmp eax, 9; ja separator
  '6b ff 0a 01 c7 eb e4', // imul edi, edi, 10; add edi, eax; jmp digit
  '85 ff 74 de be 09 00 00 00 b8 3e 00 00 00 0f 05 eb d0', // separator: test edi, edi; jz number; mov esi, SIGKILL; mov eax, 62 (kill); syscall; jmp number
  '31 c0 eb 93', // done: xor eax, eax; jmp after
];

/** x19 is the call. After `mov x19, first`: */
const arm64: readonly string[] = [
  'f9400268 f9400660 f9400a61 f9400e62', // next: ldr x8, [x19]; ldr x0, [x19, 8]; ldr x1, [x19, 16]; ldr x2, [x19, 24]
  'f9401263 f9401664 f9401a65', // ldr x3, [x19, 32]; ldr x4, [x19, 40]; ldr x5, [x19, 48]
  'b7f801e8 d4000001', // tbnz x8, 63, special; svc
  'f9003260 f9401e69 f9000120', // after: str x0, [x19, 96]; ldr x9, [x19, 56]; str x0, [x9]
  'f9402269 eb09001f 54000061 f9402673 17fffff0', // ldr x9, [x19, 64]; cmp x0, x9; b.ne over; ldr x19, [x19, 72]; b next
  'b6f80060 f9402a73 17ffffed', // over: tbz x0, 63, over; ldr x19, [x19, 80]; b next
  'f9402e73 17ffffeb', // over: ldr x19, [x19, 88]; b next
  'b100051f 54fffe41', // special: cmn x8, 1; b.ne after
  'aa0003e9 8b01000a', // mov x9, x0; add x10, x0, x1
  'd280000b', // number: mov x11, 0
  'eb0a013f 540001c2 3840152c', // digit: cmp x9, x10; b.hs done; ldrb w12, [x9], 1
  '5100c18c 7100259f 54000088', // sub w12, w12, '0'; cmp w12, 9; b.hi separator
  '8b0b096b 8b0b058b 17fffff8', // add x11, x11, x11, lsl 2; add x11, x12, x11, lsl 1; b digit
  'b4fffecb aa0b03e0 d2800121 d2801028 d4000001 17fffff1', // separator: cbz x11, number; mov x0, x11; mov x1, SIGKILL; mov x8, 129 (kill); svc; b number
  'd2800000 17ffffde', // done: mov x0, 0; b after
];
