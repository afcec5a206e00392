/** What a process may do: capabilities and system calls, as Docker reckons them. */
import { release } from 'node:os';
import type { SeccompProfile } from '#formats/oci/runtime-spec.ts';
import { JettisonError } from '#ground/base/errors.ts';
import { capabilityNumbers } from './capabilities.ts';
import type { CapabilityChange, ProcessRequest } from './contract.ts';
import { readSeccompProfile } from './seccomp-profile.ts';
import { seccompProfile } from './seccomp.ts';

export const dockerCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

/** What there is to give away on this machine. */
export type RightsHere = {
  /** Names of all capabilities that this process may hand on. */
  readonly capabilities: readonly string[];
  /** Node's name, `x64`. */
  readonly architecture: string;
  /** The sandbox's seccomp filter as crun compiled it before, base64. */
  readonly compiledFilter?: string | undefined;
  /** The user namespace has a single id, 0. */
  readonly hasOneId?: boolean;
};

export type Rights = {
  readonly capabilities: readonly string[];
  readonly seccomp: SeccompProfile | undefined;
  /** The same filter, compiled. */
  readonly compiledFilter: string | undefined;
};

/** Throws `runtime/unknown-capability`, `runtime/missing-capability`, `runtime/bad-seccomp-profile`. */
export function rightsOf(request: Pick<ProcessRequest, 'security' | 'confinement'>, host: RightsHere): Rights {
  if (request.security === 'insecure') return { capabilities: host.capabilities, seccomp: undefined, compiledFilter: undefined };
  const { capabilities: change, seccomp } = request.confinement ?? {};
  const usual = dockerCapabilities.filter((name) => host.capabilities.includes(name));
  const capabilities = change === undefined ? usual : changeCapabilities(usual, change, host.capabilities);
  if (seccomp === null) return { capabilities, seccomp: undefined, compiledFilter: undefined };
  if (seccomp !== undefined) {
    const profile = readSeccompProfile(seccomp, { architecture: host.architecture, capabilities, kernel: release() });
    return { capabilities, seccomp: profile, compiledFilter: undefined };
  }
  const isUsual = capabilities.length === usual.length && capabilities.every((name) => usual.includes(name));
  return {
    capabilities,
    seccomp: seccompProfile(host.architecture, capabilities, host.hasOneId),
    compiledFilter: isUsual ? host.compiledFilter : undefined,
  };
}

/** The seccomp rules of the sandbox on this machine. */
export function sandboxProfile(host: RightsHere): SeccompProfile | undefined {
  return rightsOf({ security: 'sandbox' }, host).seccomp;
}

const all = 'ALL';

/** Dropping counts more than adding, `ALL` to add more than `ALL` to drop, as in Docker. */
function changeCapabilities(usual: readonly string[], { add, drop }: CapabilityChange, here: readonly string[]): readonly string[] {
  for (const name of [...add, ...drop]) {
    if (name === all || capabilityNumbers([name]).length === 1) continue;
    throw new JettisonError('runtime/unknown-capability', `Unknown capability: "${name}"`, { hint: 'capabilities(7) has their names' });
  }
  const wanted = add.filter((name) => name !== all);
  const missing = wanted.find((name) => !here.includes(name));
  if (missing !== undefined)
    throw new JettisonError('runtime/missing-capability', `Cannot give the process "${missing}": it is not there to be given`, {
      fault: 'environment',
      hint: 'The kernel does not have it, or this process may not hand it on: it runs in a container or a sandbox itself',
    });
  if (add.includes(all)) return here.filter((name) => !drop.includes(name));
  if (drop.includes(all)) return wanted;
  return [...new Set([...usual, ...wanted])].filter((name) => !drop.includes(name));
}
