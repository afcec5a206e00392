/** Makes `dist/`: the command (a launcher, one chunk to start and lazily loaded ones) and the library with its types, for `npm pack`. Node refuses to strip types under node_modules, so what is published is JavaScript. */
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';
import { writeLibraryTypes } from './library-types.ts';

const folder = 'dist';
/** Of V8, in MB: a young generation that a short command does not fill. Collecting a small one several times takes a command that runs for 60 ms four of them. */
const nodeFlags = '--min-semi-space-size=16';
/** Started by the launcher, which compiles them and all they load with a code cache; the others, which nobody waits for the start of, are started by Node itself. */
const launched: readonly string[] = ['main', 'worker', 'monitor'];

rmSync(folder, { recursive: true, force: true });
const bundle = await rolldown({
  input: {
    main: 'src/main.ts',
    worker: 'src/execution/worker/main.ts',
    'layer-thread': 'src/stores/layer/thread.ts',
    'file-thread': 'src/execution/ops/file-thread.ts',
    tend: 'src/engine/tend-main.ts',
    monitor: 'src/engine/monitor-main.ts',
    attend: 'src/engine/attend-main.ts',
    space: 'src/faces/library/space-main.ts',
    'store-functions': 'src/faces/library/store.ts',
  },
  platform: 'node',
  external: ['koffi', /^node:/u],
});
// CommonJS: its modules start in half the time of ECMAScript ones.
const { output } = await bundle.write({
  dir: folder,
  format: 'cjs',
  entryFileNames: ({ name }) => (launched.includes(name) ? `${name}-[hash].cjs` : `${name}.cjs`),
  chunkFileNames: '[name]-[hash].cjs',
  minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
});
await bundle.close();
// The launcher compiles chunks itself, without a way to import: what is in the bundle is required, but Node's own modules are left as they were written.
for (const chunk of output) {
  if (chunk.type === 'chunk' && /\bimport\(/u.test(chunk.code))
    throw new Error(`${chunk.fileName} imports a module of Node when it runs: use process.getBuiltinModule`);
}

// What other programs import is a file by itself that runs without Node, too.
const library = await rolldown({ input: { library: 'src/languages/dockerfile/library.ts' }, platform: 'browser' });
await library.write({ dir: folder, format: 'esm', entryFileNames: '[name].js', minify: false });
await library.close();
writeLibraryTypes(folder, 'languages/dockerfile/library', 'esm');
writeStoreDoors();

const launcher = await rolldown({ input: 'src/launch.ts', platform: 'node', external: [/^node:/u] });
const made = await launcher.generate({ format: 'cjs' });
await launcher.close();
for (const name of launched) {
  const chunk = output.find((each) => each.type === 'chunk' && each.isEntry && each.name === name);
  if (!chunk) throw new Error(`The bundle has no entry "${name}"`);
  const file = join(folder, `${name}.cjs`);
  // Node reads an `--env-file` anywhere behind its own name, that of `run` too, unless `--` comes first; and BusyBox's env cannot pass two words.
  writeFileSync(
    file,
    `#!/bin/sh\n':' //; exec node ${nodeFlags} -- "$0" "$@"\n${made.output[0].code.replace('ENTRY-CHUNK', chunk.fileName)}`,
  );
  chmodSync(file, 0o755);
}
/** `jettison/store` for both kinds of modules: plain enough for any Node, so that an old one can say what is wrong. Both load the same functions, and so the same error class. */
function writeStoreDoors(): void {
  const check = `if (Number(process.versions.node.split('.')[0]) < 24) throw new Error(\`jettison/store needs Node 24 or later, and this is Node \${process.versions.node}\`);\n`;
  writeFileSync(
    join(folder, 'store.cjs'),
    `'use strict';\n${check}const { JettisonError, openStore } = require('./store-functions.cjs');\nexports.JettisonError = JettisonError;\nexports.openStore = openStore;\n`,
  );
  writeFileSync(
    join(folder, 'store.js'),
    `import { createRequire } from 'node:module';\nconst { JettisonError, openStore } = createRequire(import.meta.url)('./store.cjs');\nexport { JettisonError, openStore };\n`,
  );
  for (const kind of ['esm', 'cjs'] as const) writeLibraryTypes(folder, 'faces/library/store', kind);
}

for (const [name, file] of [
  ['valibot', 'LICENSE.md'],
  ['bcryptjs', 'LICENSE'],
] as const) {
  const text = readFileSync(join('node_modules', name, file), 'utf8');
  writeFileSync(join(folder, `LICENSE-${name}.md`), `Part of this bundle is ${name}, under this licence:\n\n${text}`);
}
console.log(`${folder}/ written`);
