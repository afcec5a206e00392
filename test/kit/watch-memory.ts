/** The most memory that a command had, itself without its children, as the kernel counts it while it runs. */
import { readFileSync } from 'node:fs';
import type { CommandOptions } from './sandbox.ts';

export type MemoryWatch = {
  readonly onStart: NonNullable<CommandOptions['onStart']>;
  /** KiB; 0 before the first look. */
  most(): number;
};

/** Milliseconds between two looks; each sees the most until then. */
const pause = 20;

export function watchMemory(): MemoryWatch {
  let most = 0;
  return {
    onStart: ({ pid }) => {
      const timer = setInterval(() => {
        try {
          most = Math.max(most, Number(/^VmHWM:\s+(\d+)/mu.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0));
        } catch {
          clearInterval(timer); // it has ended
        }
      }, pause);
      timer.unref();
    },
    most: () => most,
  };
}
