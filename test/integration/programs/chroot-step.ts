/** Runs a shell script as a step without namespaces, until it ends: `chroot-step.ts ROOT BUNDLES SCRIPT`. Prints how it ended. */
import { isCode } from '#ground/base/errors.ts';
import { tieToParent } from '#ground/linux/process-ties.ts';
import { openChrootRuntime } from '#execution/runtime/chroot.ts';
import { stepRequest } from '#test/kit/step.ts';

const [rootfs = '', bundles = '', script = ''] = process.argv.slice(2);
tieToParent(process.ppid);
const runtime = openChrootRuntime(bundles);
const print = (bytes: Uint8Array): void => void process.stdout.write(bytes);
try {
  const status = await runtime.run(
    stepRequest({ id: 'step', rootfs, arguments: ['/bin/sh', '-c', script] }),
    { kind: 'capture', stdout: print, stderr: print },
    new AbortController().signal,
  );
  console.log(status.code);
} catch (error) {
  console.log(isCode(error, 'runtime/killed') ? 'killed' : error);
}
