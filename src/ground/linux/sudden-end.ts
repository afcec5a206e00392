/** The end of a process that nobody should wait for. */
import { flushCompileCache } from 'node:module';
import { libc } from './libc.ts';

const endNow = libc.func('void _exit(int)');
/** Node writes these down when it takes itself apart. */
const isObserved = process.execArgv.some((word) => word.includes('-prof')) || process.env['NODE_V8_COVERAGE'] !== undefined;

/** From now on `process.exit`, when all who listen for it have been called, ends this process without taking the heap and the threads apart, which the kernel does faster. */
export function endSuddenly(): void {
  if (isObserved) return;
  process.once('exit', (code) => {
    flushCompileCache();
    endNow(code);
  });
}
