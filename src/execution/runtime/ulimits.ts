/** Resource limits against what this process may set: a runtime would say of one only that it was not permitted. */
import { readFileSync } from 'node:fs';
import { JettisonError } from '#ground/base/errors.ts';
import { readCapabilities } from './capabilities.ts';
import type { Ulimit } from './contract.ts';

/** Docker's names, and what /proc/PID/limits calls them. */
const names: ReadonlyMap<string, string> = new Map([
  ['core', 'Max core file size'],
  ['cpu', 'Max cpu time'],
  ['data', 'Max data size'],
  ['fsize', 'Max file size'],
  ['locks', 'Max file locks'],
  ['memlock', 'Max locked memory'],
  ['msgqueue', 'Max msgqueue size'],
  ['nice', 'Max nice priority'],
  ['nofile', 'Max open files'],
  ['nproc', 'Max processes'],
  ['rss', 'Max resident set'],
  ['rtprio', 'Max realtime priority'],
  ['rttime', 'Max realtime timeout'],
  ['sigpending', 'Max pending signals'],
  ['stack', 'Max stack size'],
]);

/** By number, from 0 (include/uapi/asm-generic/resource.h). */
const numbers = [
  'cpu',
  'fsize',
  'data',
  'stack',
  'core',
  'rss',
  'nproc',
  'nofile',
  'memlock',
  'locks',
  'sigpending',
  'msgqueue',
  'nice',
  'rtprio',
  'rttime',
];

/** The number that prlimit(2) has for a limit by Docker's name; -1 for one that `checkUlimits` refuses. */
export function limitNumber(name: string): number {
  return numbers.indexOf(name);
}

/** Without CAP_SYS_RESOURCE nobody raises a hard limit (setrlimit(2)). Throws `runtime/limit-too-high`, `runtime/unknown-limit`. */
export function checkUlimits(ulimits: readonly Ulimit[]): void {
  if (ulimits.length === 0) return;
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const maySetAny = readCapabilities(readFileSync('/proc/self/status', 'utf8')).includes('CAP_SYS_RESOURCE');
  for (const { name, hard } of ulimits) {
    const own = hardLimit(limits, name);
    if (maySetAny || (hard === -1 ? own === Infinity : hard <= own)) continue;
    throw new JettisonError(
      'runtime/limit-too-high',
      `Cannot set ulimit ${name} to ${hard === -1 ? 'unlimited' : hard}: the hard limit of this machine is ${own}, and there is no right to raise it`,
      { fault: 'environment', hint: 'Ask for less, or run with CAP_SYS_RESOURCE' },
    );
  }
}

/** Infinity for `unlimited`. */
function hardLimit(limits: string, name: string): number {
  const label = names.get(name);
  const hard = label === undefined ? undefined : new RegExp(`^${label} +\\S+ +(\\S+)`, 'mu').exec(limits)?.[1];
  if (hard === undefined) throw new JettisonError('runtime/unknown-limit', `Unknown ulimit "${name}"`, { fault: 'bug' });
  return hard === 'unlimited' ? Infinity : Number(hard);
}
