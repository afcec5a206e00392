/** Makes `dist/`: the command (one small entry and lazily loaded chunks) and the library with its types, for `npm pack`. Node refuses to strip types under node_modules, so what is published is JavaScript. */
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rolldown } from 'rolldown';
import { writeLibraryTypes } from './library-types.ts';

rmSync('dist', { recursive: true, force: true });
const bundle = await rolldown({
  input: {
    main: 'src/main.ts',
    worker: 'src/execution/worker/main.ts',
    'layer-thread': 'src/stores/layer/thread.ts',
    'file-thread': 'src/execution/ops/file-thread.ts',
    'snapshot-tend': 'src/stores/snapshot/tend-main.ts',
  },
  platform: 'node',
  external: ['koffi', /^node:/u],
});
await bundle.write({ dir: 'dist', format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js', minify: false });
await bundle.close();
// What other programs import is a file by itself that runs without Node, too.
const library = await rolldown({ input: { library: 'src/languages/dockerfile/library.ts' }, platform: 'browser' });
await library.write({ dir: 'dist', format: 'esm', entryFileNames: '[name].js', minify: false });
await library.close();
writeLibraryTypes('dist');
chmodSync('dist/main.js', 0o755);
writeFileSync(
  'dist/LICENSE-valibot.md',
  `Part of this bundle is valibot, under this licence:\n\n${readFileSync('node_modules/valibot/LICENSE.md', 'utf8')}`,
);
console.log('dist/ written');
