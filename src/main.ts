// Plain enough for any Node that knows modules, so that an old one can say what is wrong.
import { statSync } from 'node:fs';
import module from 'node:module';
import process from 'node:process';

const wanted = 24;
if (Number(process.versions.node.split('.')[0]) < wanted) {
  process.stderr.write(`ERROR: jettison needs Node ${wanted} or later, and this is Node ${process.versions.node} (${process.execPath})\n`);
  process.exitCode = 1;
} else {
  // Not in Node's default place: code in a folder below /tmp could be planted there by others.
  const caches = process.env['XDG_CACHE_HOME'] || (process.env['HOME'] && `${process.env['HOME']}/.cache`);
  void run(caches && `${caches}/jettison/compile`);
}

async function run(compiled: string | undefined): Promise<void> {
  if (compiled) await keepCompiled(compiled);
  const { runCli } = await import('./faces/cli/run.ts');
  const code = await runCli(process.argv.slice(2), process.env, process);
  process.exitCode = code;
  // At once: whatever still holds the process open has been forgotten by its owner, and Node would take its heap apart before it ends by itself.
  process.exit(code);
}

/** Node makes a missing folder by itself, but below /proc it would try forever. Each start does the same: what V8 keeps is what a run has compiled. */
async function keepCompiled(folder: string): Promise<void> {
  const { makeFolders } = await import('./ground/base/make-folders.ts');
  try {
    makeFolders(folder, 0o700);
    // Another's, or one that others may write to, where code could be planted.
    const { uid, mode } = statSync(folder);
    if (uid !== process.geteuid?.() || (mode & 0o022) !== 0) return;
    module.enableCompileCache(folder);
  } catch {
    // Without it, each start takes some milliseconds more.
  }
}
