/** Files that the kernel starts as programs: execve(2) and, for what is registered beside ELF and scripts, Documentation/admin-guide/binfmt-misc.rst. */
import { mayHandOn } from '#ground/linux/emulation.ts';
import { machineName, startsOn } from '#formats/elf/machines.ts';
import { nativePlatform } from '#formats/oci/platform.ts';

/**
 * Why the kernel certainly refuses (ENOEXEC) a program that begins like this; undefined where it starts it, or where nobody can say. `folder`: a mount of binfmt_misc, by default the
 * usual one.
 */
export function refusedFormat(head: Uint8Array, folder?: string): string | undefined {
  if (head.length === 0) return 'is empty';
  if (head[0] === 0x23 && head[1] === 0x21) return undefined;
  const machine = machineOf(head);
  if (machine === undefined) {
    // What is registered begins with something else than the text of a script, which is what most of them are.
    if (isText(head)) return 'is a text that does not begin with "#!"';
    return mayHandOn(folder) ? undefined : 'is neither an ELF program nor a script that begins with "#!"';
  }
  const { architecture } = nativePlatform(process.arch);
  if (startsOn(architecture, machine) !== 'no' || mayHandOn(folder)) return undefined;
  return `is a program for ${machineName(machine)}, this machine is ${architecture}, and no emulator is registered`;
}

/** Of an ELF header that is whole. */
function machineOf(head: Uint8Array): number | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  return head.length >= 20 && view.getUint32(0) === 0x7f454c46 ? view.getUint16(18, head[5] === 1) : undefined;
}

function isText(head: Uint8Array): boolean {
  return (
    /^[\t\n\r -~\u0080-\uffff]*$/u.test(new TextDecoder().decode(head)) && !/^(?:MZ|BC)/u.test(String.fromCodePoint(...head.subarray(0, 2)))
  );
}
