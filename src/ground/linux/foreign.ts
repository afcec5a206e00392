/**
 * The library that calls functions of other libraries, without its own start: that finds out what machine this is, reads Node's program and wraps what we do not
 * use, which takes three quarters of the time (5 of 7 ms), in each worker. Where its compiled half is not where npm puts it, or is not for this machine, the library
 * starts as it wants to and says what is wrong.
 */
import type Koffi from 'koffi';
import { createRequire } from 'node:module';

export const koffi: typeof Koffi = load();

function load(): typeof Koffi {
  const own = createRequire(import.meta.url);
  const machine = `linux-${process.arch}`;
  try {
    // Its packages for single machines need not be visible from here.
    const beside = createRequire(own.resolve('koffi'));
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the package exports what this gives, wrapped for deprecated names
    return beside(`@koromix/koffi-${machine}/${machine.replace('-', '_')}/koffi.node`) as typeof Koffi;
  } catch {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as its types say
    return own('koffi') as typeof Koffi;
  }
}
