/**
 * The first process of a container with `--init`: it starts the program as its child, hands every signal on to it, reaps whom others leave, and ends as the child does. A
 * static file of some 500 bytes, so nothing of the image is needed and nothing has to be installed. Numbers are those of Linux on x86-64, syscalls(2).
 */
import { JettisonError } from '#ground/base/errors.ts';
import { assemble, elfProgram } from './elf.ts';

/** `init FILE... -- NAME ARGUMENT...`: the first of the files that can be executed gets the words behind `--`. Throws `runtime/no-init` where there is none. */
export function initProgram(architecture: string): Uint8Array {
  if (architecture === 'x64') return elfProgram({ architecture, code: assemble(x64, 1) });
  throw new JettisonError('runtime/no-init', `There is no first process for "--init" on ${architecture}`, {
    fault: 'environment',
    hint: 'Leave "--init" out, and let the image bring one: ENTRYPOINT ["tini", "--"]',
  });
}

/** Exit codes of a shell for what cannot be executed and what is not there. */
const x64: readonly string[] = [
  '4c 8b 24 24 4c 8d 6c 24 10 4e 8d 74 e4 10', // mov r12, [rsp]: argc; lea r13, [rsp+16]: the words; lea r14, [rsp+r12*8+16]: the environment
  '6a ff 48 89 e3', // push -1; mov rbx, rsp: all signals
  'b8 0e 00 00 00 bf 02 00 00 00 48 89 de 31 d2 41 ba 08 00 00 00 0f 05', // rt_sigprocmask(SIG_SETMASK, rbx, 0, 8): they wait
  'b8 39 00 00 00 0f 05', // fork
  '89 c5 85 c0 74 6d 0f 88 e8 00 00 00', // mov ebp, eax; jz child; js end with ebp
  // wait:
  'b8 80 00 00 00 48 89 df 31 f6 31 d2 41 ba 08 00 00 00 0f 05', // rt_sigtimedwait(rbx, 0, 0, 8)
  '83 f8 11 74 11 85 c0 78 e3', // cmp eax, SIGCHLD; je reap; test eax, eax; js wait
  '89 c6 89 ef b8 3e 00 00 00 0f 05 eb d6', // kill(ebp, eax); jmp wait
  // reap:
  'b8 3d 00 00 00 48 c7 c7 ff ff ff ff 48 8d 73 f0 ba 01 00 00 00 45 31 d2 0f 05', // wait4(-1, rbx-16, WNOHANG, 0)
  '39 e8 74 06 85 c0 7e b4 eb dc', // cmp eax, ebp; je ended; test eax, eax; jle wait; jmp reap
  // ended: its exit code, or 128 and its signal
  '0f b6 7b f1 8b 43 f0 83 e0 7f 74 06 8d b8 80 00 00 00', // movzx edi, byte [rbx-15]; mov eax, [rbx-16]; and eax, 127; jz exit; lea edi, [rax+128]
  // exit:
  'b8 e7 00 00 00 0f 05', // exit_group(edi)
  // child: a process group of its own, which has the terminal if there is one
  'b8 6d 00 00 00 31 ff 31 f6 0f 05', // setpgid(0, 0)
  'b8 27 00 00 00 0f 05', // getpid
  '89 43 f0 b8 10 00 00 00 31 ff be 10 54 00 00 48 8d 53 f0 0f 05', // mov [rbx-16], eax; ioctl(0, TIOCSPGRP, rbx-16)
  '48 c7 03 00 00 00 00', // mov qword [rbx], 0: no signal
  'b8 0e 00 00 00 bf 02 00 00 00 48 89 de 31 d2 41 ba 08 00 00 00 0f 05', // rt_sigprocmask(SIG_SETMASK, rbx, 0, 8)
  '4d 89 ef bd 7f 00 00 00', // mov r15, r13; mov ebp, 127
  // words: r15 behind the first that begins with "--"
  '49 8b 37 49 83 c7 08 66 81 3e 2d 2d 75 f2', // mov rsi, [r15]; add r15, 8; cmp word [rsi], "--"; jne words
  // try:
  '49 8b 7d 00 49 83 c5 08 4d 39 fd 74 19', // mov rdi, [r13]; add r13, 8; cmp r13, r15; je end with ebp
  'b8 3b 00 00 00 4c 89 fe 4c 89 f2 0f 05', // execve(rdi, r15, r14)
  '83 f8 f3 75 e1 bd 7e 00 00 00 eb da', // cmp eax, -EACCES; jne try; mov ebp, 126; jmp try
  '89 ef e9 71 ff ff ff', // mov edi, ebp; jmp exit
];
