/** Is the process that makes a build still there? */
import { startOf } from '#ground/base/process-identity.ts';

/** This process, as `isRunning` knows it again: its number, and when the kernel started it. */
export function thisProcess(): string {
  return `${process.pid} ${startOf(process.pid) ?? ''}`;
}

export function isRunning(identity: string): boolean {
  const [pid = '', start] = identity.split(' ');
  const found = /^\d+$/u.test(pid) ? startOf(Number(pid)) : undefined;
  return found !== undefined && found === start;
}
