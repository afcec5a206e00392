/**
 * Docker's default seccomp profile as config.json wants it, for the machine's architecture and the 32-bit one whose programs its kernel runs, too. Not for x32, which hardly a
 * kernel has: runc compiles the filter at every start, and each further architecture costs it 8 ms.
 */
import type { SeccompArgument, SeccompProfile, SeccompRule } from '#formats/oci/runtime-spec.ts';
import { allowed, allowedOn, allowedWith, namespaceFlags, personalities, socketFamilies, socketFamiliesBelow } from './seccomp-rules.ts';

const ENOSYS = 38;
const EPERM = 1;

/** By Node's name of an architecture, libseccomp's. */
const architectures: ReadonlyMap<string, readonly string[]> = new Map([
  ['x64', ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']],
  ['arm64', ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM']],
  ['riscv64', ['SCMP_ARCH_RISCV64']],
  ['s390x', ['SCMP_ARCH_S390X']],
  ['ppc64', ['SCMP_ARCH_PPC64LE']],
]);

/**
 * Where there is one id, no file can be given away: calls that ask for it do nothing and succeed, as package managers and archivers end where they fail. What a step gives
 * away is its own afterwards. Changing a process's own ids is not pretended: a program that wants to lose rights must hear that it still has them.
 */
const ownerCalls = ['chown', 'chown32', 'fchown', 'fchown32', 'fchownat', 'lchown', 'lchown32'];

/** The profile for processes with these capabilities; `hasOneId`: in a user namespace with one id; undefined for an architecture without one. Programs of other architectures are killed by it. */
export function seccompProfile(architecture: string, capabilities: readonly string[], hasOneId = false): SeccompProfile | undefined {
  const names = architectures.get(architecture);
  if (names === undefined) return undefined;
  const byCapability = capabilities.flatMap((capability) => allowedWith[capability]?.split(' ') ?? []);
  const mayMakeNamespaces = capabilities.includes('CAP_SYS_ADMIN');
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: names,
    syscalls: [
      allow(
        [...new Set([...allowed, ...(allowedOn[architecture] ?? []), ...byCapability])].filter(
          (call) => !(hasOneId && ownerCalls.includes(call)) && !(call === 'socketcall' && names.includes('SCMP_ARCH_X86')),
        ),
      ),
      ...(hasOneId ? [{ names: ownerCalls, action: 'SCMP_ACT_ERRNO', errnoRet: 0 } as const] : []),
      ...personalities.map((value) => allow(['personality'], { index: 0, value, op: 'SCMP_CMP_EQ' })),
      ...(names.includes('SCMP_ARCH_X86') ? [noSocketCall] : []),
      allow(['socket'], { index: 0, value: socketFamiliesBelow, op: 'SCMP_CMP_LT' }),
      ...socketFamilies.map((value) => allow(['socket'], { index: 0, value, op: 'SCMP_CMP_EQ' })),
      ...(mayMakeNamespaces ? [] : cloneRules(architecture)),
    ],
  };
}

/**
 * The call of 32-bit programs that stands for all calls of sockets hides the family in memory: it is "not there", and C libraries make the call itself, which can be looked at.
 * Before the rules of socket, beside which libseccomp would allow it, and with another error than that of all else, with which runtimes leave a rule out.
 */
const noSocketCall: SeccompRule = { names: ['socketcall'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS };

/** clone without namespace flags; clone3 hides its flags in memory, so it is "not there" and libc falls back to clone. */
function cloneRules(architecture: string): readonly SeccompRule[] {
  const index = architecture === 's390x' ? 1 : 0;
  return [
    allow(['clone'], { index, value: namespaceFlags, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }),
    { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
  ];
}

function allow(names: readonly string[], ...args: readonly SeccompArgument[]): SeccompRule {
  return { names, action: 'SCMP_ACT_ALLOW', ...(args.length === 0 ? {} : { args }) };
}
