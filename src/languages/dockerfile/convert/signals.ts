/** Names of Linux signals (signal(7)), for STOPSIGNAL. */
const names = new Set(
  (
    'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU UNUSED ' +
    'URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX'
  ).split(' '),
);

/** A number but 0, or a name with or without SIG, real-time signals included (`SIGRTMIN+3`). */
export function isSignal(text: string): boolean {
  if (/^[+-]?\d{1,9}$/u.test(text)) return Number(text) !== 0;
  const name = text.toUpperCase().replace(/^SIG/u, '');
  return names.has(name) || /^RT(?:MIN\+(?:[1-9]|1[0-5])|MAX-(?:[1-9]|1[0-4]))$/u.test(name);
}
