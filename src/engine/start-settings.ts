/** What an image's config says of its start, and whether two images start the same. */
import { diffIdsOf, type ImageConfig } from '#formats/oci/image-config.ts';
import { canonicalJson } from '#ground/base/canonical-json.ts';
import type { PayloadWish } from '#execution/worker/contract.ts';

/** Variables that the payload check looks at, beside those that the command names, and scripts of `env -S`. */
const variables = /^(?:PATH|LD_LIBRARY_PATH|LD_PRELOAD|SSL_CERT_FILE|SSL_CERT_DIR|TZ|LC_ALL|LC_CTYPE|LANG)=/u;

/** All of the config that the payload check looks at. */
export function wishOf({ architecture, config = {} }: ImageConfig): Pick<PayloadWish, 'settings' | 'user'> {
  const entrypoint = config.Entrypoint ?? [];
  const command = config.Cmd ?? [];
  const healthcheck = config.Healthcheck?.Test ?? [];
  return {
    user: config.User ?? '',
    settings: {
      entrypoint,
      command,
      environment: config.Env ?? [],
      workingDirectory: config.WorkingDir ?? '',
      healthcheck,
      shell: config.Shell ?? [],
      architecture,
    },
  };
}

function variablesIn(word: string): readonly string[] {
  return [...word.matchAll(/\$\{?(?<name>\w+)/gu)].flatMap(({ groups }) => groups?.['name'] ?? []);
}

/** The same files, and the same of all that the payload check looks at: labels, ports and the like may differ. Throws for a config without layers. */
export function startSame(one: ImageConfig, other: ImageConfig): boolean {
  return startText(one) === startText(other);
}

function startText(config: ImageConfig): string {
  const { settings, ...wish } = wishOf(config);
  const { entrypoint, command, healthcheck } = settings;
  const named = new Set([...entrypoint, ...command, ...healthcheck].flatMap(variablesIn));
  const environment = settings.environment.filter((line) => variables.test(line) || named.has(line.slice(0, line.indexOf('='))));
  return canonicalJson({ layers: diffIdsOf(config), ...wish, settings: { ...settings, environment } });
}
