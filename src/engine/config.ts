/** The configuration file: `config.json`, read once. What it may hold is refused when misspelt. */
import { existsSync, readFileSync } from 'node:fs';
import * as v from 'valibot';
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { decodeRegistryConfig, type RegistryConfig } from '#stores/registry/config.ts';

export type Config = { readonly registries: RegistryConfig };

const shape = v.strictObject({ registries: v.optional(v.unknown()) });

/** Reads `file` if it is there. Throws `engine/bad-config` with the file's name and what is wrong in it. */
export function readConfig(file: string): Config {
  if (!existsSync(file)) return { registries: decodeRegistryConfig({}) };
  try {
    const document = v.parse(shape, JSON.parse(readFileSync(file, 'utf8')));
    return { registries: decodeRegistryConfig(document.registries ?? {}) };
  } catch (error) {
    throw new JettisonError('engine/bad-config', `Cannot read ${file}: ${messageOf(error)}`, {
      cause: error,
      hint: 'Correct the file, or move it away to go on with the defaults',
    });
  }
}
