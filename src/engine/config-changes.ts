/** `--change` of `commit` and `import`: instructions of a Dockerfile that change nothing but an image's config, applied by the same code as in a build. */
import type { ImageConfig } from '#formats/oci/image-config.ts';
import { digestOf } from '#ground/base/digest.ts';
import { JettisonError } from '#ground/base/errors.ts';

/** moby's list. */
const allowed = ['CMD', 'ENTRYPOINT', 'ENV', 'EXPOSE', 'HEALTHCHECK', 'LABEL', 'ONBUILD', 'STOPSIGNAL', 'USER', 'VOLUME', 'WORKDIR'];

/** The config with the changes, in order; history and layers are left to the caller. Throws `engine/bad-change`, and what the Dockerfile language throws. */
export async function changeConfig(base: ImageConfig, changes: readonly string[], signal: AbortSignal): Promise<ImageConfig> {
  if (changes.length === 0) return base;
  for (const change of changes) checkChange(change);
  const { dockerfileFrontend } = await import('#languages/dockerfile/frontend.ts');
  const platform = { os: base.os, architecture: base.architecture, ...(base.variant === undefined ? {} : { variant: base.variant }) };
  const manifest = digestOf(new Uint8Array(0));
  const { OnBuild: _triggers, ...config } = base.config ?? {};
  const options = {
    file: '--change',
    target: undefined,
    buildArgs: new Map<string, string>(),
    labels: new Map<string, string>(),
    platform,
    buildPlatform: platform,
    noCache: false,
    noCacheStages: [],
    network: 'default',
    extraHosts: [],
  } as const;
  const resolveImage = async () => await Promise.resolve({ name: 'base', shown: 'base', manifest, config: { ...base, config } });
  const { imageConfig } = await dockerfileFrontend(['FROM base', ...changes].join('\n'), options, { resolveImage }, signal);
  return { ...base, ...(imageConfig.config === undefined ? {} : { config: imageConfig.config }) };
}

function checkChange(change: string): void {
  const word = /^\s*([a-z]+)\b/iu.exec(change)?.[1]?.toUpperCase();
  if (word !== undefined && allowed.includes(word) && !/[\r\n]/u.test(change)) return;
  throw new JettisonError('engine/bad-change', `${word ?? change.slice(0, 40)} is not a valid change command`, {
    hint: `One instruction for each --change: ${allowed.join(', ')}`,
  });
}
