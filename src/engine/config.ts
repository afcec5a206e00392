/** The configuration file: `config.json`, read once. What it may hold is refused when misspelt. */
import { existsSync, readFileSync } from 'node:fs';
import * as v from 'valibot';
import { JettisonError, messageOf } from '#ground/base/errors.ts';
import { decodeRegistryConfig, type RegistryConfig } from '#stores/registry/config.ts';
import { isSpaceLimit } from './space-limit.ts';

export type Config = {
  readonly registries: RegistryConfig;
  /** What the build cache may take up: see keep-space.ts. */
  readonly cacheMax?: string;
  /** Whether images go without what later layers of the same build hide, when nobody says: see fold-requests.ts. */
  readonly fold?: 'auto' | 'off';
  /** How long a registry may keep us waiting, in milliseconds, and how often it is asked; undefined for the usual. */
  readonly network: {
    readonly connect?: number;
    readonly firstByte?: number;
    readonly commit?: number;
    readonly idle?: number;
    readonly tries?: number;
    /** Pause before the second try, in milliseconds; it doubles each time. */
    readonly firstPause?: number;
  };
};

const seconds = v.pipe(v.number(), v.minValue(0.1), v.maxValue(3600));
const shape = v.strictObject({
  registries: v.optional(v.unknown()),
  cacheMax: v.exactOptional(v.pipe(v.string(), v.check(isSpaceLimit, 'must be a size such as "10g" or "20%", or "none"'))),
  fold: v.exactOptional(v.picklist(['auto', 'off'])),
  network: v.optional(
    v.strictObject({
      connectTimeout: v.exactOptional(seconds),
      answerTimeout: v.exactOptional(seconds),
      commitTimeout: v.exactOptional(seconds),
      idleTimeout: v.exactOptional(seconds),
      tries: v.exactOptional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(20))),
    }),
  ),
});

/**
 * Reads `file` if it is there: `{"registries": {...}, "cacheMax": "10g", "fold": "auto", "network": {"connectTimeout": 10, "answerTimeout": 30, "commitTimeout": 120, "idleTimeout": 60, "tries": 5}}`, times in
 * seconds. Throws `engine/bad-config` with the file's name and what is wrong in it.
 */
export function readConfig(file: string): Config {
  if (!existsSync(file)) return { registries: decodeRegistryConfig({}), network: {} };
  try {
    const document = v.parse(shape, JSON.parse(readFileSync(file, 'utf8')));
    const { connectTimeout, answerTimeout, commitTimeout, idleTimeout, tries } = document.network ?? {};
    return {
      ...(document.cacheMax === undefined ? {} : { cacheMax: document.cacheMax }),
      ...(document.fold === undefined ? {} : { fold: document.fold }),
      registries: decodeRegistryConfig(document.registries ?? {}),
      network: {
        ...(connectTimeout === undefined ? {} : { connect: connectTimeout * 1000 }),
        ...(answerTimeout === undefined ? {} : { firstByte: answerTimeout * 1000 }),
        ...(commitTimeout === undefined ? {} : { commit: commitTimeout * 1000 }),
        ...(idleTimeout === undefined ? {} : { idle: idleTimeout * 1000 }),
        ...(tries === undefined ? {} : { tries }),
      },
    };
  } catch (error) {
    throw new JettisonError('engine/bad-config', `Cannot read ${file}: ${messageOf(error)}`, {
      cause: error,
      hint: 'Correct the file, or move it away to go on with the defaults',
    });
  }
}
