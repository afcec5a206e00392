/** Names of Linux signals (signal(7)), for STOPSIGNAL. */
import { suggest } from '#ground/base/human.ts';

const names = new Set(
  (
    'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU UNUSED ' +
    'URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX'
  ).split(' '),
);

/** The name that comes nearest to a wrong one, with SIG. */
export function nearestSignal(text: string): string | undefined {
  const near = suggest(text.toUpperCase().replace(/^SIG/u, ''), names);
  return near === undefined ? undefined : `SIG${near}`;
}

/** A number but 0, or a name with or without SIG, real-time signals included (`SIGRTMIN+3`). */
export function isSignal(text: string): boolean {
  if (/^[+-]?\d{1,9}$/u.test(text)) return Number(text) !== 0;
  const name = text.toUpperCase().replace(/^SIG/u, '');
  return names.has(name) || /^RT(?:MIN\+(?:[1-9]|1[0-5])|MAX-(?:[1-9]|1[0-4]))$/u.test(name);
}
