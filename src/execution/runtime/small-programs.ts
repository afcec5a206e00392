/**
 * Programs of one system call, as static ELF files of some 160 bytes: they need nothing of the root they stand in and start in a fraction
 * of a millisecond. Their exit code is the call's errno. Instructions by architecture (Node's name); elf(5), syscalls(2).
 */
import { assemble, elfProgram } from './elf.ts';

export type SmallProgram = 'open' | 'forbid-devices' | 'forbid-writing';

/** An empty file where we have no program for an architecture. `open FILE`: open(2) for reading. `forbid-devices MOUNT`: reads stdin to its end, then remounts with MS_NODEV; `forbid-writing MOUNT`: with MS_RDONLY, too. */
export function smallProgram(name: SmallProgram, architecture: string): Uint8Array {
  switch (architecture) {
    case 'x64':
      return elfProgram({ architecture, code: assemble(x64[name], 1) });
    case 'arm64':
      return elfProgram({ architecture, code: assemble(arm64[name], 4) });
    default:
      return new Uint8Array(0);
  }
}

/** Machine code, bytes in hexadecimal. */
const x64: Readonly<Record<SmallProgram, readonly string[]>> = {
  'forbid-writing': remounting64('41 ba 25 10 00 00'), // with MS_RDONLY
  open: [
    '48 8b 7c 24 10', // mov rdi, [rsp+16]: argv[1]
    '31 f6 31 d2', // xor esi, esi; xor edx, edx
    'b8 02 00 00 00 0f 05', // open
    '89 c7 f7 df b8 3c 00 00 00 0f 05', // exit(-result)
  ],
  'forbid-devices': remounting64('41 ba 24 10 00 00'), // mov r10d, MS_BIND | MS_REMOUNT | MS_NODEV
};

function remounting64(flags: string): readonly string[] {
  return [
    // A runtime writes to its hooks and fails when they do not read. Until read(0, rsp-4096, 4096) gives no more:
    '31 ff 48 8d b4 24 00 f0 ff ff', // xor edi, edi; lea rsi, [rsp-4096]
    'ba 00 10 00 00 31 c0 0f 05', // mov edx, 4096; xor eax, eax; syscall
    '85 c0 7f e9', // test eax, eax; jg to the start
    '48 8b 74 24 10', // mov rsi, [rsp+16]: argv[1]
    '31 ff 31 d2 45 31 c0', // xor edi, edi; xor edx, edx; xor r8d, r8d
    flags,
    'b8 a5 00 00 00 0f 05', // mount
    '89 c7 f7 df b8 3c 00 00 00 0f 05', // exit(-result)
  ];
}

/** Machine code, words of 32 bits in hexadecimal. */
const arm64: Readonly<Record<SmallProgram, readonly string[]>> = {
  open: [
    '92800c60 f9400be1', // mov x0, AT_FDCWD; ldr x1, [sp, 16]: argv[1]
    'd2800002 d2800708 d4000001', // mov x2, 0; mov x8, 56 (openat); svc
    'cb0003e0 d2800ba8 d4000001', // exit(-result)
  ],
  'forbid-devices': remountingArm('d2820483'),
  'forbid-writing': remountingArm('d28204a3'),
};

function remountingArm(flags: string): readonly string[] {
  return [
    'd2800000 d14007e1 d2820002 d28007e8 d4000001', // mov x0, 0; sub x1, sp, 4096; mov x2, 4096; mov x8, 63 (read); svc
    'f100001f 54ffff4c', // cmp x0, 0; b.gt to the start
    `d2800000 f9400be1 d2800002 ${flags}`, // mov x0, 0; ldr x1, [sp, 16]; mov x2, 0; mov x3, flags
    'd2800004 d2800508 d4000001', // mov x4, 0; mov x8, 40 (mount); svc
    'cb0003e0 d2800ba8 d4000001', // exit(-result)
  ];
}
