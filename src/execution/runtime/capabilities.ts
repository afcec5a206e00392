/** Capability sets as the kernel writes them (capabilities(7)). */

/** By number, from 0. */
const names = `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST
  NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
  SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF
  CHECKPOINT_RESTORE`
  .trim()
  .split(/\s+/u);

/** Names of the capabilities a process may hand to a child, from the text of its /proc/PID/status: those in its permitted and its bounding set. */
export function readCapabilities(status: string): readonly string[] {
  const permitted = readSet(status, 'CapPrm') & readSet(status, 'CapBnd');
  return names.flatMap((name, bit) => ((permitted & (1n << BigInt(bit))) === 0n ? [] : [`CAP_${name}`]));
}

function readSet(status: string, field: string): bigint {
  const digits = new RegExp(`^${field}:\\s*([0-9a-f]+)$`, 'mu').exec(status)?.[1];
  return digits === undefined ? 0n : BigInt(`0x${digits}`);
}

/** The numbers of capabilities by their names (`CAP_CHOWN`). */
export function capabilityNumbers(wanted: readonly string[]): readonly number[] {
  return names.flatMap((name, bit) => (wanted.includes(`CAP_${name}`) ? [bit] : []));
}
