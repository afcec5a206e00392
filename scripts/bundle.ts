/** Makes `dist/`: one small entry and lazily loaded chunks, for `npm pack`. Node refuses to strip types under node_modules, so what is published is JavaScript. */
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rolldown } from 'rolldown';

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
chmodSync('dist/main.js', 0o755);
writeFileSync(
  'dist/LICENSE-valibot.md',
  `Part of this bundle is valibot, under this licence:\n\n${readFileSync('node_modules/valibot/LICENSE.md', 'utf8')}`,
);
console.log('dist/ written');
