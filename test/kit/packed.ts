/** What `npm pack` makes, installed as a stranger would. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from './sandbox.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Of programs beside it: this Node first. */
export const packedEnvironment = {
  PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`,
  npm_config_loglevel: 'error',
};

/** `prefix`: where it is installed. */
export type Packed = { readonly tarball: string; readonly prefix: string };

/** Below `folder`, in a folder with a blank, which is %20 in a URL. */
export async function installPacked(folder: string): Promise<Packed> {
  const prefix = join(folder, 'a prefix');
  mkdirSync(prefix);
  const packed = await npm(['pack', '--silent', '--pack-destination', folder], root);
  const tarball = join(folder, packed.trim().split('\n').at(-1) ?? '');
  await npm(['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', prefix, tarball], prefix);
  return { tarball, prefix };
}

async function npm(words: readonly string[], cwd: string): Promise<string> {
  const done = await runCommand('npm', words, { cwd, environment: packedEnvironment });
  assert.equal(done.status, 0, `npm ${words.join(' ')}\n${done.stdout}\n${done.stderr}`);
  return done.stdout;
}
