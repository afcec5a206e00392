/** Which programs a platform's kernel starts, by the numbers of elf.h and the architectures of the OCI image spec. */

type Machine = { readonly number: number; readonly name: string };

const machines: Readonly<Record<string, Machine>> = {
  amd64: { number: 62, name: 'x86-64' },
  '386': { number: 3, name: 'x86' },
  arm64: { number: 183, name: 'arm64' },
  arm: { number: 40, name: 'arm' },
  ppc64le: { number: 21, name: 'ppc64' },
  s390x: { number: 22, name: 's390x' },
  riscv64: { number: 243, name: 'riscv64' },
  loong64: { number: 258, name: 'loong64' },
  mips64le: { number: 8, name: 'mips' },
};

/** Programs of the right side may start on the left: whether they do is the kernel's configuration. */
const perhaps: Readonly<Record<string, readonly number[]>> = { amd64: [3], arm64: [40] };

/** `unknown` for an architecture that nobody here knows. */
export function startsOn(architecture: string, machine: number): 'yes' | 'perhaps' | 'no' | 'unknown' {
  const own = machines[architecture];
  if (own === undefined) return 'unknown';
  if (own.number === machine) return 'yes';
  return perhaps[architecture]?.includes(machine) === true ? 'perhaps' : 'no';
}

export function machineName(machine: number): string {
  return Object.values(machines).find(({ number }) => number === machine)?.name ?? `machine ${machine}`;
}

/** What glibc's loader puts in the place of $PLATFORM. */
export function platformName(machine: number): string | undefined {
  return { 62: 'x86_64', 3: 'i686', 183: 'aarch64', 40: 'v7l', 22: 'z900', 21: 'ppc64le', 243: 'riscv64' }[machine];
}
