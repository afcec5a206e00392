/** Programs of other processors, which the kernel hands to an interpreter such as qemu (Linux: Documentation/admin-guide/binfmt-misc.rst). */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export type Emulator = {
  /** Of the registration: `qemu-aarch64`. */
  readonly name: string;
  readonly interpreter: string;
  /** The flag F: it was opened when it was registered, and so is found from any root. Without it each root has to have a file of its path. */
  readonly isFixed: boolean;
};

/** As ELF headers have it: `e_machine`, the class (32 or 64 bits), the byte order. `emulator`: qemu's name of the processor. */
type Machine = { readonly code: number; readonly bits: 32 | 64; readonly isBig?: true; readonly emulator: string };

/** By the architectures of images. */
const machines: ReadonlyMap<string, Machine> = new Map([
  ['386', { code: 3, bits: 32, emulator: 'i386' }],
  ['amd64', { code: 62, bits: 64, emulator: 'x86_64' }],
  ['arm', { code: 40, bits: 32, emulator: 'arm' }],
  ['arm64', { code: 183, bits: 64, emulator: 'aarch64' }],
  ['loong64', { code: 258, bits: 64, emulator: 'loongarch64' }],
  ['mips64', { code: 8, bits: 64, isBig: true, emulator: 'mips64' }],
  ['mips64le', { code: 8, bits: 64, emulator: 'mips64el' }],
  ['ppc64le', { code: 21, bits: 64, emulator: 'ppc64le' }],
  ['riscv64', { code: 243, bits: 64, emulator: 'riscv64' }],
  ['s390x', { code: 22, bits: 64, isBig: true, emulator: 's390x' }],
]);

const registrations = '/proc/sys/fs/binfmt_misc';

/** Architectures whose programs the kernel hands to an interpreter, as `folder` (a mount of binfmt_misc) says; none where it is not mounted. */
export function findEmulators(folder = registrations): ReadonlyMap<string, Emulator> {
  const found = new Map<string, Emulator>();
  if (read(join(folder, 'status')) !== 'enabled') return found;
  for (const name of namesIn(folder)) {
    const text = read(join(folder, name));
    const emulator = text === undefined ? undefined : parseRegistration(name, text);
    if (emulator !== undefined && !found.has(emulator.architecture)) found.set(emulator.architecture, emulator);
  }
  return found;
}

/** Does the kernel know of binfmt_misc, and is it mounted where programs expect it? */
export function isEmulationMounted(folder = registrations): boolean {
  return existsSync(join(folder, 'status'));
}

/** May the kernel hand what is neither ELF nor a script, or of another processor, to an interpreter? False only where `folder` is seen to have nothing that is switched on. */
export function mayHandOn(folder = registrations): boolean {
  const status = read(join(folder, 'status'));
  if (status !== 'enabled') return status !== 'disabled';
  return namesIn(folder).some((name) => read(join(folder, name))?.startsWith('enabled') ?? true);
}

/** An emulator for an architecture that is installed, whether it is registered or not. */
export function installedEmulator(architecture: string, path: string): string | undefined {
  const word = machines.get(architecture)?.emulator;
  if (word === undefined) return undefined;
  const names = [`qemu-${word}-static`, `qemu-${word}`];
  const files = path.split(delimiter).flatMap((folder) => (folder === '' ? [] : names.map((name) => join(folder, name))));
  return files.find((file) => existsSync(file));
}

/** A registration as the kernel prints it; undefined for one that is off or is for no processor that images know. */
function parseRegistration(name: string, text: string): (Emulator & { readonly architecture: string }) | undefined {
  const lines = text.split('\n');
  const word = (key: string): string => lines.find((line) => line.startsWith(`${key} `))?.slice(key.length + 1) ?? '';
  const flags = lines.find((line) => line.startsWith('flags:'))?.slice('flags:'.length) ?? '';
  const magic = bytesOf(word('magic'));
  if (lines[0] !== 'enabled' || word('offset') !== '0' || magic.byteLength < 20 || magic.getUint32(0) !== 0x7f454c46) return undefined;
  const bits = magic.getUint8(4) === 1 ? 32 : 64;
  const isBig = magic.getUint8(5) === 2;
  const code = magic.getUint16(18, !isBig);
  const [architecture] =
    [...machines].find(([, machine]) => machine.code === code && machine.bits === bits && (machine.isBig ?? false) === isBig) ?? [];
  if (architecture === undefined) return undefined;
  return { architecture, name, interpreter: word('interpreter'), isFixed: flags.includes('F') };
}

/** Of hexadecimal text. */
function bytesOf(hex: string): DataView {
  const pairs = hex.match(/[0-9a-f]{2}/gu) ?? [];
  return new DataView(Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16)).buffer);
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => name !== 'status' && name !== 'register');
  } catch {
    return [];
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1').trim();
  } catch {
    return undefined;
  }
}
