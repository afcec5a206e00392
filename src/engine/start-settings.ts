/** What an image's config says of its start, and whether two images start the same. */
import { diffIdsOf, type ImageConfig } from '#formats/oci/image-config.ts';
import { canonicalJson } from '#ground/base/canonical-json.ts';
import type { PayloadWish } from '#execution/worker/contract.ts';

/** Variables that the payload check looks at. */
const variables = /^(?:PATH|LD_LIBRARY_PATH|SSL_CERT_FILE|SSL_CERT_DIR|TZ|LC_ALL|LC_CTYPE|LANG)=/u;

/** All of the config that the payload check looks at. */
export function wishOf({ architecture, config = {} }: ImageConfig): Pick<PayloadWish, 'settings' | 'user'> {
  return {
    user: config.User ?? '',
    settings: {
      entrypoint: config.Entrypoint ?? [],
      command: config.Cmd ?? [],
      environment: (config.Env ?? []).filter((line) => variables.test(line)),
      workingDirectory: config.WorkingDir ?? '',
      healthcheck: config.Healthcheck?.Test ?? [],
      shell: config.Shell ?? [],
      architecture,
    },
  };
}

/** The same files, and the same of all that the payload check looks at: labels, ports and the like may differ. Throws for a config without layers. */
export function startSame(one: ImageConfig, other: ImageConfig): boolean {
  return startText(one) === startText(other);
}

function startText(config: ImageConfig): string {
  return canonicalJson({ layers: diffIdsOf(config), ...wishOf(config) });
}
